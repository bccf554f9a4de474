"""Max-norm against NumPy: the weights into each unit, in dense and in convolution kernels."""

import keras
import numpy as np
import pytest

from regbench import config


@pytest.mark.parametrize("shape", [(5, 4), (3, 3, 2, 6)])
def test_the_weights_into_each_unit_have_at_most_the_norm(shape):
    technique = config.load("configs/baseline.yaml", ["max_norm=1.5"]).regularizers["max_norm"]
    kernel = np.random.default_rng(0).normal(size=shape)
    norms = np.sqrt((kernel.reshape(-1, shape[-1]) ** 2).sum(axis=0))
    kernel, norms = 1.5 * kernel / np.median(norms), 1.5 * norms / np.median(norms)
    found = keras.ops.convert_to_numpy(technique.kernel_constraint()(kernel.astype("float32")))
    assert norms.min() < 1.5 < norms.max()
    np.testing.assert_allclose(found, kernel * np.minimum(1, 1.5 / norms), rtol=1e-5)
