"""`python -m regbench` is `regbench`."""

import os
import sys


def _forget_the_current_folder() -> None:
    """Remove the folder that `-m` puts in front of `sys.path`, unless regbench itself lies there.

    A `click.py` beside a config from a stranger would run as code.
    """
    # Without pathlib, which would itself be imported from there.
    own = f"{sys.path[0].rstrip(os.sep)}{os.sep}regbench{os.sep}" if sys.path else ""
    if not sys.flags.safe_path and not __file__.startswith(own):
        del sys.path[0]


if __name__ == "__main__":
    _forget_the_current_folder()
    from regbench.cli import main

    main()
