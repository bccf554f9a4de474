"""The doctor finds each of these injected faults, and says so in the right line."""

from __future__ import annotations

import types

import keras
import numpy as np
import pytest
from keras import ops

from regbench import seeding
from regbench.doctor import techniques
from regbench.execution import environment
from regbench.models import batches, build, evaluate, optimizer, weights
from regbench.regularizers import combination, fused_batch_norm, keras_constraints, keras_layers
from regbench.regularizers import dropout as dropout_module
from regbench.regularizers import gaussian_noise as gaussian_noise_module
from regbench.regularizers import pooling as pooling_module
from regbench.regularizers.averaging import EMA, SWA
from regbench.regularizers.batch_norm import BatchNorm
from regbench.regularizers.early_stopping import EarlyStopping
from regbench.regularizers.flip import Flip
from regbench.regularizers.gradient_clipping import GradientClipping
from regbench.regularizers.group_norm import GroupNorm
from regbench.regularizers.keras_penalties import LpNorm
from regbench.regularizers.label_smoothing import LabelSmoothing
from regbench.regularizers.layer_norm import LayerNorm
from regbench.regularizers.mixing import CutMix, Mixup
from regbench.regularizers.penalties import L1, L2
from regbench.regularizers.pooling import Pooling
from regbench.regularizers.spatial_dropout import SpatialDropout
from regbench.regularizers.stochastic_depth import StochasticDepth
from regbench.regularizers.weight_decay import WeightDecay
from regbench.training import averages, checkpoints, selection
from regbench.training import evaluate as curves


@pytest.fixture(scope="module", autouse=True)
def runtime():
    environment.settle(environment.Runtime("tensorflow", "cpu", 1))


@pytest.fixture
def patch(monkeypatch):
    return monkeypatch.setattr


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


def dropout_unscaled(patch):
    call = keras.layers.Dropout.call

    def unscaled(self, inputs, training=False):
        outputs = call(self, inputs, training=training)
        return outputs * (1 - self.rate) if training else outputs

    patch(keras.layers.Dropout, "call", unscaled)


def dropout_at_inference(patch):
    call = keras.layers.Dropout.call
    patch(keras.layers.Dropout, "call", lambda self, inputs, training=False: call(self, inputs, True))


def dropout_never(patch):
    patch(keras.layers.Dropout, "call", lambda self, inputs, training=False: inputs)


def half_the_rate(patch):
    made = dropout_module._dropout
    patch(dropout_module, "_dropout", lambda rate, name: made(rate / 2, name))


def dropout_of_hidden_layers_alone(patch):
    before = dropout_module.Dropout.before_dense
    patch(
        dropout_module.Dropout,
        "before_dense",
        lambda self, name: [] if name == "output" else before(self, name),
    )


def single_values_of_maps(patch):
    patch(
        SpatialDropout,
        "after_block",
        lambda self, name: [keras.layers.Dropout(self.rate, name=f"{name}_spatial_dropout")],
    )


def dropblock_unscaled(patch):
    def unscaled(self, inputs, training=False):
        return inputs * self._kept(inputs) if training else inputs

    patch(keras_layers.DropBlock2D, "call", unscaled)


def dropblock_of_single_values(patch):
    init = keras_layers.DropBlock2D.__init__

    def single(self, rate, block_size, **options):
        init(self, rate, 1, **options)

    patch(keras_layers.DropBlock2D, "__init__", single)


def variance_for_deviation(patch):
    made = gaussian_noise_module._noise
    patch(gaussian_noise_module, "_noise", lambda deviation, name: made(deviation**2, name))


def depth_ignored(patch):
    branch = StochasticDepth.around_block
    patch(StochasticDepth, "around_block", lambda self, name, depth: branch(self, name, 1.0))


def branches_partly_off(patch):
    patch(
        StochasticDepth,
        "around_block",
        lambda self, name, depth: [
            keras.layers.Dropout(self.rate * depth, name=f"{name}_stochastic_depth")
        ],
    )


def _batch_norm(patch, change):
    made = BatchNorm._layers

    def changed(self, name):
        (layer,) = made(self, name)
        change(layer)
        return [layer]

    patch(BatchNorm, "_layers", changed)


def frozen_averages(patch):
    _batch_norm(patch, lambda layer: setattr(layer, "momentum", 1.0))


def default_momentum(patch):
    _batch_norm(patch, lambda layer: setattr(layer, "momentum", 0.99))


