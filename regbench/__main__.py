"""`python -m regbench` is `regbench`."""

import os
import sys


def _forget_the_current_folder() -> None:
    """Remove the folder that `-m` puts in front of `sys.path`, unless regbench itself lies there.

    A `click.py` beside a config from a stranger would run as code.
    """
    package = os.path.dirname(os.path.abspath(__file__))
    if not sys.flags.safe_path and sys.path[:1] not in ([], [os.path.dirname(package)]):
        del sys.path[0]


if __name__ == "__main__":
    _forget_the_current_folder()
    from regbench.cli import main

    main()
