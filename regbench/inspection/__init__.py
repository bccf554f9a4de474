"""A config before it is trained: layers, cost, advice."""
