"""A recipe in the words of another trainer: what to run where our own is not wanted."""
