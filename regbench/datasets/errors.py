"""The one error of this package."""

from regbench.errors import RegbenchError


class DataError(RegbenchError):
    """A data set that is missing, damaged, not what it claims to be, or too small."""
