"""Where time goes: parts add up to the whole."""

import time

import pytest

from regbench.training.stopwatch import Stopwatch


def test_parts_add_up_over_calls_and_with_the_rest_to_the_total():
    watch = Stopwatch()
    for _ in range(2):
        with watch.time("sleep"):
            time.sleep(0.02)
    time.sleep(0.01)
    seconds = watch.breakdown()
    assert list(seconds) == ["sleep", "other", "total"]
    assert seconds["sleep"] >= 0.04
    assert seconds["other"] >= 0.01
    assert seconds["sleep"] + seconds["other"] == pytest.approx(seconds["total"])


def test_only_the_making_of_items_is_counted():
    def slowly():
        for number in range(3):
            time.sleep(0.01)
            yield number

    watch = Stopwatch()
    seen = []
    for number in watch.each("make", slowly()):
        with watch.time("use"):
            time.sleep(0.05)
        seen.append(number)
    assert seen == [0, 1, 2]
    assert 0.03 <= watch.seconds["make"] < watch.seconds["use"]


def test_a_part_that_fails_is_counted_too():
    watch = Stopwatch()
    with pytest.raises(ZeroDivisionError), watch.time("fail"):
        raise ZeroDivisionError
    assert "fail" in watch.seconds
