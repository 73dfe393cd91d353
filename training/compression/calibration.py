"""What real rows do inside a model: each layer in turn, with the statistics of what its linear parts are given.

Layer by layer, so that one layer's inputs come from layers that were compressed already, as they will at run time, and
so that no more than one layer's activations are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass
class InputStatistics:
    """Sums over everything a linear layer was given."""

    tokens: int = 0
    gram: torch.Tensor | None = None
    """Sum of x xᵀ: [inputs, inputs], float32."""
    absolute: torch.Tensor | None = None
    """Sum of |x|: [inputs]."""

    def add(self, inputs_ti: torch.Tensor) -> None:
        """More tokens: [tokens, inputs]."""
        inputs_ti = inputs_ti.reshape(-1, inputs_ti.shape[-1]).float()
        gram, absolute = inputs_ti.T @ inputs_ti, inputs_ti.abs().sum(0)
        self.gram = gram if self.gram is None else self.gram + gram
        self.absolute = absolute if self.absolute is None else self.absolute + absolute
        self.tokens += inputs_ti.shape[0]

    @property
    def norms(self) -> torch.Tensor:
        """Euclidean norm of each input over all tokens."""
        assert self.gram is not None, "the layer was given something"
        return self.gram.diagonal().sqrt()

    @property
    def means(self) -> torch.Tensor:
        """Mean size of each input."""
        assert self.absolute is not None, "the layer was given something"
        return self.absolute / self.tokens


@dataclass
class CalibratedLayer:
    """One decoder layer and what its linear parts are given."""

    name: str
    module: Any
    linears: dict[str, Any]
    """By their names inside the layer."""
    statistics: dict[str, InputStatistics] = field(default_factory=dict)


def linears_of(layer: Any) -> dict[str, Any]:
    """The linear parts of a layer, by name."""
    import torch

    return {name: module for name, module in layer.named_modules() if isinstance(module, torch.nn.Linear)}


def decoder_layers(model: Any) -> list[tuple[str, Any]]:
    """The layers in their order: every model that the platform trains has them at the same place."""
    return [(f"model.layers.{index}", layer) for index, layer in enumerate(model.model.layers)]


def plain_layers(model: Any) -> Iterator[CalibratedLayer]:
    """Each layer, without statistics: for methods that look at weights only."""
    for name, layer in decoder_layers(model):
        yield CalibratedLayer(name, layer, linears_of(layer))


def calibrated_layers(model: Any, rows: list[list[int]]) -> Iterator[CalibratedLayer]:
    """Each layer with its statistics over the rows. What was changed in a layer reaches the next one's inputs."""
    import torch

    inputs = _first_inputs(model, rows)
    for name, layer in decoder_layers(model):
        found = CalibratedLayer(name, layer, linears_of(layer))
        hooks = []
        for part, linear in found.linears.items():
            statistics = found.statistics[part] = InputStatistics()
            hooks.append(
                linear.register_forward_pre_hook(lambda _, given, statistics=statistics: statistics.add(given[0]))
            )
        with torch.no_grad():
            for hidden, arguments in inputs:
                layer(hidden, **arguments)
        for hook in hooks:
            hook.remove()
        yield found
        with torch.no_grad():
            inputs = [(_hidden(layer(hidden, **arguments)), arguments) for hidden, arguments in inputs]


class _Caught(Exception):
    pass


def _first_inputs(model: Any, rows: list[list[int]]) -> list[tuple[torch.Tensor, dict[str, Any]]]:
    """What the first layer is given, row by row: hidden states and its other arguments."""
    import torch

    caught: list[tuple[torch.Tensor, dict[str, Any]]] = []

    def catch(_: Any, positional: tuple[Any, ...], named: dict[str, Any]) -> None:
        named = {**named, "past_key_values": None, "use_cache": False}
        hidden = positional[0] if positional else named.pop("hidden_states")
        caught.append((hidden, named))
        raise _Caught

    hook = model.model.layers[0].register_forward_pre_hook(catch, with_kwargs=True)
    with torch.no_grad():
        for row in rows:
            try:
                model(input_ids=torch.tensor([row], device=model.device), use_cache=False)
            except _Caught:
                continue
    hook.remove()
    return caught


def _hidden(output: Any) -> torch.Tensor:
    """Older layers answer with a tuple."""
    import torch

    found = output[0] if isinstance(output, tuple) else output
    assert isinstance(found, torch.Tensor)
    return found
