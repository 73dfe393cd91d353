"""A call under a key is carried out once, however often it comes: PostgreSQL knows the keys and who works under one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

from contracts.errors import InProgressError, InvalidRequestError, TunewayError

if TYPE_CHECKING:
    from collections.abc import Callable

    from stages.services import Services

Answer = TypeVar("Answer", bound=BaseModel)

REMEMBERED = timedelta(hours=24)


def once(
    user_id: int,
    key: str,
    fingerprint: str,
    act: Callable[[], Answer],
    kind: type[Answer],
    services: Services,
    *,
    is_final: Callable[[Answer], bool] = lambda _: True,
) -> Answer:
    """The answer of `act`, or that of an earlier call of this account under the same key.

    A lock on the key's row is held meanwhile, so it is gone with a process that is killed: the call can then be
    repeated, and `act` must find what it left behind. So can a call that was answered with a retryable error or with
    an answer that is not final; one that was refused otherwise leaves the key free. Raises InvalidRequestError where the key stands for another call (`fingerprint`: of method, address and body),
    InProgressError while somebody works under it.
    """
    with services.unit_of_work() as uow:
        uow.idempotency_keys.forget_older(REMEMBERED)
        present = uow.idempotency_keys.note(user_id, key, fingerprint)
    if present.fingerprint != fingerprint:
        raise InvalidRequestError(
            "The Idempotency-Key stands for another call",
            value=key,
            allowed=f"a new key for each call; the same key with the same body for {REMEMBERED // timedelta(hours=1)} hours",
            next_step="send it again under a key of its own",
        )
    if present.answer is not None:
        return kind.model_validate(present.answer)
    with services.unit_of_work(holding=True) as uow:
        held = uow.idempotency_keys.hold(user_id, key)
        if held is None:
            raise InProgressError(
                "A call under this Idempotency-Key is being carried out",
                value=key,
                next_step="send it again after the time in Retry-After: it has its answer then",
            )
        if held.answer is not None:
            return kind.model_validate(held.answer)
        outcome = _outcome(act)
        if isinstance(outcome, TunewayError):
            if not outcome.retryable:
                uow.idempotency_keys.forget(user_id, key)
        elif is_final(outcome):
            uow.idempotency_keys.answer(user_id, key, outcome.model_dump(mode="json"))
    if isinstance(outcome, TunewayError):
        raise outcome
    return outcome


def _outcome(act: Callable[[], Answer]) -> Answer | TunewayError:
    try:
        return act()
    except TunewayError as error:
        return error
