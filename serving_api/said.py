"""What an answer in OpenAI's protocol says: its text, and the tokens that it took."""

from typing import Any, NamedTuple

import msgspec
import orjson


class Said(NamedTuple):
    """What an answer holds."""

    text: str
    prompt_tokens: int | None
    """None where the model server did not tell."""
    completion_tokens: int | None
    """As told; else, of a stream, the pieces that have text. None for a whole answer without usage."""


class _Part(msgspec.Struct, gc=False):
    content: str | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Part | None = None
    message: _Part | None = None
    text: str | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Answer(msgspec.Struct, gc=False):
    """What is looked at of an answer, or of a piece of one; the rest is skipped unread, such as the numbers of a vector."""

    choices: tuple[_Choice, ...] = ()
    usage: _Usage | None = None


_decode = msgspec.json.Decoder(_Answer).decode


def said_in(body: bytes, *, is_stream: bool) -> Said:
    """Text and tokens of a JSON body, or of the events of a stream up to where it broke off."""
    if not is_stream:
        text, usage = _read(body) or ("", None)
        return Said(text, *(usage or (None, None)))
    texts: list[str] = []
    told: tuple[int | None, int | None] | None = None
    for line in body.split(b"\n"):
        if line.startswith(b"data:") and not line.startswith((b"data: [DONE]", b"data:[DONE]")):
            piece = _read(line[5:])
            if piece is None:
                # the event in whose middle the connection ended
                break
            text, usage = piece
            if text:
                texts.append(text)
            told = usage or told
    return Said("".join(texts), *(told or (None, len(texts))))


_Read = tuple[str, tuple[int | None, int | None] | None]
"""Text, and the tokens of question and answer where they are told."""


def _read(body: bytes) -> _Read | None:
    """None of what is no JSON."""
    try:
        answer = _decode(body)
    except msgspec.MsgspecError:
        # not as OpenAI's protocol has it
        return _read_loosely(body)
    usage = answer.usage
    told = None if usage is None else (usage.prompt_tokens, usage.completion_tokens)
    if not answer.choices:
        return "", told
    choice = answer.choices[0]
    part = choice.delta or choice.message
    return (choice.text if part is None else part.content) or "", told


def _read_loosely(body: bytes) -> _Read | None:
    try:
        value = orjson.loads(body)
    except ValueError:
        try:
            # perhaps for a letter that was cut in two
            value = orjson.loads(body.decode(errors="replace"))
        except ValueError:
            return None
    return _text(value), _usage(value)


def _text(value: Any) -> str:
    try:
        choice = value["choices"][0]
        part = choice.get("delta") or choice.get("message")
        content = choice.get("text") if part is None else part.get("content")
    except (LookupError, TypeError, AttributeError):
        return ""
    return content if isinstance(content, str) else ""


def _usage(value: Any) -> tuple[int | None, int | None] | None:
    usage = value.get("usage") if isinstance(value, dict) else None
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    return prompt if isinstance(prompt, int) else None, completion if isinstance(completion, int) else None
