"""The header Idempotency-Key of calls that start something."""

import hashlib
import json
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Header, Request

from serving_api.authentication import Caller, ServicesParameter
from stages.once import Answer, once
from stages.services import Services

KEY_PATTERN = r"^[\x21-\x7e]{1,200}$"


class Once:
    """Carries a call out, or answers as it was answered under the same key. Without a key it is simply carried out."""

    def __init__(self, services: Services, user_id: int, key: str | None, fingerprint: str) -> None:
        self._services = services
        self._user_id = user_id
        self._fingerprint = fingerprint
        self.key = key

    def __call__(
        self, kind: type[Answer], act: Callable[[], Answer], *, is_final: Callable[[Answer], bool] = lambda _: True
    ) -> Answer:
        """See `stages.once`; `kind`: the class of the answer."""
        if self.key is None:
            return act()
        return once(self._user_id, self.key, self._fingerprint, act, kind, self._services, is_final=is_final)

    @property
    def mark(self) -> str | None:
        """A name for what is started under the key, the same for each repetition; None without a key."""
        if self.key is None:
            return None
        return hashlib.sha256(f"{self._user_id}\0{self.key}".encode()).hexdigest()[:32]


async def _once(
    request: Request,
    services: ServicesParameter,
    caller: Caller,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            pattern=KEY_PATTERN,
            description="The same key with the same body is carried out once, and answered alike for 24 hours.",
            examples=["0197f3a2-5b1c-7d2e-9c41-3f6a8b0d1e22"],
        ),
    ] = None,
) -> Once:
    body = await request.body()
    address = f"{request.method} {request.url.path}?{request.url.query}\n"
    fingerprint = hashlib.sha256(address.encode() + _canonical(body)).hexdigest()
    return Once(services, caller.user_id, key, fingerprint)


OnceParameter = Annotated[Once, Depends(_once)]


def _canonical(body: bytes) -> bytes:
    """The same for bodies that say the same."""
    try:
        return json.dumps(json.loads(body), sort_keys=True).encode()
    except ValueError:
        return body
