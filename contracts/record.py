"""The base of every record."""

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, JsonValue

JsonObject = dict[str, JsonValue]
"""A JSON object; pydantic checks its values where a record has one."""


class Record(BaseModel):
    """A value that crosses a boundary: frozen, unknown fields refused, readable as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=())


def utc_now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)
