"""Proofs of who somebody is: passwords, access tokens, keys. Computes and compares; stores nothing."""
