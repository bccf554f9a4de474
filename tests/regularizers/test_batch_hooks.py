"""Rules of `Regularizer.batch`, for every technique that has it: generated from the registry."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from regbench.regularizers import REGULARIZERS, Regularizer

# Values at the ends of what a technique's keys allow; its defaults are tested too.
EXTREMES = {
    "flip": [{"probability": 1.0}],
    "crop": [{"padding": 40}, {"padding": 2, "fill": "reflect"}, {"padding": 9, "fill": "reflect"}],
    "cutout": [{"size": 1, "fill": 0.0}, {"size": 10_000, "fill": 1.0}],
    "random_erasing": [{"min_area": 1.0, "max_area": 1.0}, {"probability": 1.0, "min_ratio": 1e-9}],
    "label_smoothing": [{"epsilon": 0.999}],
    "mixup": [{"alpha": 1e-300}, {"alpha": 1000.0}],
    "cutmix": [{"alpha": 1e-300}, {"alpha": 1000.0, "probability": 0.5}],
}
NAMES = [name for name, each in REGULARIZERS.items() if each.batch is not Regularizer.batch]


@st.composite
def batches(draw):
    """Draw images of any size and number of channels, and targets that may be soft already."""
    count, channels = draw(st.integers(1, 9)), draw(st.sampled_from([1, 3, 4]))
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    images = rng.random((count, height, width, channels), dtype=np.float32)
    if draw(st.booleans()):
        images = np.round(images)  # black and white: the ends of what a pixel can be
    classes = draw(st.sampled_from([2, 10, 100]))
    targets = np.eye(classes, dtype=np.float32)[rng.integers(classes, size=count)]
    if draw(st.booleans()):
        targets = rng.dirichlet(np.ones(classes), count).astype(np.float32)
    return images, targets


@pytest.mark.parametrize("name", NAMES)
@hypothesis.settings(max_examples=30)
@hypothesis.given(data=st.data(), batch=batches(), seed=st.integers(0, 2**32 - 1))
def test_a_technique_keeps_the_rules_of_the_hook(name, data, batch, seed):
    keys = data.draw(st.sampled_from([{}, *EXTREMES.get(name, [])]))
    technique, (images, targets) = REGULARIZERS[name](**keys), batch
    for each in batch:
        each.setflags(write=False)  # changing one in place is an error
    first = technique.batch(images, targets, np.random.default_rng(seed))
    for before, after in zip(batch, first, strict=True):
        assert after.dtype == np.float32
        assert after.shape == before.shape
        assert after.min() >= 0
        assert after.max() <= 1
    np.testing.assert_allclose(first[1].sum(axis=1, dtype=float), 1, atol=1e-6)
    again = technique.batch(images, targets, np.random.default_rng(seed))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", NAMES)
def test_no_draw_comes_from_elsewhere_than_the_given_generator(name, monkeypatch):
    batch, rng = example(), np.random.default_rng(0)
    for source in ("default_rng", "random", "rand", "randn", "randint", "permutation"):
        monkeypatch.setattr(np.random, source, None)
    REGULARIZERS[name]().batch(*batch, rng)


@pytest.mark.parametrize("name", NAMES)
def test_other_draws_give_another_batch_where_there_are_any(name):
    if name == "label_smoothing":
        pytest.skip("it draws nothing")
    batch, seen = example(), set()
    for seed in range(20):
        images, targets = REGULARIZERS[name]().batch(*batch, np.random.default_rng(seed))
        seen.add(images.tobytes() + targets.tobytes())
    assert len(seen) > 10  # eight images can be mirrored in 256 ways


@pytest.mark.parametrize("name", NAMES)
def test_with_its_defaults_a_technique_changes_a_batch_and_says_what_it_does(name):
    technique = REGULARIZERS[name]()
    if technique.bare:
        assert technique == REGULARIZERS[name].model_validate(True)
    assert not technique.is_idle()
    assert technique.batch_effect()
    before = example()
    after = technique.batch(*before, np.random.default_rng(1))
    assert any((one != other).any() for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_value_of_nothing_switches_a_technique_off(name):
    kind = REGULARIZERS[name]
    value = type(getattr(kind(), kind.shorthand))(0)
    assert kind.model_validate(value).is_idle()


def test_a_technique_without_the_hook_has_no_effect_on_a_batch():
    assert REGULARIZERS["l2"].model_validate(0.1).batch_effect() == ""


def test_a_technique_that_does_not_say_what_it_does_is_told_by_its_docstring():
    class Darken(Regularizer):
        """Makes each image darker.

        As the night does.
        """

        def batch(self, images, targets, rng):
            return images / 2, targets

    assert Darken().batch_effect() == "Makes each image darker."


def example():
    rng = np.random.default_rng(0)
    images = rng.random((8, 32, 32, 3), dtype=np.float32)
    return images, np.eye(10, dtype=np.float32)[rng.integers(10, size=8)]
