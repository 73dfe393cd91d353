"""What a document is made of, and the passages that samples are generated from."""

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum

from contracts.record import JsonObject

BLOCK_SEPARATOR = "\n\n"
"""Stands between two blocks in a document's text."""


class BlockKind(StrEnum):
    """What a block of a document is."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    TABLE = "table"
    """One line a table row, cells between bars."""
    ARTICLE = "article"
    """The beginning of an article of a law, a regulation or a contract (제12조); what follows belongs to it until the
    next article or a heading that is not below it."""


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of a document that the author set apart."""

    kind: BlockKind
    text: str
    """Never empty, without white space around it."""
    level: int = 0
    """Depth of a heading or an article, 1 is the title; 0 for the other kinds."""
    page: int | None = None
    """Page from 1; None where the format has no pages."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document as text with its structure: `text` is the blocks' texts, one after another."""

    name: str
    """Path below the folder that was read, or the file's name; with `/` on every system."""
    sha256: str
    """Of the file's bytes."""
    blocks: tuple[Block, ...]
    text: str = field(init=False, repr=False, compare=False)
    """What the offsets of chunks refer to."""
    starts: tuple[int, ...] = field(init=False, repr=False, compare=False)
    """Where each block begins in `text`."""

    def __post_init__(self) -> None:
        starts, position = [], 0
        for block in self.blocks:
            starts.append(position)
            position += len(block.text) + len(BLOCK_SEPARATOR)
        object.__setattr__(self, "text", BLOCK_SEPARATOR.join(block.text for block in self.blocks))
        object.__setattr__(self, "starts", tuple(starts))


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of a document: `document.text[start:end] == text`."""

    chunk_id: str
    """16 hex digits of the document's content, the span and the text: the same passage has the same id in every run."""
    document: str
    """Name of the document."""
    document_sha256: str
    """Of the document's bytes; of a Qdrant point without one, of its text."""
    start: int
    end: int
    text: str
    heading_path: tuple[str, ...] = ()
    """The headings above the passage, outermost first; not part of `text`, except where the passage contains them."""
    article: str = ""
    """`제12조(통행료의 면제)` where the passage belongs to one article, else empty."""
    page: int | None = None
    """Page on which the passage begins."""
    table_header: str = ""
    """First row of a table of which this passage holds a later part; empty everywhere else."""
    payload: JsonObject = field(default_factory=dict, compare=False)
    """What else a Qdrant point says about the passage; empty for files."""


def chunk_id_of(document_sha256: str, start: int, end: int, text: str) -> str:
    """The id of a passage."""
    identity = f"{document_sha256}\x00{start}\x00{end}\x00{text}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(identity, digest_size=8).hexdigest()
