"""The command line: one machine's platform up and down, its state, and one stage at a time."""
