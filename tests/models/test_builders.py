"""Networks by name: against their papers, their keys in configs, and those of one's own."""

import keras
import numpy as np
import pytest

from regbench import config
from regbench.builders import BUILDERS, chain, register
from regbench.config import ConfigError, Experiment
from regbench.config.changes import changes
from regbench.errors import RegbenchError
from regbench.models import cost
from regbench.models.build import build
from regbench.models.layers import leaves

CIFAR = (32, 32, 3)
SMALL = {"resnet20": {"depth": 8, "width": 4}, "wide_resnet": {"depth": 10, "width": 1}}


def network(name, shape=CIFAR, classes=10, **toggles):
    keys = toggles.pop("keys", {})
    return build(Experiment(name="mine", model={"name": name, **keys}, **toggles), shape, classes)


@pytest.fixture
def own():
    """Register networks for one test; return the function that does."""
    before = dict(BUILDERS)
    yield register
    BUILDERS.clear()
    BUILDERS.update(before)


@pytest.mark.parametrize(
    ("name", "keys", "millions"),
    [
        ("all_cnn", {}, 1.37),  # "1.4 M", Springenberg et al., table 4
        ("vgg_small", {}, 4.66),
        ("resnet20", {}, 0.27),  # He et al., table 6
        ("resnet20", {"depth": 32}, 0.46),
        ("wide_resnet", {}, 2.75),  # "2.7 M", Zagoruyko and Komodakis, table 5
        ("mlp", {}, 1.84),
    ],
)
def test_networks_have_the_parameters_of_their_papers(name, keys, millions):
    assert network(name, keys=keys).count_params() / 1e6 == pytest.approx(millions, abs=0.006)


def test_all_cnn_is_the_table_of_its_paper_layer_for_layer():
    layers = cost.layers(network("all_cnn"))
    shapes = [each.output_shape for each in layers if each.kind == "Conv2D"]
    assert shapes == [
        *[(32, 32, 96)] * 2, (16, 16, 96), *[(16, 16, 192)] * 2, (8, 8, 192),
        *[(6, 6, 192)] * 2, (6, 6, 10),
    ]  # fmt: skip
    sizes = [each.kernel_shape[0] for each in layers if each.kind == "Conv2D"]
    assert sizes == [3] * 7 + [1] * 2
    assert [each.kind for each in layers][-2:] == ["GlobalAveragePooling2D", "Activation"]


@pytest.mark.parametrize("name", BUILDERS)
def test_grayscale_images_of_28_pixels_give_probabilities(name):
    model = network(name, (28, 28, 1), 7, keys=SMALL.get(name, {}))
    outputs = model.predict(np.random.default_rng(0).random((3, 28, 28, 1)), verbose=0)
    assert outputs.shape == (3, 7)
    np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-5)


def test_shortcuts_of_a_resnet_take_every_second_place_and_add_maps_of_zeros():
    model = network("resnet20", keys=SMALL["resnet20"])
    for layer in leaves(model):
        if layer.name == "block2_1_conv2":
            layer.kernel.assign(np.zeros(layer.kernel.shape))
    names = "block1_1_activation", "block2_1_activation"
    part = keras.Model(model.inputs, [model.get_layer(name).output for name in names])
    images = np.random.default_rng(0).random((2, *CIFAR), np.float32)
    before, after = map(np.asarray, part(images))
    assert after.shape == (2, 16, 16, 8)
    np.testing.assert_allclose(after[..., 2:6], before[:, ::2, ::2], rtol=1e-6)
    assert not after[..., [0, 1, 6, 7]].any()


def test_the_last_residual_branch_has_the_depth_one():
    depths = []

    class Recorder(type(Experiment(name="x", l2=1e-3).l2)):
        def around_block(self, name, depth):
            depths.append((name, depth))
            return []

    model = BUILDERS["resnet20"](depth=14, width=2)
    model.build(model.kit({"recorder": Recorder(1e-3)}), CIFAR, 10)
    assert [depth for _, depth in depths] == pytest.approx(np.arange(1, 7) / 6)
    assert depths[-1][0] == "block3_2"


def test_a_wide_resnet_drops_between_the_two_convolutions_of_a_block():
    layers = cost.layers(network("wide_resnet", keys=SMALL["wide_resnet"], dropout={"conv": 0.3}))
    names = [each.name for each in layers]
    place = names.index("block1_1_dropout")
    assert names[place - 2] == "block1_1_conv1"
    assert names[place + 1] == "block1_1_conv2"


def test_variants_of_a_network_share_its_initial_weights():
    plain, normalized = (
        {each.name: each for each in leaves(network("resnet20", keys=SMALL["resnet20"], **toggles))}
        for toggles in ({}, {"batch_norm": True, "dropout": 0.5})
    )
    kernels = [name for name, layer in plain.items() if hasattr(layer, "kernel")]
    assert len(kernels) == 8
    for name in kernels:
        np.testing.assert_array_equal(plain[name].kernel, normalized[name].kernel)


