"""The rival of whole runs: the script that a Keras user writes, and runs once for each variant.

    python keras_script.py DATA.npz FOLDER [--dropout 0.5] [--l2 5e-4] [--batch-norm] ...

Trains on the data's training images, validates on its test images after each epoch, and saves the
model and the history.
"""

import argparse
import csv
from pathlib import Path

import keras
import numpy as np
from keras import layers, regularizers


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--blocks", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--convolutions", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--cosine", action="store_true")
    parser.add_argument("--l1", type=float, default=0.0)
    parser.add_argument("--l2", type=float, default=0.0)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--batch-norm", action="store_true")
    parser.add_argument("--average-pooling", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    keras.utils.set_random_seed(options.seed)
    with np.load(options.data) as data:
        train = data["train_images"].astype("float32") / 255, data["train_labels"]
        test = data["test_images"].astype("float32") / 255, data["test_labels"]
    rate = options.rate
    if options.cosine:
        steps = options.epochs * -(-len(train[1]) // options.batch)
        rate = keras.optimizers.schedules.CosineDecay(rate, steps)
    model = network(train[0].shape[1:], options)
    model.compile(
        keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    fitted = model.fit(
        *train,
        batch_size=options.batch,
        epochs=options.epochs,
        validation_data=test,
        verbose=0,
    )
    options.folder.mkdir(parents=True, exist_ok=True)
    model.save(options.folder / "model.keras")
    with (options.folder / "history.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(fitted.history)
        writer.writerows(zip(*fitted.history.values(), strict=True))


def network(shape, options):
    def penalty():
        return regularizers.L1L2(options.l1, options.l2) if options.l1 or options.l2 else None

    model = keras.Sequential([keras.Input(shape)])
    for channels in options.blocks:
        for _ in range(options.convolutions):
            model.add(layers.Conv2D(channels, 3, padding="same", kernel_regularizer=penalty()))
            if options.batch_norm:
                model.add(layers.BatchNormalization())
            model.add(layers.ReLU())
        model.add(layers.AveragePooling2D(2) if options.average_pooling else layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(128, activation="relu", kernel_regularizer=penalty()))
    if options.dropout:
        model.add(layers.Dropout(options.dropout))
    model.add(layers.Dense(10, activation="softmax", kernel_regularizer=penalty()))
    return model


if __name__ == "__main__":
    main()
