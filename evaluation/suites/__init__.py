"""How suites of each kind are run: one module a kind, all of them named in `registry.py`."""
