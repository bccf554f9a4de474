"""Inspection of a config before it is trained: layers, cost, advice."""