def default_epsilon(patch):
    _batch_norm(patch, lambda layer: setattr(layer, "epsilon", 1e-3))


def batch_statistics_at_inference(patch):
    def change(layer):
        call = layer.call
        layer.call = lambda inputs, training=None, mask=None: call(inputs, training=True)

    _batch_norm(patch, change)


def unbiased_variance(patch):
    train = fused_batch_norm._train

    def unbiased(layer, maps):
        before = ops.convert_to_numpy(layer.moving_variance)
        outputs = train(layer, maps)
        n = int(np.prod(maps.shape[:-1]))
        moved = ops.convert_to_numpy(layer.moving_variance) - layer.momentum * before
        layer.moving_variance.assign(layer.momentum * before + moved * n / (n - 1))
        return outputs

    patch(fused_batch_norm, "_train", unbiased)


def one_group(patch):
    made = GroupNorm.before_activation

    def changed(self, name):
        (layer,) = made(self, name)
        layer.groups = 1
        return [layer]

    patch(GroupNorm, "before_activation", changed)


def layer_norm_over_whole_maps(patch):
    def whole(self, name):
        axes = [1, 2, 3] if name == "doctor" else -1
        return [
            keras.layers.LayerNormalization(axis=axes, epsilon=self.epsilon, name=f"{name}_layer_norm")
        ]

    patch(LayerNorm, "before_activation", whole)


def stride_ignored(patch):
    made = Pooling.after_block
    patch(
        Pooling,
        "after_block",
        lambda self, name: made(self.model_copy(update={"stride": None}), name),
    )


def maximum_for_average(patch):
    layer = pooling_module._layer
    patch(pooling_module, "_layer", lambda kind: layer("max" if kind == "average" else kind))


def uniform_picks(patch):
    windows = keras_layers.StochasticPooling2D._windows

    def flat(self, maps):
        values = windows(self, maps)
        return ops.cast(values > 0, values.dtype) * ops.max(values, axis=-1, keepdims=True)

    patch(keras_layers.StochasticPooling2D, "_windows", flat)


def mostly_maximum(patch):
    draw = keras.random.uniform
    patch(keras.random, "uniform", lambda *args, **options: draw(*args, **options) / 2)


def augmented_at_evaluation(patch):
    to_inputs = evaluate.to_inputs
    patch(evaluate, "to_inputs", lambda images: to_inputs(images)[:, :, ::-1])


def technique_forgotten(patch):
    patch(batches, "trained_on", lambda experiment, images, labels, classes, epoch, step: (
        images, batches.one_hot(labels, classes),
    ))  # fmt: skip


def changed_in_place(patch):
    def batch(self, images, targets, rng):
        images[:] = images[:, :, ::-1].copy()
        return images, targets

    patch(Flip, "batch", batch)


def flipped_upside_down(patch):
    patch(Flip, "batch", lambda self, images, targets, rng: (
        np.where(rng.random(len(images))[:, None, None, None] < self.probability,
                 images[:, ::-1], images), targets,
    ))  # fmt: skip


def draws_of_its_own(patch):
    patch(Flip, "batch", lambda self, images, targets, rng: (
        images + np.random.normal(size=images.shape).astype(np.float32), targets,
    ))  # fmt: skip


def too_smooth(patch):
    patch(LabelSmoothing, "batch", lambda self, images, targets, rng: (
        images, np.where(targets == 1, np.float32(1 - self.epsilon),
                         np.float32(self.epsilon / (targets.shape[1] - 1))),
    ))  # fmt: skip


def sums_below_one(patch):
    patch(LabelSmoothing, "batch", lambda self, images, targets, rng: (
        images, targets * np.float32(1 - self.epsilon),
    ))  # fmt: skip


def hard_targets(patch):
    mixed = Mixup.batch
    patch(Mixup, "batch", lambda self, images, targets, rng: (
        mixed(self, images, targets, rng)[0], targets,
    ))  # fmt: skip


def area_that_was_drawn(patch):
    mixed = CutMix.batch

    def batch(self, images, targets, rng):
        share = np.float32(0.3)
        pasted, _ = mixed(self, images, targets, rng)
        return pasted, targets * (1 - share) + share * np.roll(targets, 1, axis=0)

    patch(CutMix, "batch", batch)


def random_batches(patch):
    def generator(seed, *purpose):
        own = purpose[0] == "batch"
        return np.random.default_rng() if own else seeding.generator(seed, *purpose)

    patch(batches, "seeding", types.SimpleNamespace(generator=generator))


