"""The techniques that a config can switch on, by the name of their toggle."""

from __future__ import annotations

from regbench.regularizers.averaging import EMA, SWA
from regbench.regularizers.batch_norm import BatchNorm
from regbench.regularizers.crop import Crop
from regbench.regularizers.dropblock import DropBlock
from regbench.regularizers.dropout import Dropout
from regbench.regularizers.early_stopping import EarlyStopping
from regbench.regularizers.erasing import Cutout, RandomErasing
from regbench.regularizers.flip import Flip
from regbench.regularizers.gaussian_dropout import GaussianDropout
from regbench.regularizers.gaussian_noise import GaussianNoise
from regbench.regularizers.gradient_clipping import GradientClipping
from regbench.regularizers.group_norm import GroupNorm
from regbench.regularizers.hooks import Regularizer
from regbench.regularizers.label_smoothing import LabelSmoothing
from regbench.regularizers.layer_norm import LayerNorm
from regbench.regularizers.max_norm import MaxNorm
from regbench.regularizers.mixing import CutMix, Mixup
from regbench.regularizers.penalties import L1, L2, Lp
from regbench.regularizers.pooling import Pooling
from regbench.regularizers.spatial_dropout import SpatialDropout
from regbench.regularizers.stochastic_depth import StochasticDepth
from regbench.regularizers.weight_decay import WeightDecay

# The order is that of layers in the same place, and of changes to a batch: techniques that move
# pixels come before those that erase them, and mixing comes last.
REGULARIZERS: dict[str, type[Regularizer]] = {
    "flip": Flip,
    "crop": Crop,
    "cutout": Cutout,
    "random_erasing": RandomErasing,
    "label_smoothing": LabelSmoothing,
    "mixup": Mixup,
    "cutmix": CutMix,
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
    "weight_decay": WeightDecay,
    "max_norm": MaxNorm,
    "gradient_clipping": GradientClipping,
    "ema": EMA,
    "swa": SWA,
    "early_stopping": EarlyStopping,
}
