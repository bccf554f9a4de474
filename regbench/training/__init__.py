"""One run, from the experiment to the finished run folder."""
