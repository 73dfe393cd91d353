"""Dataset versions on disk, and which side of the split a row is on."""
