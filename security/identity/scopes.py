"""What a key may be used for, beside what its account's role may."""

from collections.abc import Iterable


def covers(scopes: Iterable[str] | None, resource: str, action: str) -> bool:
    """Whether one of the scopes (`resource:action`, each may be `*`) covers the call; None covers all."""
    if scopes is None:
        return True
    allowed = {f"{resource}:{action}", f"{resource}:*", f"*:{action}", "*:*"}
    return any(scope in allowed for scope in scopes)
