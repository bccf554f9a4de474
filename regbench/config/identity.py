"""The identity of a config and of a run: the hash of its values, and the name of its folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping


def run_name(name: str, config_hash: str, seed: int) -> str:
    """Return the name of a run's folder."""
    return f"{name}-{config_hash}-s{seed}"


def digest(changed: Mapping[str, object]) -> str:
    """Return the hash of a config, given the values that it is computed from."""
    canonical = json.dumps(changed, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]
