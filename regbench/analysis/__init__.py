"""Statistics of finished runs: means, intervals, paired differences, p-values."""
