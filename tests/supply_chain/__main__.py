"""The supply chain: `python -m tests.supply_chain audit COPY|licenses|sbom FILE`.

`audit` fails on a known vulnerability in requirements.lock, `licenses` lists the license of each
package and fails on one that is not allowed, `sbom` writes a bill of materials.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.supply_chain import advisories, dependencies, sbom


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.supply_chain", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("audit").add_argument("copy", type=Path, help="of the OSV advisories")
    commands.add_parser("licenses")
    commands.add_parser("sbom").add_argument("file", type=Path)
    asked = parser.parse_args()
    lock = dependencies.LOCK.read_bytes()
    pins = dependencies.pins(lock.decode())
    if asked.command == "audit":
        found = advisories.found(pins, advisories.read(asked.copy))
        print("\n".join(found) or f"No known vulnerability in {len(pins)} packages of the lock")
        return 1 if found else 0
    packages = dependencies.installed()
    if asked.command == "licenses":
        bad = [each.name for each in packages if not dependencies.is_allowed(each.license)]
        for each in packages:
            print(f"{each.name:<28} {each.version:<16} {each.license}")
        if bad:
            print(f"not allowed, or not known: {', '.join(bad)}", file=sys.stderr)
        return 1 if bad else 0
    asked.file.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps(sbom.document(packages, pins, lock), indent=2)
    asked.file.write_text(content + "\n", encoding="utf-8")
    print(f"{asked.file}: {len(packages) - 1} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
