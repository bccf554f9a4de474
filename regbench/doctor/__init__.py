"""Numeric proofs of what a technique does, one function for each."""
