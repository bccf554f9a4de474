"""The rival: the script that a Keras user writes, with the library's defaults.

    python keras_fit.py DATA.npz EPOCHS

Trains the baseline's layers with `fit` on NumPy arrays and prints one line of JSON.
"""

import json
import sys
import time

import keras
import numpy as np

BATCH = 128


class EpochTimes(keras.callbacks.Callback):
    """Notes when each epoch begins; hooks at batches would slow `fit` down."""

    def __init__(self):
        super().__init__()
        self.begun = []

    def on_epoch_begin(self, epoch, logs=None):
        self.begun.append(time.perf_counter())


def main(path, epochs):
    keras.utils.set_random_seed(0)
    with np.load(path) as data:
        images, labels = data["images"].astype("float32") / 255, data["labels"]
    layers = [keras.Input(images.shape[1:])]
    for channels in (32, 64, 128):
        for _ in range(2):
            layers.append(keras.layers.Conv2D(channels, 3, padding="same", activation="relu"))
        layers.append(keras.layers.MaxPooling2D())
    layers += [
        keras.layers.Flatten(),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    times = EpochTimes()
    model.fit(images, labels, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[times])
    ends = [*times.begun[1:], time.perf_counter()]
    seconds = [end - begin for begin, end in zip(times.begun, ends, strict=True)]
    print(json.dumps({"images": len(labels), "seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
