"""Batches without padding on a CPU, in which attention takes each sample by itself.

All samples of a batch lie in one row, one after the other, so that every layer computes with their own tokens only. For
attention alone they are laid under each other, those of similar length together, and each sees itself only because
torch's causal SDPA is called for each as for a row. Neither a mask is made, nor are scores between two samples computed
to be thrown away. The head and the loss take the positions from which something is to be learnt, and no others: with
answers shorter than their questions they are a fifth of all.

The loss and the gradients are those of padded rows, and a sample's own, to the last digits of float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from training.conversations import IGNORED

if TYPE_CHECKING:
    from training.recipe import Recipe

BY_SAMPLE = "sdpa_by_sample"
"""The name by which transformers knows this attention."""
FAMILIES = ("llama", "qwen2", "qwen3")
"""Models whose layers are known to attend to all that was before, without a window, a cap or a bias of their own, and
whose loss is the mean over the labels. Others are trained with padded rows and a mask."""


def takes_samples_apart(config: Any, recipe: Recipe) -> bool:
    """The recipe on a CPU, in a process of its own or beside others with whole copies, over a model of that kind."""
    layers = getattr(config, "layer_types", None) or ["full_attention"]
    return (
        recipe.objective == "sft"
        and recipe.sharding == "none"
        and config.model_type in FAMILIES
        and set(layers) == {"full_attention"}
    )


@dataclass(frozen=True, slots=True, eq=False)
class SampleLayout:
    """Where the tokens of a row lie while its samples are laid under each other."""

    slots: Any
    """Of each token, its place: a tensor of as many numbers as tokens."""
    tokens: Any
    """Of each place, its token; the first token where a sample is shorter than the longest beside it."""
    shapes: list[tuple[int, int]]
    """Samples and width of each group; they lie one after the other."""


def layout_of(position_ids: Any) -> SampleLayout:
    """The layout of one row whose positions begin anew with each sample.

    A group holds samples longer than half of its longest: less than half of its places stay empty.
    """
    import torch

    positions = position_ids[0]
    starts = (positions == 0).nonzero().flatten()
    lengths = torch.diff(starts, append=starts.new_tensor([len(positions)])).tolist()
    longest_first = sorted(range(len(lengths)), key=lambda sample: (-lengths[sample], sample))
    first_slots, shapes, taken = [0] * len(lengths), [], 0
    while longest_first:
        width = lengths[longest_first[0]]
        group = [sample for sample in longest_first if 2 * lengths[sample] > width]
        for number, sample in enumerate(group):
            first_slots[sample] = taken + number * width
        shapes.append((len(group), width))
        taken += len(group) * width
        longest_first = longest_first[len(group) :]
    of_sample = torch.repeat_interleave(torch.tensor(first_slots), torch.tensor(lengths))
    slots = of_sample + positions
    tokens = torch.zeros(taken, dtype=torch.long)
    tokens[slots] = torch.arange(len(positions))
    return SampleLayout(slots, tokens, shapes)


def learnt_positions_only(batch: dict[str, Any]) -> dict[str, Any]:
    """What the model is given for a row of whole samples: its layout, and the positions before a label."""
    labels = batch["labels"][0]
    learnt = (labels != IGNORED).nonzero().flatten()
    wanted = labels[learnt][None]
    return {
        **batch,
        "labels": wanted,
        "shift_labels": wanted,  # taken as they are, not shifted once more
        "logits_to_keep": learnt - 1,  # a sample's first token is never a label
        "layout": layout_of(batch["position_ids"]),
    }


def register_attention() -> None:
    """Make the attention known to transformers, without a maker of masks: none is made for it."""
    import torch
    from transformers import AttentionInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    class Spread(torch.autograd.Function):  # type: ignore[misc]
        """Tokens to their places. Nothing comes back from places that stayed empty: no result of theirs is used."""

        @staticmethod
        def forward(context: Any, tokens: Any, layout: SampleLayout) -> Any:
            context.layout = layout
            return tokens.index_select(0, layout.tokens)

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            return gradient.index_select(0, context.layout.slots), None

    class Collect(torch.autograd.Function):  # type: ignore[misc]
        """Tokens from their places; what goes back to empty places is zero."""

        @staticmethod
        def forward(context: Any, places: Any, layout: SampleLayout) -> Any:
            context.layout = layout
            return places.index_select(0, layout.slots)

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            layout = context.layout
            back = gradient.new_zeros(len(layout.tokens), gradient.shape[1])
            return back.index_copy_(0, layout.slots, gradient), None

    def attend(
        module: Any, query: Any, key: Any, value: Any, attention_mask: Any, *, layout: Any = None, **options: Any
    ) -> Any:
        """As transformers' own SDPA; of several samples, each by itself."""
        if layout is None:  # a lone sample
            return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
        size = query.shape[-1]
        spread = [Spread.apply(part[0].transpose(0, 1).flatten(1), layout) for part in (query, key, value)]
        found, taken = [], 0
        for samples, width in layout.shapes:
            end = taken + samples * width
            group = [part[taken:end].view(samples, width, -1, size).transpose(1, 2) for part in spread]
            found.append(sdpa_attention_forward(module, *group, None, **options)[0].flatten(0, 1).flatten(1))
            taken = end
        output = Collect.apply(torch.cat(found) if len(found) > 1 else found[0], layout)
        return output.view(1, len(layout.slots), -1, size), None

    AttentionInterface.register(BY_SAMPLE, attend)
