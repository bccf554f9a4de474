"""The cost of the network, counted and not measured: the same for every seed."""

from __future__ import annotations

import math

from regbench.models import cost
from regbench.probes.harness import Subject
from regbench.runs.probe_results import Costs


def count(subject: Subject, train_examples: int) -> Costs:
    """Count multiply-adds, memory and what pooling does, layer by layer."""
    layers = cost.layers(subject.model)
    totals = cost.totals(layers)
    return Costs(
        steps_per_epoch=math.ceil(train_examples / subject.experiment.train.batch_size),
        multiply_adds=totals.multiply_adds,
        activation_bytes=totals.activation_bytes,
        pooling_parameters=cost.pooling_parameters(layers),
        pooled_share=cost.pooled_share(layers),
    )
