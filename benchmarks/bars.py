"""What the benchmark has to show: a line for each row of its table, with the bar it is held to."""

from __future__ import annotations

from dataclasses import dataclass

import waits


@dataclass(frozen=True)
class Bar:
    """`ratio` names the two contenders whose speeds are divided; costs are measured otherwise.

    `limit_avx512` replaces `limit` on a processor with AVX-512, where TensorFlow turns oneDNN on by
    itself and the rivals are faster.
    """

    what: str
    sign: str
    limit: float
    ratio: tuple[str, str] | None = None
    unit: str = ""
    digits: int = 2
    limit_avx512: float | None = None

    def limit_on(self, avx512: bool) -> float:
        """Return the limit for a processor with or without AVX-512."""
        return self.limit_avx512 if avx512 and self.limit_avx512 is not None else self.limit

    def met(self, value: float, avx512: bool) -> bool:
        limit = self.limit_on(avx512)
        return value >= limit if self.sign == "≥" else value <= limit


BARS = (
    Bar(waits.ONE, "≥", 1.8, limit_avx512=1.3),
    Bar(waits.SEVEN, "≥", 2.5, limit_avx512=1.6),
    Bar(waits.DEMO, "≥", 4.0),
    Bar(waits.OUTSIDE, "≤", 0.25),
    Bar(waits.WARM, "≤", 0.35),
    Bar("one run against the plain Keras script", "≥", 2.0, ("regbench, one run", "Keras fit")),
    Bar("one run against the PyTorch loop", "≥", 1.0, ("regbench, one run", "PyTorch loop")),
    Bar(
        "runs on all cores against one PyTorch loop",
        "≥",
        1.25,
        ("regbench, a run per core", "PyTorch loop"),
    ),
    Bar(
        "runs on all cores, share of the sgemm limit",
        "≥",
        0.85,
        ("regbench, a run per core", "sgemm limit"),
    ),
    Bar("a step with batch normalization, Keras' own kernels against the fused one", "≥", 1.0),
    Bar("evaluation and bookkeeping, share of an epoch of 50,000 images", "≤", 0.15),
    Bar("`regbench --help` against `python -c 'import click'`", "≤", 2.5),
    Bar("second run of a finished sweep of 12 runs", "≤", 2.0, unit=" s", digits=1),
    Bar("first training step, beyond importing TensorFlow", "≤", 5.0, unit=" s", digits=1),
    Bar("peak memory of a run on 50,000 images", "≤", 1.5, unit=" GB"),
    Bar("`regbench compare` on 1,000 runs of 30 epochs", "≤", 2.0, unit=" s", digits=1),
    Bar("`regbench compare` on 10,000 runs of 30 epochs", "≤", 15.0, unit=" s", digits=1),
    Bar(
        "`regbench compare` on 10,000 runs of 30 epochs, against `json` and `csv` alone",
        "≤",
        3.0,
    ),
    Bar(
        "`regbench compare` on 10,000 runs of 30 epochs, the second time, "
        "against `json` and `csv` alone",
        "≤",
        0.75,
    ),
    Bar("`regbench.load` of 10,000 runs, the second time against the first", "≤", 0.25),
)
