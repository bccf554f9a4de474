"""Claims of a question: the file, the runs, a verdict on each, the result."""
