"""Events of the data path as rows of PostgreSQL."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy.exc import DataError, IntegrityError

from contracts.errors import NotFoundError
from database.unit_of_work import UnitOfWork
from serving_api.event_log import Event
from serving_api.event_mover import RefusedEventError, Store
from serving_api.said import Said, said_in
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
                uow.experiments.log_answers(_rows(answers, kept) for answers in _answers(chunks, others))
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


def _rows(events: list[Event], kept: Kept) -> list[dict[str, Any]]:
    request_ids: list[str] = []
    questions: list[bytes] = []
    answers: list[bytes] = []
    told: list[Said] = []
    for event in events:
        _needed(event)
        request_id, query, body, is_stream = _said(event)
        # events of before hold texts; what is neither is a TypeError, and refused
        said = said_in(body if isinstance(body, bytes) else bytes(body, "utf-8"), is_stream=is_stream)
        request_ids.append(request_id)
        questions.append(query if isinstance(query, bytes) else bytes(query, "utf-8"))
        answers.append(said.text.encode())
        told.append(said)
    questions, answers = _storable(questions), _storable(answers)
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
        _storable([bytes(event["comment"] or "", "utf-8") for event in events]),
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


def _storable(texts: list[bytes]) -> list[bytes]:
    # PostgreSQL takes every character but this one
    return [text.replace(b"\x00", b"") for text in texts] if b"\x00" in b"".join(texts) else texts
