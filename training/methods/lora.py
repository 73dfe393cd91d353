"""LoRA (Hu et al., 2021): the model stays as it is; beside each linear layer two thin matrices are trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from training.methods.method import TrainingMethod

if TYPE_CHECKING:
    from training.recipe import Recipe


class Lora(TrainingMethod):
    """An adapter on every linear layer but the head."""

    has_adapter = True

    def adapter(self, recipe: Recipe) -> Any:
        """The recipe's rank, scale and dropout."""
        from peft import LoraConfig

        return LoraConfig(
            r=recipe.lora_rank,
            lora_alpha=recipe.lora_alpha,
            lora_dropout=recipe.lora_dropout,
            use_rslora=recipe.use_rslora,
            use_dora=recipe.use_dora,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )

    def merges(self, recipe: Recipe) -> bool:
        """DoRA's adapter: neither vLLM nor the embedded server loads one."""
        return recipe.use_dora


METHOD = Lora()
