"""The runtime is settled before Keras is imported, and recorded as it was."""

import os
import subprocess
import sys

import pytest

from regbench.errors import RegbenchError
from regbench.execution import environment
from regbench.execution.environment import Runtime


def test_the_backend_is_the_option_then_the_variable_then_tensorflow(monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    assert environment.choose_backend(None) == "tensorflow"
    monkeypatch.setenv("KERAS_BACKEND", "mxnet")
    assert environment.choose_backend("tensorflow") == "tensorflow"
    with pytest.raises(RegbenchError, match=r"KERAS_BACKEND: expected one of .* received 'mxnet'"):
        environment.choose_backend(None)


def test_a_backend_that_is_not_installed_is_refused_with_the_way_to_install_it(monkeypatch):
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RegbenchError, match=r"torch is not installed; .*: pip install torch$"):
        environment.choose_backend("torch")


def test_variables_fix_backend_threads_and_device():
    variables = Runtime("jax", "cpu", 3).variables()
    assert variables["KERAS_BACKEND"] == "jax"
    assert variables["TF_NUM_INTRAOP_THREADS"] == variables["OMP_NUM_THREADS"] == "3"
    assert variables["CUDA_VISIBLE_DEVICES"] == "-1"
    assert "CUDA_VISIBLE_DEVICES" not in Runtime("jax", "auto", 3).variables()


def test_kernels_of_jax_are_deterministic_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=/tmp/x")
    flags = Runtime("jax", "auto", 1).variables()["XLA_FLAGS"]
    assert flags == "--xla_dump_to=/tmp/x --xla_gpu_deterministic_ops=true"
    monkeypatch.setenv("XLA_FLAGS", flags)
    assert Runtime("jax", "auto", 1).variables()["XLA_FLAGS"] == flags
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_deterministic_ops=false")
    chosen = Runtime("jax", "auto", 1).variables()["XLA_FLAGS"]
    assert chosen == "--xla_gpu_deterministic_ops=false"
    assert "XLA_FLAGS" not in Runtime("tensorflow", "auto", 1).variables()


def test_a_users_keras_json_changes_nothing(tmp_path):
    (tmp_path / "keras.json").write_text(
        '{"floatx": "float16", "image_data_format": "channels_first", "backend": "tensorflow", '
        '"epsilon": 0.1}'
    )
    program = (
        "from regbench.execution.environment import Runtime, settle; import keras;"
        "settle(Runtime('tensorflow', 'cpu', 1));"
        "print(keras.config.floatx(), keras.config.image_data_format(), keras.config.epsilon())"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert printed.stdout.split() == ["float32", "channels_last", "1e-07"]


def test_keras_looks_for_its_configuration_at_home_or_nowhere(tmp_path, monkeypatch):
    """With a home that is read-only it would obey a file in /tmp, which is anyone's."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "mine"))
    assert Runtime("jax", "cpu", 1).variables()["KERAS_HOME"] == str(tmp_path / "mine")
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "missing"))
    assert environment.keras_home() == str(tmp_path / "missing" / ".keras")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # a user whom the system does not know
    assert environment.keras_home() == f"{os.devnull}/.keras"


def test_a_gpu_that_is_not_there_is_an_error_with_a_way_out():
    with pytest.raises(RegbenchError, match=r"--device gpu: tensorflow sees no GPU"):
        environment.settle(Runtime("tensorflow", "gpu", 1))


def test_the_description_names_what_a_reader_needs_to_repeat_the_run():
    described = environment.describe(Runtime("tensorflow", "cpu", 2), ["regbench", "run", "x.yaml"])
    assert described["command"] == ["regbench", "run", "x.yaml"]
    assert (described["backend"], described["threads"]) == ("tensorflow", 2)
    assert {"keras", "tensorflow", "numpy"} <= set(described["packages"])
    assert described["cores"] >= 1


def test_a_container_quota_limits_the_cores(monkeypatch):
    monkeypatch.setattr(environment.Path, "read_text", lambda path: "150000 100000")
    assert environment.cores() == 1
    monkeypatch.setattr(environment.Path, "read_text", lambda path: "max 100000")
    assert environment.cores() == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("printed", "visible", "expected"),
    [
        ('[ "$3" = --id=0 ] && echo 8192', None, 8192 * 2**20),
        ('[ "$3" = --id=2 ] && echo 4096', "2,3", 4096 * 2**20),
        ("echo No devices were found; exit 6", None, 0),
        ("echo [N/A]", None, 0),
    ],
)
def test_the_driver_is_asked_for_the_free_memory_of_the_gpu(
    tmp_path, monkeypatch, printed, visible, expected
):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{printed}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: object())
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert environment.free_gpu_memory() == expected


def test_a_machine_without_a_driver_has_no_gpu_memory(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: object())
    assert environment.free_gpu_memory() == 0
