"""Sweeps over a recipe's numbers, on Optuna: what may be tried, the study that remembers it, what came of it."""
