"""Shapes of the Qwen3 models, as their public config.json files give them, and the published numbers of parameters."""

from typing import Any

COMMON: dict[str, Any] = {"model_type": "qwen3", "vocab_size": 151_936, "num_key_value_heads": 8, "head_dim": 128}


def config(layers: int, hidden: int, heads: int, intermediate: int, *, tied: bool) -> dict[str, Any]:
    return {
        **COMMON,
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "intermediate_size": intermediate,
        "tie_word_embeddings": tied,
    }


QWEN3 = {
    "0.6B": config(28, 1024, 16, 3072, tied=True),
    "1.7B": config(28, 2048, 16, 6144, tied=True),
    "4B": config(36, 2560, 32, 9728, tied=True),
    "8B": config(36, 4096, 32, 12_288, tied=False),
    "14B": config(40, 5120, 40, 17_408, tied=False),
    "32B": config(64, 5120, 64, 25_600, tied=False),
}

PUBLISHED_BILLIONS = {
    # all, without embeddings: from the model cards
    "0.6B": (0.6, 0.44),
    "1.7B": (1.7, 1.4),
    "4B": (4.0, 3.6),
    "8B": (8.2, 6.95),
    "14B": (14.8, 13.2),
    "32B": (32.8, 31.2),
}
