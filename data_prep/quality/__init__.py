"""How good a row is, and why it is not."""
