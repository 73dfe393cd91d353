"""Where a person is in what the platform stored, and how the rows are taken out."""
