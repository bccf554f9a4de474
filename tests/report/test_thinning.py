"""Curves of many points: what is left of them looks the same."""

import numpy as np
import pandas

from regbench.report import thinning


def curves(epochs, seed=0, variant="dropout", noise=0.02):
    """Return the data of a variant's curves: learning, with noise."""
    rng = np.random.default_rng(seed)
    learned = 1 - np.exp(-np.arange(epochs) / (epochs / 9))
    columns = {"variant": [variant] * epochs, "epoch": range(epochs)}
    for side, end in (("train", 0.9), ("test", 0.6), ("gap", 0.3)):
        mean = 0.05 + end * learned + rng.normal(0, noise, epochs)
        columns |= {side: mean, f"{side}_low": mean - 0.01, f"{side}_high": mean + 0.02}
    return pandas.DataFrame(columns)


def test_of_each_pixels_width_the_lowest_and_highest_point_of_each_line_stay():
    data = curves(30_000)
    kept, distance = thinning.thin(data, "accuracy", 30_000)
    assert len(kept) < 10_000
    assert distance == 0
    for column in ("train", "test_low", "gap_high"):
        for how in ("min", "max", "first", "last"):
            pixels = [frame["epoch"] * (thinning.WIDTH - 1) // 29_999 for frame in (data, kept)]
            whole, left = (
                frame.groupby(each)[column].agg(how)
                for frame, each in zip((data, kept), pixels, strict=True)
            )
            assert whole.equals(left)


def test_rows_that_stay_are_those_of_the_data():
    data = curves(5_000)
    kept, _ = thinning.thin(data, "loss", 300)
    assert len(kept) == 300
    assert kept.equals(data.loc[kept.index])


def test_the_distance_is_that_of_the_farthest_line_from_all_of_its_points():
    data = curves(800, noise=0.002)
    kept, distance = thinning.thin(data, "accuracy", 100)
    assert len(kept) == 100
    largest = 0.0
    for column in thinning.SERIES:
        drawn = np.interp(data["epoch"], kept["epoch"], kept[column])
        span = 1.0
        if column.startswith("gap"):
            of_gap = data[thinning.SERIES[6:]]
            span = of_gap.max().max() - min(0, of_gap.min().min())
        largest = max(largest, np.abs(drawn - data[column]).max() / span * thinning.HEIGHT)
    assert abs(distance - largest) < 1e-6
    assert distance > 0


def test_a_smooth_curve_needs_few_points_for_a_distance_that_nobody_sees():
    kept, distance = thinning.thin(curves(800, noise=0), "loss", 700)
    assert len(kept) < 200
    assert 0 < distance <= thinning.UNSEEN


def test_each_variant_keeps_its_ends_and_points_go_where_they_are_needed():
    data = pandas.concat(
        [curves(500, variant="rough", noise=0.1), curves(500, variant="flat", noise=0)],
        ignore_index=True,
    )
    kept, _ = thinning.thin(data, "accuracy", 100)
    counts = kept.groupby("variant")["epoch"].agg(["min", "max", "size"])
    assert set(counts["min"]) == {0}
    assert set(counts["max"]) == {499}
    assert counts["size"]["rough"] > counts["size"]["flat"]
    least, _ = thinning.thin(data, "accuracy", 1)
    assert len(least) == 4


def test_constant_curves_and_losses_of_zero_have_heights_too():
    data = curves(50, noise=0)
    data[thinning.SERIES] = 0.0
    kept, distance = thinning.thin(data, "loss", 10)
    assert len(kept) == 2
    assert distance == 0
