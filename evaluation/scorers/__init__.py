"""What an answer to a test case is worth: one module a scorer, all of them named in `registry.py`."""
