"""Execution of runs: worker processes, signals, failures, the machine and its versions."""
