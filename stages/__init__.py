"""Composition root: real settings and real services handed to pure functions, one function a stage."""
