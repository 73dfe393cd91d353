"""From conversations to token ids and labels: only what the assistant says, and the end of its turn, is learnt."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.errors import InvalidDataError, InvalidRequestError
from storage.split_files import split_files
from storage.stored_files import open_stored

IGNORED = -100
"""Label of a token that adds nothing to the loss."""
EMPTY_THOUGHT = re.compile(r"^<think>\s*</think>\s*")
"""Qwen3 puts it before an answer without a thought; a served model without thinking is given it in the prompt."""

Message = dict[str, str]


@dataclass(frozen=True, slots=True)
class TokenizedRows:
    """Rows ready for the trainer."""

    input_ids: list[list[int]]
    labels: list[list[int]]
    cut: int
    """Rows longer than the maximum, whose end was cut off."""
    dropped: int
    """Rows of which nothing to learn was left."""


def read_conversations(path: Path) -> list[list[Message]]:
    """The conversations of a split: its Parquet file, or its folder of parts. Raises InvalidDataError."""
    import pyarrow.parquet as parquet

    files = split_files(path)
    if not files:
        raise InvalidDataError("A file of the dataset version is missing", value=path, next_step="prepare it again")
    for file in files:
        with open_stored(file) as stream:
            names = parquet.read_schema(stream).names
        if "messages" not in names:
            raise InvalidDataError(
                "The dataset version holds no conversations",
                value=f"{file}: columns {', '.join(names)}",
                allowed="a column `messages`",
                next_step="preference pairs (prompt, chosen, rejected) want a recipe with the objective dpo",
            )
    conversations: list[list[Message]] = []
    for file in files:
        with open_stored(file) as stream:
            texts = parquet.read_table(stream, columns=["messages"]).column("messages").to_pylist()
        conversations += map(json.loads, texts)
    return conversations


def training_template(tokenizer: Any) -> str:
    """The chat template with marks around what the assistant says.

    The tokenizer's own where it has them, else the marked twin that TRL knows of it. Raises InvalidRequestError.
    """
    template = tokenizer.chat_template
    if not isinstance(template, str):
        raise InvalidRequestError(
            "The base model's tokenizer has no chat template",
            value=tokenizer.name_or_path,
            allowed="a chat_template.jinja, or chat_template in tokenizer_config.json",
            next_step="add the template by which the model is to be asked",
        )
    if re.search(r"{%-?\s*generation\s*-?%}", template):
        return template
    from trl.chat_template_utils import get_training_chat_template

    try:
        marked = get_training_chat_template(tokenizer)
    except ValueError as error:
        raise InvalidRequestError(
            "The chat template does not mark what the assistant says",
            value=tokenizer.name_or_path,
            allowed="a template with {% generation %} ... {% endgeneration %}, or one of a known Qwen3 model",
            next_step="put the marks around the assistant's message and its end-of-turn token",
        ) from error
    return template if marked is None else str(marked)


def tokenize(tokenizer: Any, template: str, messages: list[Message]) -> tuple[list[int], list[int]]:
    """Token ids of a conversation, and 1 for each token that the assistant says."""
    output = tokenizer.apply_chat_template(
        messages, chat_template=template, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    return list(output["input_ids"]), list(output["assistant_masks"])


def check_assistant_mask(tokenizer: Any, template: str, messages: list[Message]) -> None:
    """The mask holds each assistant turn and its end-of-turn token, and nothing else. Raises InvalidRequestError.

    Also: the prompt a served model gets is the beginning of what it was trained on.
    """
    ids, mask = tokenize(tokenizer, template, messages)
    spoken = [tokenizer.decode(span, skip_special_tokens=False) for span in _spans(ids, mask)]
    expected = [_without_thought(message["content"]) for message in messages if message["role"] == "assistant"]
    ends = set(tokenizer.get_added_vocab())
    turns = [EMPTY_THOUGHT.sub("", turn).rstrip() for turn in spoken]
    right = len(turns) == len(expected) and all(
        turn.startswith(text) and turn[len(text) :].strip() in ends
        for turn, text in zip(map(_without_thought, turns), expected, strict=True)
    )
    if not right:
        raise InvalidRequestError(
            "The chat template would train on the wrong tokens",
            value=f"marked as the assistant's: {turns}",
            allowed=f"exactly {expected}, each with its end-of-turn token",
            next_step="correct the {% generation %} marks of the model's chat template",
        )
    first = next(index for index, message in enumerate(messages) if message["role"] == "assistant")
    check_prompt(tokenizer, template, messages[:first], messages[first])


def check_prompt(tokenizer: Any, template: str, prompt: list[Message], answer: Message) -> None:
    """The prompt that a served model gets is the beginning of what is trained. Raises InvalidRequestError."""
    asked = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
    trained = tokenizer.apply_chat_template([*prompt, answer], tokenize=False, chat_template=template)
    if not trained.startswith(asked):
        raise InvalidRequestError(
            "The chat template asks in another way than it trains",
            value=f"asked: {asked!r}, trained: {trained!r}",
            allowed="a prompt that is the beginning of the trained text",
            next_step="correct add_generation_prompt in the model's chat template",
        )


def tokenize_rows(
    tokenizer: Any, template: str, conversations: list[list[Message]], max_length_tokens: int
) -> TokenizedRows:
    """Ids and labels of all conversations, cut to the maximum; rows without anything left to learn are dropped."""
    all_ids, all_labels, cut, dropped = [], [], 0, 0
    for messages in conversations:
        ids, mask = tokenize(tokenizer, template, messages)
        cut += len(ids) > max_length_tokens
        ids, mask = ids[:max_length_tokens], mask[:max_length_tokens]
        if 1 not in mask:
            dropped += 1
            continue
        all_ids.append(ids)
        all_labels.append([token if spoken else IGNORED for token, spoken in zip(ids, mask, strict=True)])
    return TokenizedRows(all_ids, all_labels, cut, dropped)


def _spans(ids: list[int], mask: list[int]) -> list[list[int]]:
    spans: list[list[int]] = []
    before = 0
    for token, spoken in zip(ids, mask, strict=True):
        if spoken and not before:
            spans.append([])
        if spoken:
            spans[-1].append(token)
        before = spoken
    return spans


def _without_thought(text: str) -> str:
    return text.rpartition("</think>")[2].strip()
