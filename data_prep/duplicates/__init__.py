"""Rows that say the same: exactly, nearly, or as a test question does."""
