"""A compressed folder as an ordinary model: each code times its scale, and activations rounded as the scheme says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

CODES_IN_A_WORD = 8


def load_unpacked(folder: Path) -> Any:
    """The model in 32 bits. Slow and large: to see what a server for few bits should answer."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModelForCausalLM

    tensors = {
        name: tensor for file in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(file).items()
    }
    state: dict[str, Any] = {}
    linears = [name.removesuffix(".weight_scale") for name in tensors if name.endswith(".weight_scale")]
    for name, tensor in tensors.items():
        if not name.endswith((".weight_packed", ".weight_scale", ".weight_shape")):
            state[name] = tensor.float()
    for linear in linears:
        scales = tensors[f"{linear}.weight_scale"].float()
        packed = tensors.get(f"{linear}.weight_packed")
        codes = tensors[f"{linear}.weight"].float() if packed is None else unpack_int4(packed).float()
        groups = scales.shape[1] if scales.ndim > 1 else 1
        grouped = codes.reshape(len(codes), groups, -1) * scales.reshape(len(codes), groups, 1)
        state[f"{linear}.weight"] = grouped.reshape(codes.shape)
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    scheme = json.loads((folder / "config.json").read_text(encoding="utf-8"))["quantization_config"]
    del config.quantization_config
    config.dtype = torch.float32
    model: Any = AutoModelForCausalLM.from_config(config)
    if model.config.tie_word_embeddings:
        state.pop("lm_head.weight", None)
    missing, unexpected = model.load_state_dict(state, strict=False)
    tied = set(getattr(model, "_tied_weights_keys", None) or []) if model.config.tie_word_embeddings else set()
    assert not unexpected, unexpected
    assert set(missing) <= tied, missing
    activations = scheme["config_groups"]["group_0"]["input_activations"]
    if activations is not None:
        for linear in linears:
            model.get_submodule(linear).register_forward_pre_hook(_rounding(activations["type"]))
    return model


def unpack_int4(words: Any) -> Any:
    """Codes from -8 to 7, eight of them in each word of 32 bits."""
    import torch

    places = [((words >> (4 * place)) & 15) - 8 for place in range(CODES_IN_A_WORD)]
    return torch.stack(places, 2).reshape(words.shape[0], -1)


def _rounding(kind: str) -> Any:
    """A hook that rounds what a linear layer is given: eight bits, one scale a token."""
    import torch

    limit = torch.finfo(torch.float8_e4m3fn).max if kind == "float" else 127.0

    def hook(_: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        (values,) = inputs
        scales = values.abs().amax(dim=-1, keepdim=True).clamp(min=1e-12) / limit
        codes = values / scales
        rounded = codes.to(torch.float8_e4m3fn).float() if kind == "float" else codes.round().clamp(-128, 127)
        return (rounded * scales,)

    return hook
