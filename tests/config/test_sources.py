"""`vary:` in a config: one source of variance gets the run's seed, and the others are held."""

import numpy as np
import pytest

from regbench import config, datasets
from regbench.config import ConfigError
from regbench.config.sources import SOURCES
from regbench.models.batches import batches
from regbench.models.build import build
from regbench.training.evaluate import Curves

TINY = [
    "data.name=shapes", "data.train_examples=40", "data.test_examples=40", "data.label_noise=0.2",
    "model.blocks=[2]", "model.dense=[4]", "dropout.dense=0.5", "cutout=true",
    "train.batch_size=20",
]  # fmt: skip


def tiny(seed, *overrides):
    return config.load("configs/baseline.yaml", [*TINY, *overrides]).with_seed(seed)


def drawn(experiment):
    """Return what a run draws from each source, as bytes."""
    splits = datasets.load(experiment.data, experiment.seed_of("data"))
    model = build(experiment, splits.train_images.shape[1:], len(splits.classes))
    curves = Curves(splits, experiment.seed_of("data"), experiment.evaluation)
    noise = [
        np.asarray(layer.seed_generator.state)
        for layer in model.layers
        if hasattr(layer, "seed_generator")
    ]
    assert noise
    # The order and the technique show on images that are all alike but for their number.
    numbered = np.arange(40, dtype=np.uint8)[:, None, None, None] + np.full((1, 32, 32, 3), 90)
    same = datasets.Splits(
        train_images=numbered.astype(np.uint8), train_labels=np.arange(40) % 10,
        test_images=splits.test_images, test_labels=splits.test_labels, classes=splits.classes,
        pool=splits.pool,
    )  # fmt: skip
    seen = np.concatenate([images for images, _ in batches(experiment, same, epoch=1)])
    return {
        "data": splits.train_images.tobytes() + splits.train_labels.tobytes()
        + splits.test_images.tobytes() + curves.train[0].tobytes(),
        "init": np.concatenate([np.ravel(each) for each in model.get_weights()
                                if each.dtype == np.float32]).tobytes(),
        "order": seen.max(axis=(1, 2, 3)).tobytes(),
        "technique": np.concatenate(noise).tobytes() + np.packbits(seen == 0).tobytes(),
    }  # fmt: skip


def test_a_source_that_varies_changes_and_the_others_are_held():
    held = drawn(tiny(0))
    for source in SOURCES:
        found = drawn(tiny(1, f"vary=[{source}]"))
        assert {each for each in SOURCES if found[each] != held[each]} == {source}
    other = drawn(tiny(1))
    assert all(other[each] != held[each] for each in SOURCES)
    based = drawn(tiny(0, "vary=[init]", "base_seed=1"))
    assert {each for each in SOURCES if based[each] != other[each]} == {"init"}


def test_configs_without_vary_have_the_hash_and_the_text_that_they_had():
    plain = config.load("configs/dropout.yaml")
    every = config.load("configs/dropout.yaml", [f"vary=[{', '.join(SOURCES)}]"])
    assert every == plain
    assert every.hash == plain.hash
    assert "vary" not in config.dump(plain)
    assert "vary" not in plain.brief()


def test_a_config_with_vary_is_another_one_whatever_the_order_of_its_sources():
    one, other = (tiny(0, f"vary={each}") for each in ("[init, data]", "[data, init]"))
    assert one == other
    assert one.hash == other.hash != tiny(0).hash != tiny(0, "vary=[data]").hash
    assert tiny(0, "vary=[data]", "base_seed=1").hash != tiny(0, "vary=[data]").hash
    again = config.parse(config.dump(one), "stored")
    assert (again.vary, again.hash) == (("data", "init"), one.hash)
    assert one.shrunk().vary == one.vary


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["vary=[]"], "vary: expected a list"),
        (["vary=[init, init]"], "vary: expected each source once"),
        (["vary=[weights]"], "expected data, init, order or technique"),
        (["base_seed=3"], "base_seed is for vary"),
    ],
)
def test_what_is_wrong_with_vary_is_one_line(overrides, expected):
    with pytest.raises(ConfigError) as error:
        tiny(0, *overrides)
    (line,) = str(error.value).splitlines()
    assert expected in line
