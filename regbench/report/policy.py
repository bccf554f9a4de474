"""The Content-Security-Policy of a page: it runs its own scripts, known by their SHA-256."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable


def policy(scripts: Iterable[str], further: str) -> str:
    """Return a policy that allows these scripts, styles in the page, and the `further` rules."""
    digests = [hashlib.sha256(script.encode()).digest() for script in scripts]
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; {further}; "
        "base-uri 'none'; form-action 'none'"
    )
