"""Random choices depend on the seed and their purpose alone."""

import subprocess
import sys

from regbench import seeding


def test_another_purpose_or_seed_draws_other_numbers():
    first = seeding.generator(0, "order", 1).permutation(100).tolist()
    assert first == seeding.generator(0, "order", 1).permutation(100).tolist()
    assert first != seeding.generator(0, "order", 2).permutation(100).tolist()
    assert first != seeding.generator(0, "weights", 1).permutation(100).tolist()
    assert first != seeding.generator(1, "order", 1).permutation(100).tolist()


def test_derived_seeds_are_the_same_in_every_process():
    program = "from regbench import seeding; print(seeding.derive(3, 'weights', 'dense1'))"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert int(printed.stdout) == seeding.derive(3, "weights", "dense1")
    assert 0 <= int(printed.stdout) < 2**31
