"""Events of the data path as rows of PostgreSQL."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import orjson
from sqlalchemy.exc import DataError, IntegrityError

from contracts.errors import NotFoundError
from database.unit_of_work import UnitOfWork
from serving_api.event_log import Event
from serving_api.event_mover import RefusedEventError, Store
from stages.services import Services

Kept = Callable[[str, Sequence[str], Sequence[bytes]], list[str]]
"""What a text column is to hold for each request id, and its text in UTF-8."""

_said = itemgetter("request_id", "query", "body", "is_stream")
_needed = itemgetter(
    "experiment_id", "session_id", "variant", "model_id", "response_time_ms", "user_key", "assigned_variant"
)
"""More may be there: an earlier version of the service left events in the journal without."""


def event_store(services: Services) -> Store:
    """What stores chunks of events in one transaction; what was said is sealed before."""
    kept = services.recorded_text.all_kept

    def store(chunks: Iterable[list[Event]]) -> None:
        others: defaultdict[str, list[Event]] = defaultdict(list)
        try:
            with services.unit_of_work() as uow:
                uow.experiments.log_answers(_rows(_answers(chunks, others), kept))
                # a rating follows its answer
                for kind, events in others.items():
                    _STORE[kind](uow, events, kept)
        except (DataError, IntegrityError, NotFoundError, KeyError, ValueError, TypeError) as error:
            raise RefusedEventError("The event cannot be stored", value=f"{type(error).__name__}: {error}") from error

    return store


def _answers(chunks: Iterable[list[Event]], others: defaultdict[str, list[Event]]) -> Iterator[list[Event]]:
    """Of each chunk; the rest goes to `others`, by its kind."""
    for chunk in chunks:
        answers = [event for event in chunk if event["kind"] == "answer"]
        if len(answers) < len(chunk):
            for event in chunk:
                if event["kind"] != "answer":
                    others[event["kind"]].append(event)
        if answers:
            yield answers


def _rows(chunks: Iterable[list[Event]], kept: Kept) -> Iterator[list[dict[str, Any]]]:
    for chunk in chunks:
        yield _rows_of(chunk, kept)


def _rows_of(events: list[Event], kept: Kept) -> list[dict[str, Any]]:
    request_ids: list[str] = []
    questions: list[bytes] = []
    answers: list[bytes] = []
    told: list[Said] = []
    for event in events:
        _needed(event)
        request_id, query, body, is_stream = _said(event)
        said = said_in(_as_bytes(body), is_stream=is_stream)
        request_ids.append(request_id)
        questions.append(_storable(query))
        answers.append(_storable(said.text))
        told.append(said)
    sealed = kept("query", request_ids, questions), kept("response", request_ids, answers)
    return [
        {
            **event,
            "body": None,
            "query": query,
            "response": response,
            "prompt_tokens": said.prompt_tokens,
            "completion_tokens": said.completion_tokens,
        }
        for event, query, response, said in zip(events, *sealed, told, strict=True)
    ]


def _store_pins(uow: UnitOfWork, events: list[Event], _kept: Kept) -> None:
    uow.experiments.pin_users(
        [
            {"experiment_id": event["experiment_id"], "user_key": event["user_key"], "variant": event["arm"]}
            for event in events
        ]
    )


def _store_ratings(uow: UnitOfWork, events: list[Event], kept: Kept) -> None:
    comments = kept(
        "user_feedback",
        [event["request_id"] for event in events],
        [_storable(event["comment"] or "") for event in events],
    )
    for event, comment in zip(events, comments, strict=True):
        if not uow.experiments.rate(
            event["request_id"], event["rating"], None if event["comment"] is None else comment
        ):
            raise NotFoundError("There is no stored answer to rate", value=event["request_id"])


_STORE: dict[str, Callable[[UnitOfWork, list[Event], Kept], None]] = {
    "pin": _store_pins,
    "rating": _store_ratings,
}


def _storable(text: str | bytes) -> bytes:
    # PostgreSQL takes every character but this one
    return _as_bytes(text).replace(b"\x00", b"")


def _as_bytes(text: str | bytes) -> bytes:
    """Events of before hold texts where there are bytes now. Raises TypeError for what is neither: it is refused."""
    return text if isinstance(text, bytes) else bytes(text, "utf-8")


class Said(NamedTuple):
    """What an answer in OpenAI's protocol holds."""

    text: str
    prompt_tokens: int | None
    """None where the model server did not tell."""
    completion_tokens: int | None
    """As told; else, of a stream, the pieces that have text. None for a whole answer without usage."""


def said_in(body: bytes, *, is_stream: bool) -> Said:
    """Text and tokens of a JSON body, or of the events of a stream up to where it broke off."""
    if not is_stream:
        value = _parsed(body)
        prompt_tokens, completion_tokens = _usage(value) or (None, None)
        return Said(_text(value), prompt_tokens, completion_tokens)
    values = _events(body)
    texts = [text for value in values if (text := _text(value))]
    told = next((told for value in reversed(values) if (told := _usage(value)) is not None), (None, len(texts)))
    return Said("".join(texts), *told)


def _parsed(body: bytes) -> Any:
    try:
        return _value(body)
    except ValueError:
        return None


def _events(body: bytes) -> list[Any]:
    values: list[Any] = []
    for line in body.split(b"\n"):
        if line.startswith(b"data:") and not line.startswith((b"data: [DONE]", b"data:[DONE]")):
            try:
                values.append(_value(line[5:]))
            except ValueError:
                # the event in whose middle the connection ended
                break
    return values


def _value(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        # perhaps for a letter that was cut in two
        return orjson.loads(text.decode(errors="replace"))


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
