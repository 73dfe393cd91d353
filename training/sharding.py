"""A model divided over the processes of a run: FSDP2 of torch, or ZeRO of DeepSpeed.

What is divided: with zero2 the optimiser's state and the gradients, with fsdp2 and zero3 the weights too. The other
parts of a run need not know: checkpoints and output hold whole tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contracts.errors import JobFailedError

if TYPE_CHECKING:
    from training.recipe import Recipe

ZERO_STAGES = {"zero2": 2, "zero3": 3}


def sharding_arguments(recipe: Recipe) -> dict[str, Any]:
    """What the trainer is told. To be made before the model is read: with zero3 each process reads its share."""
    if recipe.sharding == "fsdp2":
        return {"fsdp": True, "fsdp_config": fsdp_config(recipe)}
    if recipe.sharding in ZERO_STAGES:
        return {"deepspeed": deepspeed_config(recipe)}
    return {}


def fsdp_config(recipe: Recipe) -> dict[str, Any]:
    """FSDP2: each layer is put together for its turn and taken apart after it."""
    return {
        "version": 2,
        "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",  # a unit a layer, as the model's class names its layers
        "reshard_after_forward": True,
        "state_dict_type": "FULL_STATE_DICT",  # a checkpoint loads with any number of processes
        "activation_checkpointing": recipe.gradient_checkpointing,
    }


def deepspeed_config(recipe: Recipe) -> dict[str, Any]:
    """ZeRO-2 or ZeRO-3 without offloading: the optimiser is torch's, whose state DeepSpeed divides."""
    return {
        "zero_optimization": {
            "stage": ZERO_STAGES[recipe.sharding],
            "contiguous_gradients": True,  # one buffer, no fragments
            "overlap_comm": True,  # gradients travel while the next layer is computed
            "stage3_gather_16bit_weights_on_model_save": True,  # without it a full checkpoint cannot be loaded elsewhere
        },
        "zero_allow_untested_optimizer": True,  # the 8-bit ones of bitsandbytes
        "bf16": {"enabled": "auto"},
        "gradient_clipping": "auto",
        "gradient_accumulation_steps": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "train_batch_size": "auto",
    }


def is_divided(trainer: Any, recipe: Recipe) -> bool:
    """The model is wrapped as the recipe wants it."""
    if recipe.sharding in ZERO_STAGES:
        engine = trainer.model_wrapped
        return type(engine).__name__ == "DeepSpeedEngine" and (
            engine.zero_optimization_stage() == ZERO_STAGES[recipe.sharding]
        )
    from torch.distributed.tensor import DTensor

    return any(isinstance(parameter, DTensor) for parameter in trainer.model.parameters())


def sharding_callback(trainer: Any, recipe: Recipe) -> Any:
    """Ends the run before its first step where the model is not divided as the recipe wants it.

    The libraries fall back to whole copies without a word, for example where they take the machine for one without
    GPUs: the run would be right, and far larger than planned.
    """
    from transformers import TrainerCallback

    class ShardingCallback(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            if not is_divided(trainer, recipe):
                raise JobFailedError(
                    "The model was not divided over the processes",
                    value=f"sharding {recipe.sharding}, model {type(trainer.model_wrapped).__name__}",
                    allowed="two or more processes with a GPU each",
                    next_step="set num_gpus to 2 or more, or sharding to none",
                )

    return ShardingCallback()
