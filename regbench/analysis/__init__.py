"""Finished runs to statistics: means, intervals, paired differences, p-values."""
