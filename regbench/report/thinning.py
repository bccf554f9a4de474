"""Curves of very many points: kept are those without which a chart would look different.

Of each pixel's width, the lowest and highest value of every curve and band, and the first and last
(Jugel et al., "M4: A Visualization-Oriented Time Series Data Aggregation", 2014). If these are
still too many, the points that are farthest from straight lines between others (Ramer, Douglas,
Peucker), until the largest distance that remains is none that an eye can see.
"""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas

# The widest chart of the page, in pixels: page.js fits no chart beyond it.
WIDTH, HEIGHT = 900, 405
# A distance in pixels that an eye can't see, in lines that are two pixels wide.
UNSEEN = 0.25
SERIES = [f"{side}{end}" for side in ("train", "test", "gap") for end in ("", "_low", "_high")]


def thin(data: pandas.DataFrame, metric: str, most: int) -> tuple[pandas.DataFrame, float]:
    """Return at most `most` rows of the curves, and how far in pixels they are from all of them.

    The distance is the largest of any curve or band, where its variant is drawn alone, so that its
    own range fills the chart; within a pixel's width it is not measured. Each variant keeps its
    first and its last row, whatever `most` says.

    Args:
        data: a row per variant and epoch, as `regbench.figures.variants.by_epoch` returns it.
        metric: "accuracy", or "loss", which is drawn on a logarithmic scale too.
        most: how many rows to keep, of all variants together.
    """
    epochs = data["epoch"].to_numpy(float)
    kept, ends, parts = [], [0], []
    for rows in data.groupby("variant", sort=False).indices.values():
        heights = _heights(data.iloc[rows], metric)
        chosen = _of_each_pixel(epochs[rows], heights)
        kept.append(rows[chosen])
        parts.append(heights[chosen])
        ends.append(ends[-1] + len(chosen))
    if not kept:
        return data, 0.0
    rows = np.concatenate(kept)
    if len(rows) <= most:
        return data.iloc[np.sort(rows)], 0.0
    chosen, distance = _farthest_first(epochs[rows], np.concatenate(parts), ends, most)
    return data.iloc[np.sort(rows[chosen])], distance


def _heights(data: pandas.DataFrame, metric: str) -> NDArray[np.float64]:
    """Return the height in pixels of every point: a row per epoch, a column per line and scale."""
    values = data[SERIES].to_numpy(float)
    sets, gap = values[:, :6], values[:, 6:]
    drawn = [_scaled(np.vstack([gap, np.zeros(3)]))[:-1]]  # the chart of the gap includes zero
    if metric == "accuracy":
        drawn.append(sets * HEIGHT)  # from 0 to 1
    else:
        drawn.append(_scaled(np.vstack([sets, np.zeros(6)]))[:-1])
        positive = sets[sets > 0]
        least = positive.min() if len(positive) else 1.0
        drawn.append(_scaled(np.log(np.maximum(sets, least))))
    return np.hstack(drawn)


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    span = float(np.ptp(values))
    return values * (HEIGHT / span) if span else values * 0.0


def _of_each_pixel(epochs: NDArray[np.float64], heights: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the first, last, lowest and highest point of every line in each pixel's width."""
    span = np.ptp(epochs)
    if len(epochs) <= WIDTH or not span:
        return np.arange(len(epochs))
    pixels = np.floor((epochs - epochs[0]) / span * (WIDTH - 1)).astype(int)
    kept = np.zeros(len(epochs), bool)
    for column in [np.arange(len(epochs)), *heights.T]:
        order = np.lexsort((column, pixels))
        begin = np.flatnonzero(np.diff(pixels[order], prepend=-1))
        kept[order[begin]] = True
        kept[order[np.append(begin[1:], len(order)) - 1]] = True
    return np.flatnonzero(kept)


def _farthest_first(
    epochs: NDArray[np.float64], heights: NDArray[np.float64], ends: list[int], most: int
) -> tuple[NDArray[np.intp], float]:
    """Return the points to keep of several groups of points, and the distance that remains."""
    kept = {each for low, high in itertools.pairwise(ends) for each in (low, high - 1)}
    spans: list[tuple[float, int, int, int]] = []

    def add(low: int, high: int) -> None:
        if high - low > 1:
            shares = (epochs[low + 1 : high] - epochs[low]) / (epochs[high] - epochs[low])
            line = heights[low] + shares[:, None] * (heights[high] - heights[low])
            distances = np.abs(heights[low + 1 : high] - line).max(axis=1)
            farthest = int(distances.argmax())
            heapq.heappush(spans, (-float(distances[farthest]), low, low + 1 + farthest, high))

    for low, high in itertools.pairwise(ends):
        add(low, high - 1)
    while spans and len(kept) < most and -spans[0][0] > UNSEEN:
        _, low, between, high = heapq.heappop(spans)
        kept.add(between)
        add(low, between)
        add(between, high)
    return np.array(sorted(kept)), -spans[0][0] if spans else 0.0
