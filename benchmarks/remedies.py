"""What might make a training step faster on a processor without AVX-512, each thing tried in turn.

    python remedies.py [--rounds N] [--steps N] [--only NAME]... [--output remedies.md]

Every remedy trains the baseline's layers on one batch of 128 images in a process of its own, on one
thread unless it says otherwise. The processes take turns within a round, and the ratio is that of
the unchanged step's seconds to the remedy's in the same round: above 1, the remedy is faster. CPU
seconds are less disturbed by other work on the machine than those of the clock. A remedy is exact
if the weights are byte for byte those of the unchanged step after its first updates.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

BATCH = 128
UPDATES_TO_COMPARE = 3
UNCHANGED = "unchanged"
Step = Callable[[], object]


@dataclass(frozen=True)
class Remedy:
    """A change: environment variables, a change of the model, or another way to train it."""

    note: str
    variables: dict[str, str] = field(default_factory=dict)
    change: Callable[[Any], None] | None = None
    train: Callable[[Any, Any, Any], Step] | None = None
    padded_channels: int = 0
    before: Callable[[], None] | None = None
    jit: bool = False
    # Compared by the clock alone: CPU seconds of two threads are not those of one.
    threads: int = 1


@dataclass
class Times:
    """Seconds of a remedy, a number for each round, and a digest of the weights it reached."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    weights: str = ""


# Changes of the kernels' gradient. `images` are (n, h, w, c), `outputs` the gradient that arrives,
# (n, h, w, d); each returns (3, 3, c, d) for a stride of 1 and "same" padding.


def patches(images: Any, outputs: Any) -> Any:
    """One product with all patches of the images, nine times as large as the images."""
    import tensorflow as tf

    channels, filters = images.shape[3], outputs.shape[3]
    ones = [1, 1, 1, 1]
    found = tf.image.extract_patches(images, [1, 3, 3, 1], ones, ones, "SAME")
    rows = tf.reshape(found, [-1, 9 * channels])
    product = tf.matmul(rows, tf.reshape(outputs, [-1, filters]), transpose_a=True)
    return tf.reshape(product, [3, 3, channels, filters])


def shifted(images: Any, outputs: Any) -> Any:
    """Nine products, each with the images shifted by another offset."""
    import tensorflow as tf

    height, width, channels = images.shape[1:]
    filters = outputs.shape[3]
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]])
    flat = tf.reshape(outputs, [-1, filters])
    products = [
        tf.matmul(
            tf.reshape(padded[:, row : row + height, column : column + width], [-1, channels]),
            flat,
            transpose_a=True,
        )
        for row in range(3)
        for column in range(3)
    ]
    return tf.reshape(tf.stack(products), [3, 3, channels, filters])


def rows_first(images: Any, outputs: Any) -> Any:
    """Three products: with rows outermost, a shift by a row copies nothing."""
    import tensorflow as tf

    height, width, channels = images.shape[1:]
    filters = outputs.shape[3]
    padded = tf.pad(tf.transpose(images, [1, 0, 2, 3]), [[1, 1], [0, 0], [1, 1], [0, 0]])
    wide = tf.concat([padded[:, :, column : column + width] for column in range(3)], -1)
    flat = tf.reshape(tf.transpose(outputs, [1, 0, 2, 3]), [-1, filters])
    products = [
        tf.matmul(tf.reshape(wide[row : row + height], [-1, 3 * channels]), flat, transpose_a=True)
        for row in range(3)
    ]
    return tf.reshape(tf.stack(products), [3, 3, channels, filters])


def forward(images: Any, outputs: Any) -> Any:
    """A forward convolution with batch and channels exchanged, for which a fast kernel exists."""
    import tensorflow as tf

    padded = tf.pad(tf.transpose(images, [3, 1, 2, 0]), [[0, 0], [1, 1], [1, 1], [0, 0]])
    found = tf.nn.conv2d(padded, tf.transpose(outputs, [1, 2, 0, 3]), 1, "VALID")
    return tf.transpose(found, [1, 2, 0, 3])


def rows_first_where_faster(images: Any, outputs: Any) -> Any:
    """`rows_first` for the layer where it is faster by itself."""
    import tensorflow as tf

    if images.shape[3] >= 64 and images.shape[3] < outputs.shape[3]:
        return rows_first(images, outputs)
    return tf.raw_ops.Conv2DBackpropFilter(
        input=images,
        filter_sizes=[3, 3, images.shape[3], outputs.shape[3]],
        out_backprop=outputs,
        strides=[1, 1, 1, 1],
        padding="SAME",
    )


