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


def _complain_of_the_python(missing: str = "") -> None:
    """Leave with a line that says which Python this is, and what to do."""
    version = ".".join(map(str, sys.version_info[:3]))
    received = f"{version} ({sys.executable})"
    received += f" without the package {missing}" if missing else ""
    sys.exit(
        "regbench: expected Python 3.11, 3.12 or 3.13 with regbench's packages, "
        f"received {received}; install them with `make install`, then call .venv/bin/regbench"
    )


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036  # such as the machine's own, in a checkout
        _complain_of_the_python()
    _forget_the_current_folder()
    try:
        from regbench.cli import main
    except ModuleNotFoundError as error:
        if str(error.name).startswith("regbench"):
            raise
        _complain_of_the_python(str(error.name))
    main()
