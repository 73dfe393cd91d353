"""Keys of endpoints, each a file of the secrets folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.errors import InvalidRequestError

if TYPE_CHECKING:
    from settings import Settings


def key_in(settings: Settings, name: str | None) -> str | None:
    """The key in the file of that name; None where no name is given. Raises InvalidRequestError where there is none."""
    if name is None:
        return None
    path = settings.secrets_dir / name
    if not path.is_file() or path.parent.resolve() != settings.secrets_dir.resolve():
        raise InvalidRequestError(
            "There is no such key file",
            value=name,
            allowed="the name of a file in the secrets folder",
            next_step=f"write the key into {settings.secrets_dir / name} with mode 0600",
        )
    return path.read_text(encoding="utf-8").strip()
