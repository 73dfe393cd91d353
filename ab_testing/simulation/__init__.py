"""Simulated experiments by the thousand, decided by the same formulas as real ones."""
