"""Parses seeds: `0-4`, `0,3,7` or any mixture of both."""

from __future__ import annotations

# More than anyone trains of one config, but few enough for a list.
MOST_SEEDS = 10_000
HIGHEST_SEED = 2**32 - 1


def parse(text: str) -> list[int]:
    """Return the seeds in a text. Raises ValueError."""
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not _is_seed(first) or (dash and not _is_seed(last)):
            raise ValueError(f"expected seeds such as 0-4 or 0,3,7, received {text!r:.80}")
        if int(last or first) - int(first) >= MOST_SEEDS - len(seeds):
            raise ValueError(f"expected at most {MOST_SEEDS} seeds, received {text!r:.80}")
        seeds += range(int(first), int(last or first) + 1)
    if not seeds or len(seeds) > len(set(seeds)):
        raise ValueError(f"expected distinct seeds, the lower end first, received {text!r:.80}")
    return seeds


def _is_seed(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= HIGHEST_SEED
