"""What runs and in which order; no logic. A DAG file reads like the diagram in its docstring."""
