"""Sweeps: trains the missing runs of configs and seeds, and plans their order and time."""
