"""Describes the processor, to explain why two machines differ in the last bits of a result."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path

# Numerical libraries choose kernels by these flags, and kernels add in different orders.
INSTRUCTION_SETS = ("sse4", "avx", "fma", "f16c", "amx", "asimd", "sve", "bf16", "i8mm")
# Variables that make oneDNN use other kernels than the best ones for the processor.
ONEDNN = ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")


def name() -> str:
    """Return the processor's name."""
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def describe() -> dict[str, object]:
    """Return what `environment.json` records about the processor; None for unknown values.

    `cores` counts all cores of the machine, even those that this process may not use.
    """
    found = _cpuinfo()
    flags = (found.get("flags") or found.get("Features") or "").split()
    return {
        "model": name(),
        "vendor": found.get("vendor_id") or found.get("CPU implementer"),
        "family": _joined(found.get, "cpu family", "model", "stepping")
        or _joined(found.get, "CPU architecture", "CPU variant", "CPU part", "CPU revision"),
        "architecture": platform.machine(),
        "instruction_sets": sorted({flag for flag in flags if flag.startswith(INSTRUCTION_SETS)}),
        "cores": os.cpu_count(),
        "onednn": {key: os.environ[key] for key in ONEDNN if key in os.environ},
    }


def _joined(get: Callable[[str], str | None], *keys: str) -> str | None:
    values = [get(key) for key in keys]
    return ".".join(filter(None, values)) or None


def _cpuinfo() -> dict[str, str]:
    """Return Linux's description of the first core; empty on other systems."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}
