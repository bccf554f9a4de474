"""Studies: a question, the claims that answer it, the runs behind them, and a verdict on each."""
