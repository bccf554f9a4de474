"""The techniques that a config can switch on, by the name of their toggle."""

from __future__ import annotations

from regbench.regularizers.averaging import EMA, SWA
from regbench.regularizers.batch_norm import BatchNorm
from regbench.regularizers.dropout import Dropout
from regbench.regularizers.early_stopping import EarlyStopping
from regbench.regularizers.gradient_clipping import GradientClipping
from regbench.regularizers.hooks import Regularizer
from regbench.regularizers.max_norm import MaxNorm
from regbench.regularizers.penalties import L1, L2, Lp
from regbench.regularizers.pooling import Pooling
from regbench.regularizers.weight_decay import WeightDecay

# In the order in which their layers are stacked where several share a place.
REGULARIZERS: dict[str, type[Regularizer]] = {
    "l1": L1,
    "l2": L2,
    "lp": Lp,
    "batch_norm": BatchNorm,
    "pooling": Pooling,
    "dropout": Dropout,
    "weight_decay": WeightDecay,
    "max_norm": MaxNorm,
    "gradient_clipping": GradientClipping,
    "ema": EMA,
    "swa": SWA,
    "early_stopping": EarlyStopping,
}
