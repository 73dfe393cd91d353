"""Tokens, policy decisions, encryption at rest, the audit chain, watermarks.

It knows no table and no web framework: `stages/` and `serving_api/` hand it what it needs.
"""