def weights_by_variant(patch):
    draw = build.draw
    patch(build, "draw", lambda model, seed: draw(model, seed + len(model.layers)))


def weights_by_chance(patch):
    draw = build.draw
    patch(build, "draw", lambda model, seed: draw(model, int(np.random.default_rng().integers(99))))


def order_by_variant(patch):
    ordered = batches.batches
    patch(
        batches,
        "batches",
        lambda of, *rest: ordered(of.with_seed(len(of.changing("optimizer"))), *rest),
    )


def other_ema_momentum(patch):
    patch(EMA, "optimizer", lambda self: {"use_ema": True, "ema_momentum": self.momentum / 2})


def swa_from_the_start(patch):
    patch(
        SWA, "averaging", lambda self, model: averages_of(model, 0.0)
    )


def averages_of(model, start):
    from regbench.regularizers.averaging import _EpochAverage

    return _EpochAverage(model, start)


def average_for_training(patch):
    patch(averages, "unchanged", lambda model: types.SimpleNamespace(
        __enter__=lambda: None, __exit__=lambda *error: None
    ) if False else _nothing())  # fmt: skip


class _nothing:
    def __enter__(self):
        return None

    def __exit__(self, *error):
        return None


def stale_statistics(patch):
    patch(averages, "take_statistics", lambda model, images: None)


def seed_generators_lost(patch):
    saved = checkpoints._variables

    def without(model, further):
        kept = {id(each) for each in model.weights}
        found = saved(model, further)
        return {key: each for key, each in found.items()
                if not key.startswith("model") or id(each) in kept}  # fmt: skip

    patch(checkpoints, "_variables", without)


def optimizer_lost(patch):
    saved = checkpoints._variables
    patch(checkpoints, "_variables", lambda model, further: {
        key: each for key, each in saved(model, further).items() if not key.startswith("optimizer")
    })  # fmt: skip


def chosen_on_test(patch):
    patch(selection, "_without_test", lambda row: row)

    def best(self, history):
        return min((row["test_loss"], int(row["epoch"])) for row in history[1:])[1]

    patch(EarlyStopping, "_best", lambda self, history: best(self, history) if history[1:] else None)


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


def raises(patch):
    def batch(self, images, targets, rng):
        raise ZeroDivisionError("a fault")

    patch(Flip, "batch", batch)


