"""The service that owns the training and evaluation processes of one host."""
