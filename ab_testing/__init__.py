"""A/B tests as numbers: who gets which arm, and what the ratings say. No input or output."""
