"""Public benchmarks through lm-evaluation-harness, with data from local folders."""