def with_gradient(gradient: Callable[[Any, Any], Any]) -> Callable[[Any], None]:
    """Return a change of a model: its convolutions get another gradient of their kernels."""

    def change(model: Any) -> None:
        import keras
        import tensorflow as tf

        @tf.custom_gradient
        def convolve(images: Any, kernel: Any) -> Any:
            def gradients(outputs: Any) -> tuple[Any, Any]:
                inputs = tf.raw_ops.Conv2DBackpropInput(
                    input_sizes=tf.shape(images),
                    filter=kernel,
                    out_backprop=outputs,
                    strides=[1, 1, 1, 1],
                    padding="SAME",
                )
                whole = tf.ensure_shape(images, [BATCH, *images.shape[1:]])
                return inputs, gradient(
                    whole, tf.ensure_shape(outputs, [BATCH, *outputs.shape[1:]])
                )

            return tf.nn.conv2d(images, kernel, 1, "SAME"), gradients

        for layer in model.layers:
            if isinstance(layer, keras.layers.Conv2D):
                layer.convolution_op = lambda inputs, kernel: convolve(
                    tf.convert_to_tensor(inputs), tf.convert_to_tensor(kernel)
                )

    return change


def in_parts(parts: int) -> Callable[[Any, Any, Any], Step]:
    """Return a way to train: gradients of parts of a batch, which fit the cache better, summed."""

    def train(model: Any, images: Any, labels: Any) -> Step:
        import keras
        import tensorflow as tf

        loss = keras.losses.SparseCategoricalCrossentropy()
        size = BATCH // parts

        @tf.function
        def step(images: Any, labels: Any) -> None:
            total = None
            for first in range(0, BATCH, size):
                with tf.GradientTape() as tape:
                    predicted = model(images[first : first + size], training=True)
                    value = loss(labels[first : first + size], predicted) / parts
                own = tape.gradient(value, model.trainable_weights)
                pairs = zip(total, own, strict=True) if total else ()
                total = [one + other for one, other in pairs] if total else own
            model.optimizer.apply(total, model.trainable_weights)

        images, labels = tf.constant(images), tf.constant(labels)
        return lambda: step(images, labels)

    return train


def without_grappler() -> None:
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def without_remapper() -> None:
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"remapping": False})


def channels_first() -> None:
    import keras

    keras.config.set_image_data_format("channels_first")


def bfloat16() -> None:
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")


