"""What a method decides: how the base model is read, and which of its weights move."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.recipe import Recipe


class TrainingMethod:
    """A method; the answers here are those of one that reads the model as it is and moves every weight."""

    has_adapter = False
    """It trains what `adapter` adds, and leaves the model's own weights alone."""
    quantizes = False
    """It reads the base model in fewer bits, into which no adapter can be merged."""

    def quantization(self, dtype: Any) -> Any:
        """How the base model is read in fewer bits, for computation in `dtype`; None reads it as it is."""
        del dtype

    def adapter(self, recipe: Recipe) -> Any:
        """PEFT's configuration of what is added to the model; None trains the model itself."""
        del recipe

    def merges(self, recipe: Recipe) -> bool:
        """The finished adapter goes into the model's weights, because no server loads one of its kind."""
        del recipe
        return False

    def prepare(self, model: Any) -> None:
        """What is still to be done to the model, its adapter in place, before the optimiser sees it."""
        del model
