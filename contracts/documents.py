"""Documents: where the passages come from that samples are generated of."""

from typing import Self

from pydantic import Field, model_validator

from contracts.record import Record

_FIELD = r"^[^\x00-\x1f]{1,200}$"


class QdrantSource(Record):
    """A Qdrant collection whose points hold passages as payload. Its vectors are not read.

    A field is a key of the payload; `metadata.source` is the key `source` inside the object `metadata`. A field left
    empty is found by the names that LangChain, LlamaIndex, Haystack and Qdrant's own client use.
    """

    collection: str = Field(pattern=r"^[^\x00-\x1f/]{1,255}$")
    url: str | None = Field(default=None, pattern=r"^https?://[^\s@]{1,500}$")
    """Address of the server, without a password in it."""
    path: str | None = Field(default=None, pattern=r"^[^\x00-\x1f]{1,1000}$")
    """Folder of a database of qdrant-client's local mode."""
    text_field: str | None = Field(default=None, pattern=_FIELD)
    document_field: str | None = Field(default=None, pattern=_FIELD)
    """Name of the document that the passage was cut from."""
    heading_field: str | None = Field(default=None, pattern=_FIELD)
    """Headings above the passage: a list, or one text."""
    article_field: str | None = Field(default=None, pattern=_FIELD)
    page_field: str | None = Field(default=None, pattern=_FIELD)
    start_field: str | None = Field(default=None, pattern=_FIELD)
    """Where the passage begins in its document, in characters."""
    max_points: int | None = Field(default=None, ge=1)
    """Read this many points at most: a slice for a trial."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.url is None) == (self.path is None):
            raise ValueError("give either url (a server) or path (a folder of the local mode)")
        return self
