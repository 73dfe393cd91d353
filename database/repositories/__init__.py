"""Queries in domain words; records out."""
