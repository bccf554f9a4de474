"""Run folders with plausible contents, written by the code that a run uses, without training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from regbench import config
from regbench.config import Experiment
from regbench.runs import gap_ledger
from regbench.runs.folder import RunFolder
from regbench.runs.gap_ledger import OnBatches, TrainingMode
from regbench.runs.probe_results import (
    DETAILS,
    BatchNorm,
    Bin,
    Details,
    Dropout,
    Dropped,
    Findings,
    Histogram,
    Kernel,
    Mistake,
    NormalizedLayer,
    Numbers,
    Pixels,
    Predictions,
    Quality,
)
from regbench.runs.summary import Summary

CLASSES = ["disk", "ring", "<b>tri&angle</b>"]
ENVIRONMENT = {
    "command": ["regbench", "run", "configs/baseline.yaml", "--seeds", "0-4"],
    "backend": "tensorflow", "device": "cpu", "devices": ["cpu:0"], "threads": 1, "cores": 2,
    "cpu": "A processor", "platform": "Linux", "python": "3.11.2",
    "packages": {"keras": "3.15.1", "numpy": "2.4.6"}, "git_commit": "0123456789abcdef",
}  # fmt: skip


TWENTY = (
    "all", "average_pooling", "baseline", "batch_norm", "batch_norm_after_activation", "crop",
    "dropout", "dropout_conv", "global_average_pooling", "global_max_pooling", "l1", "l1_l2", "l2",
    "lp", "max_pooling", "no_pooling", "notes_batch_norm", "notes_dropout", "overlapping_pooling",
    "quick",
)  # fmt: skip


def twenty() -> list[Experiment]:
    """Return the experiments of twenty shipped configs."""
    return [config.load(f"configs/{name}.yaml") for name in TWENTY]


def write(results: Path, experiments: list[Experiment], seeds=1, epochs=50, probed=True) -> None:
    """Write a finished run of every experiment and seed."""
    for number, experiment in enumerate(experiments):
        for seed in range(seeds):
            write_run(results, experiment.with_seed(seed), number, epochs, probed)


def write_run(
    results: Path,
    experiment: Experiment,
    number: int,
    epochs: int,
    probed: bool,
    data: dict | None = None,
    **environment: object,
) -> RunFolder:
    """Write a finished run that read this data, in an environment that is other in these keys."""
    rng = np.random.default_rng([number, experiment.seed])
    folder = RunFolder.of(results, experiment)
    with folder.lock():
        folder.start(config.dump(experiment), ENVIRONMENT | environment)
        rows = [_row(epoch, number, rng) for epoch in range(epochs + 1)]
        for row in rows[:-1]:
            folder._rows.append(row)  # append() rewrites the file for each row
        folder.append(rows[-1])
        keys: dict[str, object] = {"data": data} if data else {}
        if probed:
            changed = (
                OnBatches(0.5, -0.1, 0.01, 0.005, 16) if experiment.changing("batch") else None
            )
            found = findings(rows[-1], number, rng, changed)
            folder.save(DETAILS, found.save_details)
            keys["probes"] = found.for_summary()
        folder.finish(_summary(experiment, rows).with_keys(**keys))
    return folder


def _row(epoch: int, number: int, rng: np.random.Generator) -> dict:
    learned = 1 - np.exp(-epoch / (4 + number % 5))
    train = 0.1 + (0.9 - 0.015 * number) * learned + rng.normal(0, 0.004)
    test = 0.1 + (0.45 + 0.012 * (number * 7 % 20)) * learned + rng.normal(0, 0.01)
    return {
        "epoch": epoch,
        "seconds": (6 + number + rng.normal(0, 0.2)) * (epoch > 0),
        "learning_rate": 1e-3,
        "train_loss": float(2.3 * (1 - train) ** 1.2 + 0.01) if train < 1 else 0.01,
        "train_accuracy": float(min(train, 1.0)),
        "test_loss": float(2.3 - 1.2 * learned + 0.02 * epoch * (1 - number / 25)),
        "test_accuracy": float(test),
        "reported_loss": float(2.3 - 2.0 * learned) if epoch else None,
        "reported_accuracy": float(min(train - 0.02, 1.0)) if epoch else None,
        "penalty": 0.01 * number,
        "train_evaluated": 500,
        "test_evaluated": 500,
    }


def summary(**keys: object) -> Summary:
    """Return a summary of a finished run, with these keys instead of made-up ones."""
    content = {
        "name": "smoke", "config_hash": "44136fa3", "seed": 0, "status": "completed",
        "epochs": 1, "parameters": 7, "train_accuracy": 0.989, "test_accuracy": 0.541,
        "train_loss": 0.1, "test_loss": 1.5, "gap": 0.448,
    }  # fmt: skip
    return Summary.of(content | keys)


def _summary(experiment: Experiment, rows: list[dict]) -> Summary:
    last = rows[-1]
    return Summary.of({
        "name": experiment.name, "config_hash": experiment.hash, "seed": experiment.seed,
        "status": "completed", "epochs": last["epoch"], "parameters": 550_570,
        "train_accuracy": last["train_accuracy"], "test_accuracy": last["test_accuracy"],
        "train_loss": last["train_loss"], "test_loss": last["test_loss"],
        "gap": last["train_accuracy"] - last["test_accuracy"],
        "seconds": sum(row["seconds"] for row in rows), "images_per_second": 900.0,
    })  # fmt: skip


def findings(
    row: dict, number: int, rng: np.random.Generator, changed: OnBatches | None = None
) -> Findings:
    """Return made-up findings; every other variant has dropout, every third batch normalization."""
    training_mode = TrainingMode(
        row["train_loss"] + 0.2, row["train_accuracy"] - 0.03, 0.004, 0.002, passes=8
    )
    layers = [f"block{block}_conv{index}" for block in (1, 2, 3) for index in (1, 2)]
    layers += ["dense1", "output"]
    numbers = Numbers(
        ledger=gap_ledger.of_row(row, training_mode, changed),
        weights=[
            Kernel(layer=layer, weights=9 * 2**index, one_norm=50.0 * 2**index,
                   two_norm=2.0 + index, sparsity=0.01 * index)
            for index, layer in enumerate(layers)
        ],
        dropout=_dropout(row, rng) if number % 2 else None,
        batch_norm=_batch_norm(row) if number % 3 == 0 else None,
        predictions=Predictions(calibration_error=0.2, train_margin=0.99, test_margin=0.3),
    )  # fmt: skip
    details = Details(
        classes=CLASSES,
        histograms={layer: _histogram(rng.normal(0, 0.1, 2000), 0.4, 41) for layer in layers},
        reliability=[
            Bin(confidence=(index + 0.5) / 15, accuracy=(index + 0.5) / 18, examples=40)
            for index in range(5, 15)
        ],
        margins={
            "train": _histogram(np.clip(rng.normal(0.9, 0.2, 500), -1, 1), 1, 40),
            "test": _histogram(np.clip(rng.normal(0.3, 0.6, 500), -1, 1), 1, 40),
        },
        confusion=[[90, 7, 3], [12, 80, 8], [5, 20, 75]],
        mistakes=[Mistake(truth=0, predicted=2, confidence=0.99 - 0.01 * i) for i in range(8)],
        mistake_images=Pixels.of(rng.integers(0, 256, (8, 32, 32, 3), np.uint8)),
        filters=Pixels.of(rng.integers(0, 256, (32, 3, 3, 3), np.uint8)),
    )
    return Findings(numbers=numbers, details=details)


def _dropout(row: dict, rng: np.random.Generator) -> Dropout:
    scaled = Quality(accuracy=row["test_accuracy"], loss=row["test_loss"])
    passes = [1, 2, 4, 8, 16, 32, 64]
    return Dropout(
        layers=[Dropped(layer="dense1_dropout", rate=0.5, dropped=0.4996)],
        examples=1000,
        weight_scaling=scaled,
        passes=passes,
        ensemble=[
            Quality(accuracy=row["test_accuracy"] - 0.06 / count, loss=row["test_loss"])
            for count in passes
        ],
    )


def _batch_norm(row: dict) -> BatchNorm:
    quality = Quality(accuracy=row["test_accuracy"], loss=row["test_loss"])
    layer = NormalizedLayer(layer="dense1_batch_norm", mean_shift=0.05, variance_ratio=1.1)
    return BatchNorm(
        layers=[layer], examples=1000, moving=quality, batch=quality, recalibrated=quality
    )


def _histogram(values: np.ndarray, limit: float, bins: int) -> Histogram:
    counts, _ = np.histogram(values, bins, (-limit, limit))
    return Histogram(low=-float(limit), high=float(limit), counts=counts.tolist())
