"""How much faster a step with batch normalization is for the fused kernel, against Keras' own.

    python batch_norm.py ROUNDS

Trains configs/batch_norm.yaml both ways, in turn, on one core, and prints one line of JSON:
for each round, the time with Keras' layers over the time with the fused kernel.
"""

import json
import sys
import time

import numpy as np

from regbench import config
from regbench.execution import environment
from regbench.execution.environment import Runtime
from regbench.models.build import build, compile_model

BATCH, STEPS = 64, 10


def main():
    runtime = Runtime("tensorflow", "cpu", 1)
    environment.apply(runtime.variables())
    environment.settle(runtime)
    contenders = [training_step(fused) for fused in (False, True)]
    for step in contenders:  # compiles
        step()
    rounds = [[seconds(step) for step in contenders] for _ in range(int(sys.argv[1]))]
    print(json.dumps([unfused / fused for unfused, fused in rounds]))


def training_step(fused):
    """Return a function that updates the network once."""
    import keras

    rng = np.random.default_rng(0)
    images = rng.random((BATCH, 32, 32, 3), np.float32)
    labels = rng.integers(0, 10, BATCH)
    experiment = config.load("configs/batch_norm.yaml")
    model = build(experiment, images.shape[1:], 10)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization) and not fused:
            del layer.call  # what is left is the class's own
    compile_model(model, experiment, steps_per_epoch=1)
    return lambda: model.train_on_batch(images, labels)


def seconds(step):
    began = time.perf_counter()
    for _ in range(STEPS):
        step()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