# A technique, a fault, and a line that must fail then.
FAULTS = [
    ("l2", doubled_penalty, "penalty on the kernels"),
    ("l1", squared_l1, "gradient of the penalty"),
    ("lp", other_exponent, "gradient of the penalty"),
    ("l2", biases_penalized, "biases are not penalized"),
    ("l2", penalty_forgotten, "penalty on the kernels"),
    ("l2", penalty_in_measured_loss, "measured loss is without the penalty"),
    ("weight_decay", coupled_decay, "decoupled decay of the kernels, sgd"),
    ("weight_decay", coupled_decay, "decoupled decay of the kernels, adam"),
    ("weight_decay", decay_of_biases, "biases do not decay, adam"),
    ("gradient_clipping", clipping_ignored, "gradient after clipvalue"),
    ("gradient_clipping", each_clipped_by_itself, "gradient after global_clipnorm"),
    ("max_norm", max_norm_along_rows, "kernels after an update"),
    ("max_norm", max_norm_forgotten, "largest norm after an update"),
    ("max_norm", max_norm_as_unit_norm, "kernels after an update"),
    ("dropout", dropout_unscaled, "scale of what is kept, before_dense"),
    ("dropout", dropout_at_inference, "silent at inference, before_dense"),
    ("dropout", dropout_at_inference, "measured outputs are the baseline's"),
    ("dropout", dropout_never, "share that is off in training, after_block"),
    ("dropout", half_the_rate, "share that is off in training, before_dense"),
    ("dropout", dropout_of_hidden_layers_alone, "layers"),
    ("spatial_dropout", single_values_of_maps, "off as a whole, after_block"),
    ("dropblock", dropblock_unscaled, "mean in training"),
    ("dropblock", dropblock_of_single_values, "off in squares of 3x3"),
    ("gaussian_noise", variance_for_deviation, "standard deviation of the noise, on_input"),
    ("stochastic_depth", depth_ignored, "share that is off in training, around_block"),
    ("stochastic_depth", branches_partly_off, "off as a whole, around_block"),
    ("batch_norm", frozen_averages, "moving averages after a batch, maps"),
    ("batch_norm", frozen_averages, "moving averages after an update"),
    ("batch_norm", default_momentum, "moving averages after a batch, units"),
    ("batch_norm", default_epsilon, "outputs in training, maps"),
    ("batch_norm", batch_statistics_at_inference, "outputs at inference, units"),
    ("batch_norm", batch_statistics_at_inference, "measured alone and together"),
    ("batch_norm", unbiased_variance, "moving averages after a batch, maps"),
    ("group_norm", one_group, "outputs in training, maps"),
    ("layer_norm", layer_norm_over_whole_maps, "outputs at inference, maps"),
    ("pooling", stride_ignored, "shapes, max"),
    ("pooling", maximum_for_average, "outputs at inference, average"),
    ("pooling", uniform_picks, "share of the largest value, stochastic"),
    ("pooling", mostly_maximum, "share of maps by maximum, mixed"),
    ("flip", augmented_at_evaluation, "measured on unchanged images and labels"),
    ("flip", technique_forgotten, "training batches are changed"),
    ("flip", changed_in_place, "inputs are not changed in place"),
    ("flip", flipped_upside_down, "images or mirror images"),
    ("flip", draws_of_its_own, "draws depend on rng alone"),
    ("flip", raises, "training batches are what the technique makes of them"),
    ("label_smoothing", too_smooth, "targets"),
    ("label_smoothing", sums_below_one, "targets sum to one"),
    ("mixup", hard_targets, "targets are mixed as pixels are"),
    ("cutmix", area_that_was_drawn, "targets are mixed as pixels are"),
    ("ema", other_ema_momentum, "evaluated weights"),
    ("ema", average_for_training, "training is unchanged"),
    ("ema", stale_statistics, "batch normalization's averages"),
    ("swa", swa_from_the_start, "evaluated weights"),
    ("early_stopping", chosen_on_test, "epoch kept, for two test sets"),
    ("early_stopping", impatient, "ends after epoch"),
    ("early_stopping", last_weights_kept, "weights of epoch 3 restored"),
    ("baseline", summed_loss, "measured loss"),
]
# Those of what every technique must leave as it is.
COMMON_FAULTS = [
    ("dropout", weights_by_variant, "same initial weights"),
    ("dropout", weights_by_chance, "runs are deterministic"),
    ("dropout", dropout_at_inference, "measuring changes nothing"),
    ("dropout", seed_generators_lost, "a resumed update is exact"),
    ("ema", optimizer_lost, "a resumed update is exact"),
    ("weight_decay", order_by_variant, "same order of the data"),
    ("flip", random_batches, "runs are deterministic"),
]
SLOW = {"compiled"}


def failing(name, rules):
    return [check.rule for check in techniques.run(name, rules) if not check.passed]


def quick(name):
    """Return the checks of a technique's family, without the one that compiles."""
    return [rule for rule in techniques.CHECKS[name] if getattr(rule, "__name__", "") not in SLOW]


@pytest.mark.parametrize(
    ("name", "fault", "line"), FAULTS, ids=[f"{each[1].__name__}-{each[2]}" for each in FAULTS]
)
def test_a_fault_fails_the_line_that_names_it(name, fault, line, patch):
    fault(patch)
    assert line.lower() in [rule.lower() for rule in failing(name, quick(name))]


@pytest.mark.parametrize(
    ("name", "fault", "line"), COMMON_FAULTS, ids=[each[1].__name__ for each in COMMON_FAULTS]
)
def test_what_breaks_a_comparison_fails_the_line_that_names_it(name, fault, line, patch):
    fault(patch)
    assert line in failing(name, techniques.common(name))


def test_a_technique_without_a_check_is_reported(patch):
    patch(techniques, "REGULARIZERS", techniques.REGULARIZERS | {"novelty": Flip})
    assert "novelty" in techniques.names()
    (check,) = techniques.check("novelty")
    assert not check.passed
    assert (check.rule, check.measured) == ("numeric checks", "none")


def test_every_technique_that_ships_has_checks_of_its_own():
    assert set(techniques.names()) == {*techniques.CHECKS}
    assert set(techniques.SETTINGS) == {*techniques.CHECKS} - {"baseline"}


@pytest.mark.slow
@pytest.mark.parametrize("name", techniques.names())
def test_every_technique_passes(name):
    assert failing(name, [*techniques.CHECKS[name], *techniques.common(name)]) == []
