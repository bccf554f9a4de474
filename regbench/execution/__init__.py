"""Where runs execute: worker processes, signals, failures, the machine and its versions."""
