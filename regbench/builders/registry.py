"""The networks that a config can name, by `model.name`."""

from __future__ import annotations

from regbench.builders.all_cnn import AllCNN
from regbench.builders.builder import Builder
from regbench.builders.cnn import CNN
from regbench.builders.mlp import MLP
from regbench.builders.resnet20 import ResNet20
from regbench.builders.vgg_small import VGGSmall
from regbench.builders.wide_resnet import WideResNet

# `register` adds your own networks.
BUILDERS: dict[str, type[Builder]] = {
    "cnn": CNN,
    "mlp": MLP,
    "all_cnn": AllCNN,
    "vgg_small": VGGSmall,
    "resnet20": ResNet20,
    "wide_resnet": WideResNet,
}
# The network of a config without `model.name`.
DEFAULT = "cnn"
