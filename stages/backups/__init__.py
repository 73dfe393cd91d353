"""Backups: content-addressed, encrypted repositories outside the data folder, and what goes into and out of them."""
