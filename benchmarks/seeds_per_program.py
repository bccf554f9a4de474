"""Several seeds of a config in one JAX program by `vmap`, against one seed after the other.

    KERAS_BACKEND=jax python benchmarks/seeds_per_program.py [--seeds 4] [--networks cnn mlp]

Every seed has its own examples, their order, weights and random states, as its run has. Both ways
make the same updates in compiled epochs, in interleaved rounds; that they are the same is checked:
the losses of every update must agree to 1e-5. Prints a line of JSON for each network. The time is
that of the clock on a GPU; on a CPU it is processor time, which other processes disturb less.

This is a prototype: `regbench run` trains one seed per program. `make gpu` calls it on a GPU.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from regbench import config, datasets
from regbench.config import Experiment
from regbench.datasets import Splits
from regbench.execution import environment
from regbench.execution.environment import Runtime
from regbench.models.batches import ordered
from regbench.models.build import build, compile_model
from regbench.training.compiled_epochs import _pick_examples, _Program

NETWORKS = {
    "cnn": ["model.blocks=[8, 16]", "model.convolutions=1", "model.dense=[32]"],
    "mlp": ["model.name=mlp", "model.dense=[128, 128]"],
    "baseline": [],
    "batch_norm": ["batch_norm=true"],
    "resnet20": ["model.name=resnet20"],
    "large mlp": ["model.name=mlp"],
}
# Float additions in another order may change a loss by this much, relatively.
TOLERANCE = 1e-5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=["cnn", "mlp"])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    environment.settle(Runtime("jax", "auto", environment.cores()))
    for network in options.networks:
        sizes = [f"data.train_examples={options.images}", f"train.batch_size={options.batch}"]
        data = ["data.name=shapes", "data.test_examples=10", "train.epochs=1000"]
        made = config.load("configs/baseline.yaml", [*data, *sizes, *NETWORKS[network]])
        seeds = [made.with_seed(seed) for seed in range(options.seeds)]
        found = measured(seeds, options.rounds)
        print(json.dumps({"network": network, "seeds": len(seeds), **found}), flush=True)


def measured(seeds: list[Experiment], rounds: int) -> dict[str, Any]:
    """Return the seconds of both ways in each round, an epoch each, and how far losses differ."""
    import jax

    splits = [datasets.load(each.data, each.seed_of("data")) for each in seeds]
    program, states = prepared(seeds, splits)
    data = [(one.train_images, one.train_labels.astype(np.int32)) for one in splits]
    together = stacked(states), stacked([jax.device_put(each) for each in data])
    apart = list(zip(states, [jax.device_put(each) for each in data], strict=True))
    single = jax.jit(program._loop)
    several = jax.jit(jax.vmap(program._loop, in_axes=(0, 0, None, None)))
    times: dict[str, list[float]] = {"together": [], "apart": []}
    compiling, furthest = {}, 0.0
    for number in range(rounds + 1):
        orders = [order(*each, number + 1) for each in zip(seeds, splits, strict=True)]
        stop = np.int32(len(orders[0]))
        begun = now()
        (state, losses, _) = several(
            together[0], (*together[1], jax.numpy.stack(orders)), np.int32(0), stop
        )
        losses = np.asarray(losses)  # waits for the device
        seconds = {"together": now() - begun}
        together = state, together[1]
        begun, singly, after = now(), [], []
        for (own, pixels), order_of_one in zip(apart, orders, strict=True):
            own, its_losses, _ = single(own, (*pixels, order_of_one), np.int32(0), stop)
            singly.append(np.asarray(its_losses))
            after.append((own, pixels))
        seconds["apart"] = now() - begun
        apart = after
        # Both ways start each epoch alike: what is compared is the program, not how rounding grows.
        together = stacked([own for own, _ in apart]), together[1]
        furthest = max(furthest, float(np.max(np.abs(losses / np.stack(singly) - 1))))
        if number == 0:
            compiling = seconds
            continue
        for way, each in seconds.items():
            times[way].append(each)
    ratios = [one / both for one, both in zip(times["apart"], times["together"], strict=True)]
    return {
        "updates": int(stop),
        "first_epoch_with_compilation": compiling,
        "epoch": times,
        "apart_over_together": {"median": statistics.median(ratios), "lowest": min(ratios)},
        "largest_relative_difference_of_a_loss": furthest,
        "equal": furthest <= TOLERANCE,
    }


def prepared(seeds: list[Experiment], splits: list[Splits]) -> tuple[_Program, list[Any]]:
    """Return the program of one seed's model, and the state of each seed: its variables' values."""
    states, program = [], None
    for experiment, one in zip(seeds, splits, strict=True):
        model = build(experiment, one.train_images.shape[1:], len(one.classes))
        compile_model(model, experiment, len(one.train_labels) // experiment.train.batch_size)
        own = _Program(model, _pick_examples)
        states.append([[each.value for each in group] for group in own._variables()])
        program = program or own
    assert program is not None
    return program, states


def order(experiment: Experiment, splits: Splits, epoch: int) -> Any:
    """Return an epoch's full batches as indices of examples, int32 (steps, batch)."""
    import jax

    size = experiment.train.batch_size
    full = len(splits.train_labels) // size
    chosen = ordered(experiment, splits, epoch)[: full * size]
    return jax.device_put(chosen.reshape(full, size).astype(np.int32))


def stacked(trees: list[Any]) -> Any:
    """Return trees of equal arrays as one, with an axis for the seeds in front."""
    import jax

    return jax.tree.map(lambda *each: jax.numpy.stack(each), *trees)


def now() -> float:
    """Return seconds: of the clock on a GPU, of this process' processor time on a CPU."""
    import jax

    clock: Callable[[], float] = time.perf_counter
    if jax.default_backend() == "cpu":
        clock = time.process_time
    return clock()


if __name__ == "__main__":
    main()
