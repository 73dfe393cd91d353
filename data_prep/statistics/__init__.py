"""What a dataset version is like, in numbers and as a page to read."""