@pytest.mark.parametrize("name", ["resnet20", "wide_resnet", "all_cnn"])
def test_networks_without_pooling_cost_what_strides_of_one_cost(name):
    layers = cost.layers(network(name, keys=SMALL.get(name, {"width": 2})))
    found = cost.without_pooling(layers, CIFAR)
    assert found.parameters == cost.totals(layers).parameters
    whole = sum(
        np.prod(each.kernel_shape) * (30 * 30 if each.name > "block3" else 32 * 32)
        if name == "all_cnn"
        else np.prod(each.kernel_shape) * 32 * 32
        for each in layers
        if each.kind == "Conv2D"
    )
    dense = sum(each.multiply_adds for each in layers if each.kind == "Dense")
    assert found.multiply_adds == pytest.approx(whole + dense, rel=0.15 if name == "all_cnn" else 0)


# Keys and errors


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{name: resnet21}",
            "model.name: expected one of cnn, mlp, .* wide_resnet, received .*resnet21",
        ),
        ("{name: mlp, blocks: [4]}", "model.blocks: unknown key of the model mlp; expected one of"),
        ("{name: resnet20, dept: 8}", 'unknown key of the model resnet20; did you mean "depth"'),
        ("{depth: 20}", "model.depth: unknown key of the model cnn; expected one of name, blocks"),
        ("{name: resnet20, depth: 21}", r"model.depth: expected 6n \+ 2, such as 20 or 26"),
        ("{name: wide_resnet, depth: 20}", r"model.depth: expected 6n \+ 4, such as 16 or 22"),
        ("{name: wide_resnet, width: 0}", "model.width: expected an integer >= 1 and <= 1000"),
        ("{name: mlp, dense: [4, x]}", r"model.dense\[1\]: expected an integer >= 1"),
    ],
)
def test_keys_that_a_network_does_not_take_are_refused(write, text, message):
    with pytest.raises(ConfigError, match=message):
        config.load(write(f"model: {text}"))


def test_another_network_starts_from_its_own_defaults(write):
    write("model: {blocks: [4], dense: [8]}", "base.yaml")
    path = write("extends: base.yaml\nmodel: {name: mlp}")
    assert config.load(path).model == BUILDERS["mlp"]()
    assert config.load(path, ["model.dense=[3]"]).model.dense == (3,)
    for order in (1, -1):  # no option undoes another
        options = ["model.name=mlp", "model.dense=[3]"][::order]
        assert config.load("configs/baseline.yaml", options).model.dense == (3,)
    assert config.load(path, ["model.name=cnn"]).model == BUILDERS["cnn"]()


def test_a_matrix_may_go_through_networks(write):
    text = "matrix: {model.activation: [elu, relu], model.name: [cnn, mlp]}"
    found = config.load_all([write(text)])
    pairs = [(each.model.name, each.model.activation) for each in found]
    assert sorted(pairs) == [("cnn", "elu"), ("cnn", "relu"), ("mlp", "elu"), ("mlp", "relu")]


def test_naming_the_default_network_changes_no_hash_and_others_have_their_own():
    plain = Experiment(name="mine")
    assert Experiment(name="mine", model={"name": "cnn"}).hash == plain.hash == "44136fa3"
    hashes = {Experiment(name="mine", model={"name": name}).hash for name in BUILDERS}
    assert len(hashes) == len(BUILDERS)


def test_a_dump_names_the_network_and_is_read_back():
    experiment = config.load("configs/wide_resnet.yaml", ["model.width=2"])
    assert config.parse(config.dump(experiment), "dump") == experiment


def test_a_stored_config_keeps_the_keys_of_a_network_that_is_not_loaded():
    values = Experiment(name="mine").values() | {"model": {"name": "theirs", "width": 3}}
    found = Experiment.model_validate(values, context={"stored": True})
    assert found.values()["model"] == {"name": "theirs", "width": 3}
    with pytest.raises(ValueError, match="theirs"):
        Experiment.model_validate(values)


def test_what_another_network_changes_is_its_name_and_its_own_keys():
    base, other = (config.load(f"configs/{name}.yaml") for name in ("baseline", "resnet20"))
    found = changes(base.brief(), other.brief())
    assert found == {"model.name": "resnet20", "batch_norm": True}
    old = base.brief()
    del old["model"]["name"]  # as earlier versions wrote it
    deeper = config.load("configs/resnet20.yaml", ["model.depth=32"]).brief()
    assert changes(old, deeper)["model.depth"] == 32


def test_a_smoke_run_trains_a_small_network():
    (smoke,) = config.load_all(["configs/wide_resnet.yaml"], smoke=["train.epochs=2"])
    assert (smoke.model.depth, smoke.model.width) == (10, 1)
    assert smoke.hash != config.load("configs/wide_resnet.yaml", ["train.epochs=2"]).hash


# Networks of one's own


def branches(input_shape, classes, kit, width: int = 4):
    """Two branches beside each other, built from the kit."""
    inputs = keras.Input(input_shape)
    images = chain(inputs, kit.on_input())
    left = chain(images, kit.conv("left", width), kit.after_block("left"))
    right = chain(images, kit.conv("right", width, 1))
    maps = keras.layers.Add()([left, right])
    head = [keras.layers.GlobalAveragePooling2D()]
    return keras.Model(inputs, chain(maps, head, kit.output("output", classes)))


