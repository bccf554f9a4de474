"""A wheel holds the configs, and what is in it works without the checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.distribution import check

RELEASE = Path(".github/workflows/release.yml")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build a wheel and a source distribution of the checkout; return their folder."""
    folder = tmp_path_factory.mktemp("built")
    source = folder / "source"
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("regbench", "configs", "tests/distribution"):
        shutil.copytree(name, source / name, ignore=ignored)
    for name in check.FILES_OF_A_SOURCE:
        shutil.copyfile(name, source / name)
    # A leftover of an earlier build, which must not be taken along.
    stale = source / "build/lib/regbench/configs/stale.yaml"
    stale.parent.mkdir(parents=True)
    stale.write_text("{}\n")
    code = (
        "from setuptools import build_meta as build; "
        "build.build_sdist('dist'); build.build_wheel('dist')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    return source / "dist"


def test_a_wheel_holds_the_package_with_the_configs_and_nothing_else(built):
    (wheel,) = built.glob("*.whl")
    assert check.of_wheel(wheel) == []
    assert "regbench/configs/studies/demo.yaml" in zipfile.ZipFile(wheel).namelist()


def test_a_source_distribution_holds_what_a_wheel_is_built_of(built):
    (source,) = built.glob("*.tar.gz")
    assert check.of_source(source) == []


def test_a_wheel_without_a_config_or_with_a_stray_file_is_refused(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    damaged = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(damaged, "w") as archive:
        for name in whole.namelist():
            if not name.endswith("configs/l2.yaml"):
                archive.writestr(name, whole.read(name))
        archive.writestr("tests/stray.py", "")
    assert check.of_wheel(damaged) == [
        f"{wheel.name}: regbench/configs/l2.yaml is missing",
        f"{wheel.name}: tests/stray.py does not belong there",
    ]


def test_an_installed_wheel_finds_its_own_configs_from_an_empty_folder(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    packages, empty = tmp_path / "packages", tmp_path / "empty"
    empty.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    code = (
        "import json, regbench.config as config; from regbench.config import shipped; "
        "print(json.dumps([config.__file__, config.load('dropout').hash, "
        "str(shipped.folder()), len(shipped.write_out(__import__('pathlib').Path('.')).written)]))"
    )
    environment = os.environ | {"PYTHONPATH": str(packages)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=empty, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    module, config_hash, folder, written = json.loads(done.stdout)
    assert module.startswith(str(packages))
    assert config_hash == "c554be80"
    assert folder == str(packages / "regbench" / "configs")
    assert written == len([*Path("configs").rglob("*.yaml"), *Path("configs").rglob("*.json")])


def test_every_extra_installs_something_that_regbench_can_use():
    extras = tomllib.loads(Path("pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras) >= {"gpu", "jax", "torch"}
    assert all(extras.values())


def test_the_release_runs_for_a_tag_alone_with_pinned_actions_and_least_permissions():
    workflow = yaml.safe_load(RELEASE.read_text())
    assert workflow[True] == {"push": {"tags": ["v*"]}}  # YAML 1.1 reads the key `on` as true
    assert workflow["permissions"] == {}
    publish = workflow["jobs"]["publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["environment"]["name"] == "pypi"
    assert not any("run" in step for step in publish["steps"])  # the token meets no code of ours
    assert workflow["jobs"]["build"]["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    used = [step["uses"] for step in steps if "uses" in step]
    assert used
    assert [each for each in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", each)] == []
    assert "secrets." not in RELEASE.read_text()


def test_the_container_runs_the_demo_as_a_user_who_is_not_root():
    lines = Path("Containerfile").read_text().splitlines()
    last = {line.split()[0]: line for line in lines if re.match(r"[A-Z]+ ", line)}
    assert last["USER"].split()[1] not in ("root", "0")
    assert lines.index(last["USER"]) < lines.index(last["ENTRYPOINT"])
    assert (last["ENTRYPOINT"], last["CMD"]) == ('ENTRYPOINT ["regbench"]', 'CMD ["demo"]')
