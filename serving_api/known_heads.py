"""Messages whose head came before, but for its length.

Whoever asks on a kept connection, and whoever answers, sends the head of the last time again: it was parsed then, and parses
to the same. Taking a head apart costs a call for each of its headers, comparing it next to nothing.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

_LENGTHS = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
_MOST_DIGITS = 9

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, eq=False)
class KnownHead(Generic[Found]):
    """A head that the parser has taken, around the digits of its length, and what was found in it."""

    before: bytes
    after: bytes
    """With the empty line."""
    found: Found

    def body_of(self, message: bytes) -> bytes | None:
        """Of a message under this head, whole and alone; None of any other."""
        before = self.before
        if message.startswith(before):
            begins = len(before)
            stops = message.find(b"\r", begins, begins + _MOST_DIGITS + 1)
            if message.startswith(self.after, stops) and (digits := message[begins:stops]).isdigit():
                body = message[stops + len(self.after) :]
                if len(body) == int(digits):
                    return body
        return None


def remembered(message: bytes, body: bytes, found: Found) -> KnownHead[Found] | None:
    """The head of the one message that the parser has found here, with its body; None where it does not tell the length."""
    head = message.removesuffix(body)
    for name in _LENGTHS:
        begins = head.find(name)
        if begins >= 0:
            begins += len(name)
            known = KnownHead(head[:begins], head[head.find(b"\r", begins) :], found)
            return known if known.body_of(message) == body else None
    return None