def plain(input_shape, classes):
    inner = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])
    layers = [keras.Input(input_shape), inner, keras.layers.Dense(classes, "softmax")]
    return keras.Sequential(layers)


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    def __init__(self, classes, **options):
        super().__init__(**options)
        self.classes = classes
        self.flatten, self.dropout = keras.layers.Flatten(), keras.layers.Dropout(0.5)
        self.first, self.last = keras.layers.Dense(5), keras.layers.Dense(classes, "softmax")

    def call(self, inputs, training=None):
        hidden = self.dropout(self.first(self.flatten(inputs)), training=training)
        return self.last(hidden + keras.ops.relu(hidden))

    def get_config(self):
        return {**super().get_config(), "classes": self.classes}


def test_a_function_that_takes_the_kit_has_keys_and_every_layer_of_a_technique(own):
    own("branches", branches)
    toggles = {"dropout": {"conv": 0.2, "dense": 0.5}, "batch_norm": True}
    model = network("branches", keys={"width": 6}, **toggles)
    names = {each.name for each in leaves(model)}
    assert {"left_dropout", "output_dropout", "left_batch_norm", "right_batch_norm"} <= names
    assert model.get_layer("left").filters == 6
    with pytest.raises(RegbenchError, match="stochastic_depth: the model branches has no residual"):
        network("branches", stochastic_depth=0.2)


def test_keys_of_a_function_are_those_of_its_section(own, write):
    own("branches", branches)
    load = config.load
    assert load(write("model: {name: branches, width: 9}")).model.width == 9
    with pytest.raises(ConfigError, match="unknown key of the model branches; did you mean"):
        load(write("model: {name: branches, widht: 9}"))
    with pytest.raises(ConfigError, match=r"model\.width: expected an integer"):
        load(write("model: {name: branches, width: wide}"))


def test_penalties_and_constraints_reach_every_kernel_of_a_model_without_the_kit(own):
    own("plain", plain)
    model = network("plain", (4, 4, 1), l2=0.01)
    kernels = [np.asarray(each.kernel) for each in leaves(model) if hasattr(each, "kernel")]
    assert len(kernels) == 2
    expected = sum(0.01 * np.square(kernel).sum() for kernel in kernels)
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)


def test_a_technique_that_only_adds_layers_is_refused_where_no_kit_is_called(own):
    own("plain", plain)
    for toggles in ({"dropout": 0.5}, {"batch_norm": True}, {"pooling": "average"}):
        with pytest.raises(RegbenchError, match=r"the model plain has no .*, where this adds"):
            network("plain", (4, 4, 1), **toggles)


def test_weights_of_layers_without_names_do_not_depend_on_what_was_built_before(own):
    own("plain", plain)
    first = network("plain", (4, 4, 1)).get_weights()
    keras.layers.Dense(1), keras.layers.Dense(1)
    again = network("plain", (4, 4, 1)).get_weights()
    other = build(Experiment(name="mine", model={"name": "plain"}, seed=1), (4, 4, 1), 10)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert np.abs(first[0] - other.get_weights()[0]).max() > 0.01


def test_a_subclassed_model_is_counted_layer_by_layer(own):
    own("subclassed", lambda input_shape, classes: Subclassed(classes))
    model = network("subclassed", (4, 4, 1))
    layers = cost.layers(model)
    assert [each.kind for each in layers] == ["Flatten", "Dense", "Dropout", "Dense"]
    assert cost.totals(layers).parameters == model.count_params() == 16 * 5 + 5 + 5 * 10 + 10
    assert cost.totals(layers).multiply_adds == 16 * 5 + 5 * 10
    assert cost.without_pooling(layers, (4, 4, 1)) is None  # where the sum comes from is unknown


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda shape, classes: "model", "model wrong: expected a keras.Model, received str"),
        (lambda shape, classes: 1 / 0, "can't be built for images of 4x4.*ZeroDivisionError"),
        (lambda shape, classes: plain(shape, 3), r"expected an output \(n, 10\)"),
        (
            lambda shape, classes: keras.Sequential(
                [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(classes)]
            ),
            "expected class probabilities, .* add a softmax",
        ),
    ],
)
def test_what_is_no_classifier_is_refused_before_it_is_trained(own, function, message):
    own("wrong", function)
    with pytest.raises(RegbenchError, match=message) as failure:
        network("wrong", (4, 4, 1))
    assert "\n" not in str(failure.value)


def test_names_and_parameters_of_a_function_are_checked_when_it_is_registered(own):
    own("mine", plain)
    for name, function, message in (
        ("mine", plain, "mine is registered already"),
        ("1st", plain, "expected a name such as tiny_net"),
        ("other", lambda shape: None, r"expected a function \(input_shape, classes\)"),
        ("other", lambda shape, classes, width: None, "keys that have defaults"),
    ):
        with pytest.raises(RegbenchError, match=message):
            own(name, function)
