"""What is installed is known: by the lock, its licenses, its advisories and the workflows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.supply_chain import advisories, dependencies, sbom
from tests.supply_chain.dependencies import Package, Pin

WORKFLOWS = sorted(Path(".github/workflows").glob("*.yml"))
PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*$")
JINJA = {
    "id": "GHSA-xxxx",
    "summary": "a sandbox breakout",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "Jinja2"},
            "ranges": [
                {"type": "GIT", "events": [{"introduced": "0"}]},
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.1.6"}]},
            ],
        }
    ],
}


def lock(version: str) -> list[Pin]:
    return dependencies.pins(f"# made\njinja2=={version} \\\n    --hash=sha256:{'0' * 64}\n")


def affected(*events: dict[str, str]) -> dict:
    return {"ranges": [{"type": "ECOSYSTEM", "events": list(events)}]}


def test_every_package_of_the_lock_has_hashes():
    pins = dependencies.pins(dependencies.LOCK.read_text(encoding="utf-8"))
    assert {"keras", "tensorflow", "numpy"} <= {pin.name for pin in pins}
    with pytest.raises(ValueError, match="expected NAME==VERSION with its hashes"):
        dependencies.pins("jinja2==3.1.5\n")


@pytest.mark.parametrize(("version", "lines"), [("3.1.5", 1), ("3.1.6", 0), ("3.1.6rc1", 1)])
def test_a_vulnerable_version_is_found_until_it_is_fixed(version, lines):
    found = advisories.found(lock(version), [JINJA])
    assert found == [f"jinja2 {version}: GHSA-xxxx: a sandbox breakout"] * lines


def test_withdrawn_advisories_and_other_ecosystems_do_not_count():
    package = {"package": {"ecosystem": "npm", "name": "jinja2"}, "versions": ["3.1.5"]}
    others = [JINJA | {"withdrawn": "2026-01-01"}, JINJA | {"affected": [package]}]
    assert advisories.found(lock("3.1.5"), others) == []


def test_ranges_open_and_close_in_the_order_of_their_versions():
    events = affected({"fixed": "2.1"}, {"introduced": "3.0"}, {"introduced": "2.0"})
    inside = {each: advisories.is_affected(each, events) for each in ("1.9", "2.0", "2.1", "3.5")}
    assert inside == {"1.9": False, "2.0": True, "2.1": False, "3.5": True}
    last = affected({"introduced": "0"}, {"last_affected": "2.0"})
    assert advisories.is_affected("2.0", last)
    assert not advisories.is_affected("2.0.1", last)
    assert advisories.is_affected("2.0.1", last | {"versions": ["2.0.1"]})
    assert advisories.is_affected("not a version", last)


@pytest.mark.parametrize("form", ["folder", "archive"])
def test_the_audit_fails_on_a_vulnerability_of_the_lock(form, tmp_path):
    """With an advisory for every version of a package that is in the lock."""
    bad = JINJA | {
        "affected": [{"package": JINJA["affected"][0]["package"]} | affected({"introduced": "0"})]
    }
    copy = tmp_path / "copy"
    if form == "folder":
        copy.mkdir()
        (copy / "GHSA-xxxx.json").write_text(json.dumps(bad))
    else:
        with zipfile.ZipFile(copy, "w") as archive:
            archive.writestr("GHSA-xxxx.json", json.dumps(bad))
    command = [sys.executable, "-m", "tests.supply_chain", "audit", str(copy)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "GHSA-xxxx: a sandbox breakout" in done.stdout


def test_no_advisories_are_no_proof(tmp_path):
    with pytest.raises(ValueError, match="received none"):
        list(advisories.read(tmp_path))


def test_the_license_of_every_package_is_known_and_allowed():
    packages = dependencies.installed()
    assert len(packages) > 20
    refused = {
        each.name: each.license for each in packages if not dependencies.is_allowed(each.license)
    }
    assert refused == {}


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [("MIT", True), ("MIT AND GPL-3.0-only", False), ("GPL-3.0-only OR MIT", True),
     ("unknown: ", False), ("(MIT AND Zlib) OR AGPL-3.0-only", True)],
)  # fmt: skip
def test_one_license_of_several_is_enough(expression, allowed):
    assert dependencies.is_allowed(expression) is allowed


def test_the_bill_of_materials_names_each_package_once_with_its_hashes():
    own = Package("regbench", "1", "MIT", ("jinja2",))
    jinja = Package("jinja2", "3.1.5", "BSD-3-Clause", ())
    written = sbom.document([jinja, own], lock("3.1.5"), b"")
    assert (written["bomFormat"], written["specVersion"]) == ("CycloneDX", "1.6")
    assert written == sbom.document([jinja, own], lock("3.1.5"), b"")
    (component,) = written["components"]
    assert component["purl"] == "pkg:pypi/jinja2@3.1.5"
    assert component["licenses"] == [{"expression": "BSD-3-Clause"}]
    (file,) = component["externalReferences"]
    assert file["hashes"] == [{"alg": "SHA-256", "content": "0" * 64}]
    assert {"ref": "pkg:pypi/regbench@1", "dependsOn": ["pkg:pypi/jinja2@3.1.5"]} in written[
        "dependencies"
    ]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_hash_with_the_least_permissions(workflow):
    text = workflow.read_text(encoding="utf-8")
    uses = [line.strip("- ") for line in text.splitlines() if "uses:" in line]
    assert uses
    assert [line for line in uses if not PINNED.search(line)] == []
    content = yaml.safe_load(text)
    assert content["permissions"] == {}
    for name, job in content["jobs"].items():
        writes = {scope for scope, access in job["permissions"].items() if access == "write"}
        assert writes <= ({"id-token"} if name == "publish" else set()), name
