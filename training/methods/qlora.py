"""QLoRA (Dettmers et al., 2023): LoRA beside a base model that is read in 4 bits."""

from __future__ import annotations

from typing import Any

from training.methods.lora import Lora


class Qlora(Lora):
    """The base model in NF4 with double quantisation, the adapter in float32."""

    quantizes = True

    def quantization(self, dtype: Any) -> Any:
        """4 bits a weight, and the scales of the blocks in 8."""
        from transformers import BitsAndBytesConfig

        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )

    def prepare(self, model: Any) -> None:
        """The adapter in float32: TRL keeps it in bfloat16, where small steps of Adam round to nothing."""
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()


METHOD = Qlora()
