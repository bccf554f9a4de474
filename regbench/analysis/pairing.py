"""Pairs of runs: two runs of one seed that read equal data.

Every fingerprint is a SHA-256. The pool is the whole data set that a run chose its examples from;
the examples are those that it chose, with the labels as it trained on them. So:

- The pools of both runs must be equal. No difference is computed across data sets: it would mix the
  effects of data and config.
- Where both configs ask for the same data, in every key of their `data` section, the examples must
  be equal too. Configs may ask for different examples of one pool, such as other `train_examples`
  or `label_noise`: then they compare just that.
- Where one run recorded a fingerprint and the other, of an older version, did not, nothing shows
  that their data is equal: they make no pair. Two runs without a fingerprint do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from regbench.text import listed, seeds

OTHER_DATA = "trained on other data"
NOT_RECORDED = "only one of the two runs recorded the fingerprint of its data"
OTHER_EXAMPLES = "trained on other examples, though the configs ask for the same"


@dataclass(frozen=True)
class Fingerprint:
    """The SHA-256 of a run's data; None if it recorded none."""

    pool: str | None = None
    examples: str | None = None

    @classmethod
    def of(cls, pool: object, examples: object) -> Fingerprint:
        """Return the fingerprints from two cells of a frame, where NaN means none."""
        return cls(*(each if isinstance(each, str) else None for each in (pool, examples)))


def obstacle(one: Fingerprint, other: Fingerprint, same_data: bool) -> str | None:
    """Return the reason why two runs of one seed make no pair; None if they make one.

    Args:
        one: fingerprints of the first run's data.
        other: fingerprints of the second run's data.
        same_data: whether both configs ask for the same data.
    """
    if one.pool != other.pool:
        return NOT_RECORDED if None in (one.pool, other.pool) else OTHER_DATA
    if same_data and one.examples != other.examples:
        return NOT_RECORDED if None in (one.examples, other.examples) else OTHER_EXAMPLES
    return None


def same_data(
    one: Mapping[str, object] | None, other: Mapping[str, object] | None, seed: int
) -> bool:
    """Return whether two configs ask for the same examples with a seed; False if one is unknown."""
    return one is not None and other is not None and _asked(one, seed) == _asked(other, seed)


def _asked(config: Mapping[str, object], seed: int) -> tuple[object, object]:
    """Return the data that a config asks for, and the seed of its examples: see `vary`."""
    sources = config.get("vary")
    varies = not isinstance(sources, list | tuple) or "data" in sources
    return config.get("data"), seed if varies else config.get("base_seed", 0)


@dataclass
class Unpaired:
    """Runs of one seed that make no pair, by reason."""

    _found: dict[str, dict[str, set[int]]] = field(default_factory=dict)

    def add(self, reason: str, one: str, other: str, seed: int) -> None:
        """Record that the runs of two configs with this seed make no pair."""
        configs = self._found.setdefault(reason, {})
        configs.setdefault(f"{one} against {other}", set()).add(seed)

    def tell(self, warn: Callable[[str], None]) -> None:
        """Call `warn` with a line for every reason."""
        for reason, configs in self._found.items():
            names = [f"{name} ({seeds(each)})" for name, each in configs.items()]
            warn(f"not paired, {reason}: {listed(names)}")
