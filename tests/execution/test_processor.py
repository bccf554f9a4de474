"""The processor is described in full where the system tells, and without an error elsewhere."""

from __future__ import annotations

import json

from regbench.execution import processor

X86 = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 1
model name\t: AMD EPYC 7B13
stepping\t: 0
flags\t\t: fpu sse4_1 sse4_2 smep fma avx avx2 avx512f bmi2 f16c amx_bf16
power management:

processor\t: 1
model name\t: another
"""
ARM = """processor\t: 0
Features\t: fp asimd aes sve i8mm
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: 0xd40
CPU revision\t: 1
"""


def described(monkeypatch, text: str) -> dict:
    monkeypatch.setattr(processor.Path, "read_text", lambda path: text)
    return processor.describe()


def test_the_description_names_what_numerical_libraries_choose_kernels_by(monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    found = described(monkeypatch, X86)
    assert (found["model"], found["vendor"]) == ("AMD EPYC 7B13", "AuthenticAMD")
    assert found["family"] == "25.1.0"
    sets = ["amx_bf16", "avx", "avx2", "avx512f", "f16c", "fma", "sse4_1", "sse4_2"]
    assert found["instruction_sets"] == sets
    assert found["onednn"] == {"TF_ENABLE_ONEDNN_OPTS": "1", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    assert found["cores"] >= 1


def test_other_architectures_and_systems_are_described_as_far_as_they_tell(monkeypatch):
    found = described(monkeypatch, ARM)
    assert (found["vendor"], found["family"]) == ("0x41", "8.0x1.0xd40.1")
    assert found["instruction_sets"] == ["asimd", "i8mm", "sve"]

    def missing(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr(processor.Path, "read_text", missing)
    found = processor.describe()
    assert found["model"]
    assert found["vendor"] is found["family"] is None
    assert found["instruction_sets"] == []
    json.dumps(found, allow_nan=False)