MALLOC = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "8589934592"}
REMEDIES = {
    UNCHANGED: Remedy("the step of a run"),
    "unchanged, again": Remedy("a second process: how far two equal ones differ"),
    "oneDNN off": Remedy("TensorFlow's default without AVX-512", {"TF_ENABLE_ONEDNN_OPTS": "0"}),
    "XLA": Remedy("`jit_compile=True`", jit=True),
    "halves of a batch": Remedy("two gradients, summed", train=in_parts(2)),
    "quarters of a batch": Remedy("four gradients, summed", train=in_parts(4)),
    "one custom step": Remedy("the halves' code with one part", train=in_parts(1)),
    "gradient by patches": Remedy(
        "one product with all patches of the images", change=with_gradient(patches)
    ),
    "gradient by nine products": Remedy(
        "one for each offset of the images", change=with_gradient(shifted)
    ),
    "gradient by three products": Remedy(
        "rows outermost: a shift by a row copies nothing", change=with_gradient(rows_first)
    ),
    "gradient by three products, one layer": Remedy(
        "only where it is faster by itself: 64 to 128 channels",
        change=with_gradient(rows_first_where_faster),
    ),
    "gradient by a forward convolution": Remedy(
        "batch and channels exchanged, a fast kernel", change=with_gradient(forward)
    ),
    "first layer of 4 channels": Remedy("a channel of zeros beside the three", padded_channels=4),
    "first layer of 8 channels": Remedy("five channels of zeros", padded_channels=8),
    "channels first": Remedy("NCHW instead of NHWC", before=channels_first),
    "no Grappler": Remedy("no rewriting of the graph", before=without_grappler),
    "no remapper": Remedy("no fusion of bias and activation", before=without_remapper),
    "smaller kernels of oneDNN": Remedy("SSE4.1 instead of AVX2", {"ONEDNN_MAX_CPU_ISA": "SSE41"}),
    "no primitive cache": Remedy(
        "oneDNN's own; TensorFlow's stays", {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "0"}
    ),
    "memory of primitives kept": Remedy(
        "TensorFlow caches more primitives", {"TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE": "false"}
    ),
    "memory not returned": Remedy("glibc keeps what is freed: no page is mapped twice", MALLOC),
    "huge pages": Remedy(
        "glibc asks for them, and keeps what is freed",
        {**MALLOC, "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
    ),
    "bfloat16": Remedy("8 bits of precision: not acceptable, measured only", before=bfloat16),
    "two threads": Remedy("in one process; by the clock", threads=2),
    "two threads, pinned": Remedy(
        "and OpenMP bound to them; by the clock",
        {"OMP_PROC_BIND": "true", "KMP_AFFINITY": "granularity=fine,compact"},
        threads=2,
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--only", action="append", choices=REMEDIES, default=[])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(REMEDIES[options.serve], options.steps)
        return
    asked = [UNCHANGED, *options.only] if options.only else [*REMEDIES]
    text = ""
    for found in measure(list(dict.fromkeys(asked)), options.rounds, options.steps):
        text = table(found)
        if options.output:  # after each round, so that an interruption loses little
            options.output.write_text(text)
    print(text, end="")


def measure(names: list[str], rounds: int, steps: int) -> Iterator[dict[str, Times]]:
    """Yield, after each round, the times so far of each remedy that could be trained."""
    found: dict[str, Times] = {}
    with contextlib.ExitStack() as stack:
        workers = {}
        for name in names:  # one after another, since starting and compiling disturbs
            worker = stack.enter_context(_worker(name, steps))
            ready = _answer(worker)
            if ready:
                workers[name] = worker
                found[name] = Times(weights=ready["weights"])
            print(f"{name}: {'ready' if ready else 'failed'}", file=sys.stderr)
        for _ in range(rounds):
            for name, worker in workers.items():
                _stream(worker.stdin).write("go\n")
                _stream(worker.stdin).flush()
                seconds = _answer(worker)
                found[name].cpu.append(seconds["cpu"])
                found[name].wall.append(seconds["wall"])
            yield found


def table(found: dict[str, Times]) -> str:
    """Return the remedies as a Markdown table, the fastest first."""
    from regbench.execution import processor

    base = found[UNCHANGED]
    rows = []
    for name, times in found.items():
        if name == UNCHANGED:
            continue
        alike = REMEDIES[name].threads == 1
        pairs = zip(*((each.cpu if alike else each.wall) for each in (base, times)), strict=True)
        ratios = [one / other for one, other in pairs]
        exact = "yes" if times.weights == base.weights else "no"
        rows.append((statistics.median(ratios), min(ratios), max(ratios), name, exact))
    lines = [
        f"{processor.name()}; {len(base.cpu)} rounds; an unchanged step takes "
        f"{statistics.median(base.cpu):.3f} s of CPU time.",
        "",
        "| remedy | ratio of speeds, median | lowest | highest | exact | note |",
        "|---|---:|---:|---:|---|---|",
    ]
    for middle, low, high, name, exact in sorted(rows, reverse=True):
        numbers = f"{middle:.2f} | {low:.2f} | {high:.2f}"
        lines.append(f"| {name} | {numbers} | {exact} | {REMEDIES[name].note} |")
    missing = [name for name in REMEDIES if name not in found]
    if missing and len(found) > 1:
        lines += ["", f"Not measured here: {', '.join(missing)}."]
    return "\n".join(lines) + "\n"


def serve(remedy: Remedy, steps: int) -> None:
    """Train in this process: some steps whenever a line arrives on the standard input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print
    step, weights = prepare(remedy)
    print(json.dumps({"weights": weights}), file=answers, flush=True)
    for _ in sys.stdin:
        step()
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(steps):
            step()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(json.dumps({"wall": wall / steps, "cpu": cpu / steps}), file=answers, flush=True)


def prepare(remedy: Remedy) -> tuple[Step, str]:
    """Return a step of the remedy, and a digest of the weights after its first updates."""
    import numpy as np

    from regbench.execution import environment
    from regbench.execution.environment import Runtime

    environment.settle(Runtime("tensorflow", "cpu", remedy.threads))
    if remedy.before:
        remedy.before()
    from regbench import config
    from regbench.models.build import build, compile_model

    rng = np.random.default_rng(0)
    channels = remedy.padded_channels or 3
    images = np.zeros((BATCH, 32, 32, channels), np.float32)
    images[..., :3] = rng.random((BATCH, 32, 32, 3), np.float32)
    labels = rng.integers(0, 10, BATCH)
    if remedy.before is channels_first:
        images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    experiment = config.load("configs/baseline.yaml")
    model = build(experiment, images.shape[1:], 10)
    if remedy.change:
        remedy.change(model)
    compile_model(model, experiment, steps_per_epoch=1)
    if remedy.jit:
        model.jit_compile = True
    step: Step = lambda: model.train_on_batch(images, labels)  # noqa: E731
    if remedy.train:
        step = remedy.train(model, images, labels)
    for _ in range(UPDATES_TO_COMPARE):
        step()
    digest = hashlib.sha256()
    for each in model.get_weights():
        digest.update(np.asarray(each).tobytes())
    return step, digest.hexdigest()


@contextlib.contextmanager
def _worker(name: str, steps: int) -> Iterator[subprocess.Popen[str]]:
    from regbench.execution.environment import Runtime

    remedy = REMEDIES[name]
    variables = Runtime("tensorflow", "cpu", remedy.threads).variables() | remedy.variables
    command = [sys.executable, __file__, "--serve", name, "--steps", str(steps)]
    worker = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | variables,
    )
    try:
        yield worker
    finally:
        worker.kill()
        worker.wait()


def _answer(worker: subprocess.Popen[str]) -> dict[str, Any]:
    """Return what a worker printed; nothing if it has died."""
    line = _stream(worker.stdout).readline()
    return json.loads(line) if line else {}


def _stream(stream: IO[str] | None) -> IO[str]:
    assert stream
    return stream


if __name__ == "__main__":
    main()
