"""How a model is trained: each member of Method is a file of this folder, named by its value."""

from importlib import import_module

from contracts.enums import Method
from training.methods.method import TrainingMethod


def training_method(method: Method) -> TrainingMethod:
    """The method of that name."""
    found = import_module(f"training.methods.{method}").METHOD
    assert isinstance(found, TrainingMethod)
    return found
