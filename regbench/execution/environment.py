"""The environment of a run: set up before Keras is imported, then recorded."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from regbench import plugins
from regbench.errors import RegbenchError
from regbench.execution import git, processor, programs

BACKENDS = ("tensorflow", "jax", "torch")
DEVICES = ("auto", "cpu", "gpu")
# The variable with which an executor names the node of its cluster.
NODE = "REGBENCH_NODE"
PACKAGES = ("regbench", "keras", "tensorflow", "jax", "torch", "numpy", "pandas")


@dataclass(frozen=True)
class Runtime:
    """The backend and device of a worker process, and its number of CPU threads."""

    backend: str
    device: str
    threads: int

    def variables(self) -> dict[str, str]:
        """Return the environment variables to set before any numerical library is imported."""
        threads = str(self.threads)
        variables = {
            "KERAS_BACKEND": self.backend,
            "KERAS_HOME": keras_home(),
            "KERAS_NNX_ENABLED": "false",  # a user's keras.json may enable it, on JAX
            "TF_NUM_INTRAOP_THREADS": threads,
            # More than one inter-op thread gains nothing on a network without branches.
            "TF_NUM_INTEROP_THREADS": "1",
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            # oneDNN is off by default on CPUs without AVX-512, but trains 1.4 to 2 times as fast
            # there.
            "TF_ENABLE_ONEDNN_OPTS": "1",
            "TF_CPP_MIN_LOG_LEVEL": "2",
            # Several runs share a card only if none of them takes all of its memory at once.
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        }
        if self.device == "cpu":
            variables |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
        if self.backend == "jax":
            variables["XLA_FLAGS"] = _deterministic(os.environ.get("XLA_FLAGS", ""))
        return variables


def _deterministic(flags: str) -> str:
    """Return XLA's flags with deterministic kernels on GPUs, unless they already decide that."""
    # Without it, XLA times several kernels for a convolution and takes the fastest, which may be
    # another one in the next process; and sums of gradients are added in any order.
    name = "--xla_gpu_deterministic_ops"
    return flags if name in flags else f"{flags} {name}=true".strip()


def choose_backend(asked: str | None) -> str:
    """Return the requested backend, else `KERAS_BACKEND`, else TensorFlow; it must be installed."""
    backend = asked or os.environ.get("KERAS_BACKEND") or "tensorflow"
    source = "--backend" if asked else "KERAS_BACKEND"
    if backend not in BACKENDS:
        raise RegbenchError(
            f"{source}: expected one of {', '.join(BACKENDS)}, received {backend!r}"
        )
    if importlib.util.find_spec(backend) is None:
        raise RegbenchError(
            f"{source}: {backend} is not installed; install the package {backend}, "
            f"such as with: pip install {backend}"
        )
    return backend


def cores() -> int:
    """Return the number of CPU cores that this process may use, by affinity and container quota."""
    if hasattr(os, "sched_getaffinity"):
        available = len(os.sched_getaffinity(0))
    else:
        available = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(available, int(quota) // int(period)))
    except (OSError, ValueError):  # no container, or no quota ("max")
        return available


def free_gpu_memory() -> int:
    """Return the free memory, in bytes, of the NVIDIA GPU that runs use; 0 if there is none.

    Asks the driver: importing a backend takes seconds, and would take the GPU's memory.
    """
    if importlib.util.find_spec("nvidia") is None:  # the libraries that GPU builds depend on
        return 0
    program = programs.find("nvidia-smi")
    if program is None:
        return 0
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]
    query = [program, "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            [*query, f"--id={first}"], capture_output=True, text=True, timeout=10, check=True
        )
        return int(done.stdout) * 2**20
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0


def keras_home() -> str:
    """Return the folder in which Keras looks for its `keras.json`.

    Without `KERAS_HOME`, and with a home that is read-only, Keras would read, and obey,
    `/tmp/.keras/keras.json`, which anyone on the machine can write. Where there is no home, no file
    can be at the path returned.
    """
    try:
        home = Path("~").expanduser()
    except RuntimeError:
        home = Path(os.devnull)
    return os.environ.get("KERAS_HOME") or str(home / ".keras")


def settle(runtime: Runtime) -> None:
    """Make Keras in this process compute as recorded: reproducible, float32, channels last.

    Raises RegbenchError if a GPU was requested and the backend sees none.
    """
    import keras

    # A user's keras.json may set other values, which would silently change every result.
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    if runtime.backend == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
        # Determinism requires a global seed; everything random in a run has its own seed.
        tensorflow.random.set_seed(0)
    if runtime.device == "gpu" and not any("gpu" in name or "cuda" in name for name in devices()):
        raise RegbenchError(
            f"--device gpu: {runtime.backend} sees no GPU here; use --device cpu, or a GPU build"
        )


def devices() -> list[str]:
    """Return the names of the devices that Keras' backend sees, in lower case."""
    import keras

    if keras.backend.backend() == "torch":  # Keras lists no devices for it
        import torch

        return [f"cuda:{index}" for index in range(torch.cuda.device_count())] or ["cpu"]
    return [str(name).lower() for name in keras.distribution.list_devices()]


def describe(
    runtime: Runtime, command: Sequence[str], used: Mapping[str, str] | None = None
) -> dict[str, object]:
    """Return what `environment.json` records of this process and machine.

    `git_commit` is that of regbench's own source, null if it was installed from a package, whose
    version identifies it; `folder_commit` is that of the current folder, which may have configs and
    plugins. Neither shows whether files differ from the commit. `used` are the plugins that the run
    needs, as `Experiment.plugins` has them. `node` is there on a cluster alone.
    """
    node = os.environ.get(NODE)
    return {
        "command": list(command),
        "backend": runtime.backend,
        "device": runtime.device,
        "devices": devices(),
        "threads": runtime.threads,
        "cores": cores(),
        "cpu": processor.name(),
        "processor": processor.describe(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "packages": versions(),
        "git_commit": git.source_commit(),
        "folder_commit": git.commit(Path()),
        "plugins": plugins.describe(used or {}),
        **({"node": node} if node else {}),
    }


def apply(variables: Mapping[str, str]) -> None:
    """Set environment variables in this process."""
    os.environ.update(variables)


@contextlib.contextmanager
def safe_path() -> Iterator[None]:
    """Keep Python processes started in this block from importing files of the current folder.

    `python -c`, as which multiprocessing starts its processes, looks there first: a `socket.py`
    beside a config from a stranger would run as code. multiprocessing sends `sys.path` afterwards,
    so that what its caller can import, a worker can.
    """
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


def versions() -> dict[str, str]:
    """Return the versions of installed packages that a result may depend on."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def command_line() -> list[str]:
    """Return the command that started this process, without the folder of its program."""
    program = Path(sys.argv[0]).name
    started = ["python", "-m", "regbench"] if program == "__main__.py" else [program]
    return [*started, *sys.argv[1:]]
