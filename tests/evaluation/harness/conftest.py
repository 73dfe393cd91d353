"""Servers that benchmarks are asked of."""

from tests.model_fixtures import embedded_endpoint, tiny_models

__all__ = ["embedded_endpoint", "tiny_models"]
