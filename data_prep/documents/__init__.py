"""Documents of every kind to passages that a sample can be traced back to."""
