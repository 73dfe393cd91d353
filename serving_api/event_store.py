"""Events of the data path as rows of PostgreSQL."""

from collections.abc import Callable, Iterator
from typing import Any

import orjson
from sqlalchemy.exc import DataError, IntegrityError

from contracts.enums import Arm
from contracts.errors import NotFoundError
from database.unit_of_work import UnitOfWork
from serving_api.event_log import Event, RefusedEventError
from stages.services import Services


def event_store(services: Services) -> Callable[[list[Event]], None]:
    """A function that stores a batch of events in one transaction."""

    def store(events: list[Event]) -> None:
        try:
            with services.unit_of_work() as uow:
                for event in events:
                    _STORE[event["kind"]](uow, event)
        except (DataError, IntegrityError, NotFoundError, KeyError, ValueError, TypeError) as error:
            raise RefusedEventError("The event cannot be stored", value=f"{type(error).__name__}: {error}") from error

    return store


def _store_answer(uow: UnitOfWork, event: Event) -> None:
    uow.experiments.log_answer(
        experiment_id=event["experiment_id"],
        user_key=event["user_key"],
        session_id=event["session_id"],
        variant=_arm(event["variant"]),
        assigned_variant=_arm(event["assigned_variant"]),
        model_id=event["model_id"],
        query=_storable(event["query"]),
        response=_storable(answer_text(event["body"], is_stream=event["is_stream"])),
        response_time_ms=event["response_time_ms"],
        request_id=event["request_id"],
    )


def _store_pin(uow: UnitOfWork, event: Event) -> None:
    uow.experiments.pin_user(event["experiment_id"], event["user_key"], Arm(event["arm"]))


def _store_rating(uow: UnitOfWork, event: Event) -> None:
    comment = event["comment"]
    if not uow.experiments.rate(event["request_id"], event["rating"], None if comment is None else _storable(comment)):
        raise NotFoundError("There is no stored answer to rate", value=event["request_id"])


_STORE: dict[str, Callable[[UnitOfWork, Event], None]] = {
    "answer": _store_answer,
    "pin": _store_pin,
    "rating": _store_rating,
}


def _arm(value: str | None) -> Arm | None:
    return None if value is None else Arm(value)


def _storable(text: str) -> str:
    # PostgreSQL takes every character but this one
    return text.replace("\x00", "")


def answer_text(body: str, *, is_stream: bool) -> str:
    """The text of an OpenAI chat answer: of the JSON body, or of the deltas of its events."""
    if is_stream:
        return "".join(_deltas(body))
    try:
        return _first_choice(orjson.loads(body), "message")
    except ValueError:
        return ""


def _deltas(body: str) -> Iterator[str]:
    for line in body.splitlines():
        if line.startswith("data:") and line[5:].strip() != "[DONE]":
            try:
                yield _first_choice(orjson.loads(line[5:]), "delta")
            except ValueError:
                # the event in whose middle the connection ended
                return


def _first_choice(value: Any, part: str) -> str:
    try:
        content = value["choices"][0][part].get("content")
    except (LookupError, TypeError, AttributeError):
        return ""
    return content if isinstance(content, str) else ""
