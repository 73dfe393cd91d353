"""The shapes of a decoder model of the Llama and Qwen kind, from its config.json."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

QK_NORM_TYPES = frozenset({"qwen3", "qwen3_moe", "olmo2"})
"""Model types that normalise queries and keys of each head; their configuration does not say so."""
KEYS = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")


@dataclass(frozen=True, slots=True)
class Linear:
    """One projection of a layer."""

    name: str
    inputs: int
    outputs: int


@dataclass(frozen=True, slots=True)
class Architecture:
    """Sizes of a decoder with grouped-query attention and a gated MLP."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    tied_embeddings: bool
    qk_norm: bool
    attention_bias: bool

    @property
    def attention_width(self) -> int:
        """Width of queries and of the attention's output."""
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Width of keys, and of values."""
        return self.kv_heads * self.head_dim

    @property
    def linears(self) -> tuple[Linear, ...]:
        """The projections of one layer, which adapters are put beside and which qlora reads in 4 bits."""
        return (
            Linear("q_proj", self.hidden, self.attention_width),
            Linear("k_proj", self.hidden, self.kv_width),
            Linear("v_proj", self.hidden, self.kv_width),
            Linear("o_proj", self.attention_width, self.hidden),
            Linear("gate_proj", self.hidden, self.intermediate),
            Linear("up_proj", self.hidden, self.intermediate),
            Linear("down_proj", self.intermediate, self.hidden),
        )

    @property
    def linear_parameters(self) -> int:
        """Weights of the projections of all layers, without biases."""
        return self.layers * sum(linear.inputs * linear.outputs for linear in self.linears)

    @property
    def embedding_parameters(self) -> int:
        """Input embeddings, and the output head where it is another matrix."""
        return self.vocabulary * self.hidden * (1 if self.tied_embeddings else 2)

    @property
    def small_parameters(self) -> int:
        """Norms and biases."""
        norms = 2 * self.hidden + (2 * self.head_dim if self.qk_norm else 0)
        biases = self.attention_width + 2 * self.kv_width if self.attention_bias else 0
        return self.layers * (norms + biases) + self.hidden

    @property
    def parameters(self) -> int:
        """All weights."""
        return self.linear_parameters + self.embedding_parameters + self.small_parameters

    @property
    def largest_tensor(self) -> int:
        """Numbers in the largest weight."""
        return max(self.vocabulary * self.hidden, *(linear.inputs * linear.outputs for linear in self.linears))

    def adapter_parameters(self, rank: int) -> int:
        """Numbers of a LoRA adapter on every projection: two matrices each."""
        return self.layers * rank * sum(linear.inputs + linear.outputs for linear in self.linears)


def read_architecture(folder: Path) -> Architecture | None:
    """The model's shapes; None where its config.json describes another kind of model, such as a mixture of experts."""
    try:
        config: Any = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return architecture_of(config) if isinstance(config, dict) else None


def architecture_of(config: dict[str, Any]) -> Architecture | None:
    """The shapes that a configuration names; None where it describes another kind of model."""
    sizes = [config.get(key) for key in KEYS]
    if not all(isinstance(size, int) and size > 0 for size in sizes):
        return None
    if any(config.get(key) for key in ("num_experts", "num_local_experts", "n_routed_experts", "is_encoder_decoder")):
        return None
    hidden, layers, heads, intermediate, vocabulary = (int(config[key]) for key in KEYS)
    kind = str(config.get("model_type", ""))
    return Architecture(
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=int(config.get("num_key_value_heads") or heads),
        head_dim=int(config.get("head_dim") or hidden // heads),
        intermediate=intermediate,
        vocabulary=vocabulary,
        # transformers' own default, where the file is silent, differs by model: Llama and Qwen3 say False
        tied_embeddings=bool(config.get("tie_word_embeddings", False)),
        qk_norm=kind in QK_NORM_TYPES,
        attention_bias=bool(config.get("attention_bias", kind == "qwen2")),
    )
