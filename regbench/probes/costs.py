"""What the network costs, counted and not measured: the same for every seed."""

from __future__ import annotations

import math

from regbench import costs
from regbench.findings import Costs
from regbench.probes.subject import Subject


def count(subject: Subject, train_examples: int) -> Costs:
    """Count multiply-adds, memory and what pooling does, layer by layer."""
    layers = costs.layers(subject.model)
    totals = costs.totals(layers)
    return Costs(
        steps_per_epoch=math.ceil(train_examples / subject.experiment.train.batch_size),
        multiply_adds=totals.multiply_adds,
        activation_bytes=totals.activation_bytes,
        pooling_parameters=costs.pooling_parameters(layers),
        pooled_share=costs.pooled_share(layers, subject.test[0].shape[1:]),
    )
