"""The techniques that a config can switch on, by the name of their toggle."""

from __future__ import annotations

from regbench.regularizers.batch_norm import BatchNorm
from regbench.regularizers.dropblock import DropBlock
from regbench.regularizers.dropout import Dropout
from regbench.regularizers.gaussian_dropout import GaussianDropout
from regbench.regularizers.gaussian_noise import GaussianNoise
from regbench.regularizers.group_norm import GroupNorm
from regbench.regularizers.hooks import Regularizer
from regbench.regularizers.layer_norm import LayerNorm
from regbench.regularizers.penalties import L1, L2, Lp
from regbench.regularizers.pooling import Pooling
from regbench.regularizers.spatial_dropout import SpatialDropout
from regbench.regularizers.stochastic_depth import StochasticDepth

# In the order in which their layers are stacked where several share a place.
REGULARIZERS: dict[str, type[Regularizer]] = {
    "l1": L1,
    "l2": L2,
    "lp": Lp,
    "batch_norm": BatchNorm,
    "layer_norm": LayerNorm,
    "group_norm": GroupNorm,
    "pooling": Pooling,
    "dropout": Dropout,
    "spatial_dropout": SpatialDropout,
    "dropblock": DropBlock,
    "gaussian_dropout": GaussianDropout,
    "gaussian_noise": GaussianNoise,
    "stochastic_depth": StochasticDepth,
}
