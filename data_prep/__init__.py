"""From files to a dataset version: import, cleaning, masking, duplicates, split, checks. No database in here."""
