"""Where the time of a training step goes, by kind of TensorFlow operation.

    python operations.py

Says why a training step can't be faster: what is not in a convolution could be saved. Trains the
baseline on one core and prints one line of JSON, the share of each kind in the time of all.
"""

import collections
import json
import tempfile
from pathlib import Path

from regbench.execution import environment
from regbench.execution.environment import Runtime

BATCH, STEPS = 128, 5
KINDS = {
    "convolutions, forward": "FusedConv2D",
    "convolutions, gradient of kernels": "Conv2DBackpropFilter",
    "convolutions, gradient of inputs": "Conv2DBackpropInput",
    "dense layers": "MatMul",
    "pooling": "MaxPool",
    "activations": "Relu",
    "optimizer": "adam/",
}


def main():
    runtime = Runtime("tensorflow", "cpu", 1)
    environment.apply(runtime.variables())
    environment.settle(runtime)
    seconds = collections.Counter()
    for name, duration in profiled_operations():
        seconds[next((kind for kind, part in KINDS.items() if part in name), "the rest")] += (
            duration
        )
    total = sum(seconds.values())
    print(json.dumps({kind: seconds[kind] / total for kind in [*KINDS, "the rest"]}))


def profiled_operations():
    """Yield name and duration of every operation of a few training steps."""
    import tensorflow
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    step = training_step()
    for _ in range(3):
        step()
    with tempfile.TemporaryDirectory() as folder:
        tensorflow.profiler.experimental.start(folder)
        for _ in range(STEPS):
            step()
        tensorflow.profiler.experimental.stop()
        (path,) = Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                name = plane.event_metadata[event.metadata_id].name
                # "layer/Relu:_MklNativeFusedConv2D" is an operation; what runs them has no kind.
                if ":" in name and "::" not in name and not name.startswith("Eager"):
                    yield name, event.duration_ps


def training_step():
    """Return a function that updates the baseline once."""
    import numpy as np

    from regbench import config
    from regbench.models.build import build, compile_model

    rng = np.random.default_rng(0)
    images = rng.random((BATCH, 32, 32, 3), np.float32)
    labels = rng.integers(0, 10, BATCH)
    experiment = config.load("configs/baseline.yaml")
    model = build(experiment, images.shape[1:], 10)
    compile_model(model, experiment, steps_per_epoch=1)
    return lambda: model.train_on_batch(images, labels)


if __name__ == "__main__":
    main()
