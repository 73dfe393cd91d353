"""Several short samples in one row, each as if it stood alone.

Without packing a batch is as wide as its longest sample, and the rest is padding. Packed, a sample still sees itself
only: positions start anew with each, from which the attention mask (SDPA) or the sequence bounds (FlashAttention) are
made, and no sample is asked to foretell the next one's first token.
"""

from __future__ import annotations

from typing import Any

from training.conversations import IGNORED


def pack_rows(rows: Any, max_length_tokens: int) -> Any:
    """A dataset of `input_ids` and `labels` as rows of at most that length, with the `seq_lengths` of their samples.

    Best fit decreasing: each sample, the longest first, goes where it leaves the least room. The same samples always
    give the same rows.
    """
    from trl import pack_dataset

    return pack_dataset(rows, max_length_tokens, strategy="bfd")


def make_collator(pad_token_id: int, *, in_one_row: bool = False) -> Any:
    """Batches of packed rows, and of plain ones where a dataset has no `seq_lengths`.

    In one row: all samples of the batch one after the other, without padding, as sample_attention.py takes them.
    """
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    class PackingCollator(DataCollatorForLanguageModeling):  # type: ignore[misc]
        def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
            packed = "seq_lengths" in examples[0]
            self.padding_free = in_one_row
            self.return_position_ids = packed
            batch: dict[str, Any] = super().torch_call(examples)
            if in_one_row:
                return {name: batch[name] for name in ("input_ids", "position_ids", "labels")}
            if packed:
                # With a mask of padding beside them, the positions would not be read as several samples. Each token of
                # padding has position 0, and so is a sample by itself.
                del batch["attention_mask"]
                batch["labels"][batch["position_ids"] == 0] = IGNORED
            return batch

    return PackingCollator(pad_token_id=pad_token_id)


def samples_of(batch: dict[str, Any]) -> list[dict[str, Any]]:
    """The batch's samples as batches of one each, without what only pads."""
    found = []
    for row in range(len(batch["input_ids"])):
        tokens, labels = batch["input_ids"][row], batch["labels"][row]
        if "position_ids" in batch:
            starts = (batch["position_ids"][row] == 0).nonzero().flatten().tolist()
            bounds = list(zip(starts, [*starts[1:], len(tokens)], strict=True))
        else:
            bounds = [(0, int(batch["attention_mask"][row].sum()))]
        for begin, end in bounds:
            if (labels[begin:end] != IGNORED).any():
                found.append({"input_ids": tokens[None, begin:end], "labels": labels[None, begin:end]})
    return found
