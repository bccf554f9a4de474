"""Advice about a config: what to try, why, and who found it. It never blocks a run.

A rule is a function `(network) -> Iterator[Advice]` and a line in `ADVICE`.
"""

from __future__ import annotations

from regbench.inspection.advice import batches, layers, optimization
from regbench.inspection.advice.network import Advice, Network, Rule

__all__ = ["ADVICE", "Advice", "Network", "Rule", "advise"]

ADVICE: dict[str, Rule] = {
    "dropout_rate": layers.dropout_rate,
    "dropout_in_convolutions": layers.dropout_in_convolutions,
    "dropout_before_batch_norm": layers.dropout_before_batch_norm,
    "bias_before_batch_norm": layers.bias_before_batch_norm,
    "trailing_moving_averages": layers.trailing_moving_averages,
    "l2_with_adam": optimization.l2_with_adam,
    "l2_with_batch_norm": optimization.l2_with_batch_norm,
    "pool_stride": layers.pool_stride,
    "one_group": layers.one_group,
    "large_noise": layers.large_noise,
    "squares_as_large_as_maps": layers.squares_as_large_as_maps,
    "negative_values_in_stochastic_pooling": layers.negative_values_in_stochastic_pooling,
    "large_penalty": optimization.large_penalty,
    "weak_weight_decay": optimization.weak_weight_decay,
    "weight_decay_with_l2": optimization.weight_decay_with_l2,
    "clipping_with_adam": optimization.clipping_with_adam,
    "trailing_average": optimization.trailing_average,
    "averaging_with_cosine": optimization.averaging_with_cosine,
    "few_validation_examples": optimization.few_validation_examples,
    "mirrored_digits": batches.mirrored_digits,
    "softened_twice": batches.softened_twice,
    "mixed_twice": batches.mixed_twice,
    "large_square": batches.large_square,
    "far_move": batches.far_move,
}


def advise(network: Network) -> list[Advice]:
    """Return the advice of every rule."""
    return [advice for rule in ADVICE.values() for advice in rule(network)]
