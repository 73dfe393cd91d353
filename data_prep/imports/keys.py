"""The key of a row: who it is, in every version of a dataset."""

import re
import unicodedata
from collections.abc import Iterable
from hashlib import blake2b

ID_NAMES = ("id", "row_id")
"""Columns by which a row is known to its maker."""
_NOT_LETTERS = re.compile(r"[\W_]+")


def key_of_id(given: object) -> str:
    """16 hex digits of the id that the row came with."""
    return blake2b(str(given).encode("utf-8", "surrogatepass"), digest_size=8, person=b"id").hexdigest()


def key_of_questions(questions: Iterable[str]) -> str:
    """16 hex digits of the user's turns, whatever their case, spaces and punctuation are."""
    text = "\x1f".join(map(_comparable, questions))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, person=b"questions").hexdigest()


def _comparable(text: str) -> str:
    """What data_prep.normalisation.comparable gives, in a third of the time; the text itself where nothing is left."""
    letters = "".join(unicodedata.normalize("NFC", text).casefold().split())
    if not letters.isalnum():
        letters = _NOT_LETTERS.sub("", letters)
    return letters or text
