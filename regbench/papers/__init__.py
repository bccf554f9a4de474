"""Published tables: their numbers, the settings that rebuild them, and verdicts on both.

A paper is a YAML file in `configs/papers/`; its rows become the variants of a study, and its
printed numbers the claims. So its runs, seeds, pairs and intervals are those of `regbench.studies`.
"""
