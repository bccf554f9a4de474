"""The doctor finds faults of penalties, updates, averages and stopping, each in the right line."""

from __future__ import annotations

import contextlib

import keras
import pytest
from keras import ops

from regbench.doctor import techniques
from regbench.models import build, evaluate, optimizer, weights
from regbench.regularizers import combination, keras_constraints
from regbench.regularizers.averaging import EMA, SWA, _EpochAverage
from regbench.regularizers.early_stopping import EarlyStopping
from regbench.regularizers.gradient_clipping import GradientClipping
from regbench.regularizers.keras_penalties import LpNorm
from regbench.regularizers.penalties import L1, L2
from regbench.regularizers.weight_decay import WeightDecay
from regbench.training import averages, selection
from regbench.training import evaluate as curves
from tests.doctor.examined import failing


def doubled_penalty(patch):
    patch(L2, "kernel_penalty", lambda self: keras.regularizers.L2(2 * self.root))


def squared_l1(patch):
    patch(L1, "kernel_penalty", lambda self: keras.regularizers.L2(self.root))


def other_exponent(patch):
    def penalty(self, kernel):
        return self.strength * ops.sum(ops.power(ops.absolute(kernel), self.p + 0.25))

    patch(LpNorm, "__call__", penalty)


def biases_penalized(patch):
    def with_bias(layer):
        names = [name for name in ("kernel", "bias") if hasattr(layer, name)]
        return [(name, getattr(layer, name)) for name in names]

    patch(weights, "kernels", with_bias)


def penalty_forgotten(patch):
    patch(build, "penalize", lambda model, techniques: None)


def penalty_in_measured_loss(patch):
    measured = curves._measure

    def with_penalty(model, *sets):
        found = measured(model, *sets)
        found.columns["test_loss"] += evaluate.penalty(model)
        return found

    patch(curves, "_measure", with_penalty)


def coupled_decay(patch):
    patch(WeightDecay, "optimizer", lambda self: {})
    patch(WeightDecay, "kernel_penalty", lambda self: keras.regularizers.L2(self.root / 2))


def decay_of_biases(patch):
    patch(optimizer, "is_kernel", lambda variable: True)


def clipping_ignored(patch):
    patch(combination, "optimizer_arguments", lambda techniques: {})


def each_clipped_by_itself(patch):
    whole = GradientClipping.optimizer

    def renamed(self):
        return {key.removeprefix("global_"): value for key, value in whole(self).items()}

    patch(GradientClipping, "optimizer", renamed)


def max_norm_along_rows(patch):
    def along_rows(self, kernel):
        return keras.constraints.MaxNorm(self.max_value, axis=-1)(kernel)

    patch(keras_constraints.UnitMaxNorm, "__call__", along_rows)


def max_norm_forgotten(patch):
    patch(build, "constrain", lambda model, techniques: None)


def max_norm_as_unit_norm(patch):
    def to_the_limit(self, kernel):
        axes = list(range(len(kernel.shape) - 1))
        return self.max_value * keras.constraints.UnitNorm(axis=axes)(kernel)

    patch(keras_constraints.UnitMaxNorm, "__call__", to_the_limit)


def other_ema_momentum(patch):
    patch(EMA, "optimizer", lambda self: {"use_ema": True, "ema_momentum": self.momentum / 2})


def swa_from_the_start(patch):
    patch(SWA, "averaging", lambda self, model: _EpochAverage(model, 0.0))


def average_for_training(patch):
    patch(averages, "unchanged", lambda model: contextlib.nullcontext())


def stale_statistics(patch):
    patch(averages, "take_statistics", lambda model, images: None)


def chosen_on_test(patch):
    patch(selection, "_without_test", lambda row: row)

    def best(self, history):
        return min((row["test_loss"], int(row["epoch"])) for row in history[1:])[1]

    patch(
        EarlyStopping, "_best", lambda self, history: best(self, history) if history[1:] else None
    )


def impatient(patch):
    stop = EarlyStopping.stop
    patch(EarlyStopping, "stop", lambda self, history: stop(
        self.model_copy(update={"patience": self.patience - 1}), history
    ))  # fmt: skip


def last_weights_kept(patch):
    patch(selection.Selection, "restore", lambda self: None)


def summed_loss(patch):
    loss = evaluate.cross_entropy
    patch(evaluate, "cross_entropy", lambda outputs, labels: loss(outputs, labels) * len(labels))


# A technique, a fault, and lines that must fail then.
FAULTS = [
    ("l2", doubled_penalty, ["penalty on the kernels"]),
    ("l1", squared_l1, ["gradient of the penalty"]),
    ("lp", other_exponent, ["gradient of the penalty"]),
    ("l2", biases_penalized, ["biases are not penalized"]),
    ("l2", penalty_forgotten, ["penalty on the kernels"]),
    ("l2", penalty_in_measured_loss, ["measured loss is without the penalty"]),
    (
        "weight_decay",
        coupled_decay,
        ["decoupled decay of the kernels, sgd", "decoupled decay of the kernels, adam"],
    ),
    ("weight_decay", decay_of_biases, ["biases do not decay, adam"]),
    ("gradient_clipping", clipping_ignored, ["gradient after clipvalue"]),
    ("gradient_clipping", each_clipped_by_itself, ["gradient after global_clipnorm"]),
    ("max_norm", max_norm_along_rows, ["kernels after an update"]),
    ("max_norm", max_norm_forgotten, ["largest norm after an update"]),
    ("max_norm", max_norm_as_unit_norm, ["kernels after an update"]),
    ("ema", other_ema_momentum, ["evaluated weights"]),
    ("ema", average_for_training, ["training is unchanged"]),
    ("ema", stale_statistics, ["batch normalization's averages"]),
    ("swa", swa_from_the_start, ["evaluated weights"]),
    ("early_stopping", chosen_on_test, ["epoch kept, for two test sets"]),
    ("early_stopping", impatient, ["ends after epoch"]),
    ("early_stopping", last_weights_kept, ["weights of epoch 3 restored"]),
    ("baseline", summed_loss, ["measured loss"]),
]


@pytest.mark.parametrize(("name", "fault", "lines"), FAULTS)
def test_a_fault_fails_the_lines_that_name_it(name, fault, lines, patch):
    fault(patch)
    found = failing(name, techniques.CHECKS[name])
    assert all(line in found for line in lines)  # in this order; others may fail too
