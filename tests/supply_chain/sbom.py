"""The bill of materials that comes with a build: what an installation from the lock consists of."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from typing import Any

from tests.supply_chain.dependencies import Package, Pin


def document(packages: Sequence[Package], pins: Sequence[Pin], lock: bytes) -> dict[str, Any]:
    """Return a CycloneDX document of regbench, the first of whose packages is regbench itself.

    The same packages and lock give the same document, serial number included.
    """
    own = next(each for each in packages if each.name == "regbench")
    hashes = {pin.name: pin.hashes for pin in pins}
    digest = hashlib.sha256(repr(packages).encode() + lock).digest()
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=4)}",
        "version": 1,
        "metadata": {"component": _component(own, (), "application")},
        "components": [
            _component(each, hashes.get(each.name, ()), "library")
            for each in packages
            if each is not own
        ],
        "dependencies": [
            {
                "ref": _purl(each),
                "dependsOn": [_purl(other) for other in packages if other.name in each.needs],
            }
            for each in packages
        ],
    }


def _component(package: Package, hashes: Sequence[str], kind: str) -> dict[str, Any]:
    """Return a component; each hash is that of one of its files on the index."""
    files = [
        {
            "type": "distribution",
            "url": f"https://pypi.org/project/{package.name}/{package.version}/",
            "hashes": [{"alg": "SHA-256", "content": each}],
        }
        for each in hashes
    ]
    return {
        "type": kind,
        "bom-ref": _purl(package),
        "name": package.name,
        "version": package.version,
        "purl": _purl(package),
        "licenses": [{"expression": package.license}],
    } | ({"externalReferences": files} if files else {})


def _purl(package: Package) -> str:
    return f"pkg:pypi/{package.name}@{package.version}"
