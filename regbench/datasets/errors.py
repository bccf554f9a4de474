"""The one error of this package."""

from regbench.errors import RegbenchError


class DataError(RegbenchError):
    """A data set that is missing, damaged, too small, or has the wrong checksum."""
