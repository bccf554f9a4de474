"""The errors that a user can cause, each with the exit code that the command line ends with."""


class RegbenchError(Exception):
    """Something the user can put right; its text is one line: what, where and what to do."""

    exit_code = 2


class RunFailed(RegbenchError):
    """A run could not be finished, though what was asked for made sense."""

    exit_code = 1
