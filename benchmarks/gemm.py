"""The limit: single-precision matrix products on every core, the work that convolutions come to.

    python gemm.py

Prints one line of JSON with GFLOP/s, the best of several products.
"""

import json
import time

import numpy as np

SIZE, REPEATS = 2048, 6


def main():
    left, right = (np.random.default_rng(0).random((SIZE, SIZE), np.float32) for _ in range(2))
    product = left @ right
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        np.matmul(left, right, out=product)
        seconds.append(time.perf_counter() - began)
    print(json.dumps({"gflops": 2 * SIZE**3 / min(seconds) / 1e9}))


if __name__ == "__main__":
    main()
