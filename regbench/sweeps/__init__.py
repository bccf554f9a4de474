"""From configs and seeds to runs: what is missing, in which order, and how long it takes."""
