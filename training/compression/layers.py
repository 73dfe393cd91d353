"""A student of fewer layers: the parent's own, evenly spaced, with its embeddings, norm and head."""

from __future__ import annotations

import json
from pathlib import Path

from storage.files import folder_written_whole


def layers_to_keep(layers: int, count: int) -> list[int]:
    """Which layers stay: the first, the last, and those evenly between (Sanh et al., 2019, take every second)."""
    if count == 1:
        return [layers - 1]
    return [round(index * (layers - 1) / (count - 1)) for index in range(count)]


def layer_count(model: Path) -> int:
    """Layers of the model in the folder."""
    return int(json.loads((model / "config.json").read_text(encoding="utf-8"))["num_hidden_layers"])


def keep_layers(parent: Path, target: Path, count: int) -> None:
    """Write the student, as a folder that is whole or absent; one that is there stays."""
    if target.exists():
        return
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(parent, dtype="auto", use_safetensors=True, local_files_only=True)
    kept = layers_to_keep(len(model.model.layers), count)
    layers = [model.model.layers[index] for index in kept]
    for place, layer in enumerate(layers):
        layer.self_attn.layer_idx = place
    model.model.layers = torch.nn.ModuleList(layers)
    model.config.num_hidden_layers = count
    if getattr(model.config, "layer_types", None):
        model.config.layer_types = [model.config.layer_types[index] for index in kept]
    with folder_written_whole(target) as folder:
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(parent, local_files_only=True).save_pretrained(folder)
