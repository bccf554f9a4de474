"""Puts configs/ into the package of a wheel, where an installation without a clone finds it.

All else is in pyproject.toml.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
    """Builds the package with the configs, studies and papers in `regbench/configs`."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # beside the package, where they can be edited
            return
        target = Path(self.build_lib, "regbench", "configs")
        shutil.rmtree(target, ignore_errors=True)  # an earlier build may have had other files
        for source in (Path("configs"), Path("configs/studies"), Path("configs/papers")):
            there = target / source.relative_to("configs")
            there.mkdir(parents=True)
            for path in [*source.glob("*.yaml"), *source.glob("*.json")]:
                shutil.copyfile(path, there / path.name)


setup(cmdclass={"build_py": BuildWithConfigs})
