"""Rows of JSON: one object a line, or one array."""

import json
import re
from collections.abc import Generator, Iterable, Iterator
from typing import Any

import orjson

from data_prep.imports.batches import MAX_ROW_CHARACTERS, NOT_TEXT, TOO_LONG, Batch, BrokenRow
from data_prep.imports.encoding import has_undecodable_bytes

_NEXT_OBJECT = re.compile(r"[}\]]\s*,\s*(?=\{)")
_MEMBER_ARRAY = re.compile(r'\s*,?\s*"((?:[^"\\]|\\.)*)"\s*:\s*')
_DECODER = json.JSONDecoder()


def line_batches(blocks: Iterable[bytes]) -> Generator[Batch]:
    """Rows of UTF-8 text with one JSON object a line. Other encodings: see `encoded`."""
    number = 1
    for lines in _whole_lines(blocks):
        yield _parsed_lines(lines, number)
        number += len(lines)


def encoded(blocks: Iterable[str]) -> Iterator[bytes]:
    """Text of any encoding as UTF-8; the lone surrogates of bytes that did not fit are kept for the rows to show."""
    for text in blocks:
        yield text.encode("utf-8", "surrogatepass")


def _whole_lines(blocks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Lines without their ends; of an endless one no more than its beginning is kept."""
    separator = b""
    rest = b""
    for block in blocks:
        if not separator:
            # line ends of the old Macintosh: a carriage return alone
            separator = b"\r" if b"\r" in block and b"\n" not in block else b"\n"
        lines = block.split(separator)
        if len(lines) == 1:
            if len(rest) <= 4 * MAX_ROW_CHARACTERS:
                rest += block
            continue
        lines[0] = rest + lines[0]
        rest = lines.pop()
        yield lines
    if rest:
        yield [rest]


def _parsed_lines(lines: list[bytes], first_number: int) -> Batch:
    batch = Batch()
    indexes: list[int] = []
    batch.raw_of = lambda index: lines[indexes[index]].decode("utf-8", "surrogatepass").rstrip("\r")
    parsed_lines, values = batch.lines, batch.values
    loads = orjson.loads
    longest = max(map(len, lines))
    for index, line in enumerate(lines):
        try:
            value = loads(line)
        except ValueError:
            if not line or line.isspace():
                continue
            value = _parsed_slowly(line, first_number + index)
            if value is None:
                continue
        if value.__class__ is not dict:
            if not isinstance(value, BrokenRow):
                value = _not_an_object(value, first_number + index, _as_text(line))
            batch.broken.append(value)
        elif (
            longest > MAX_ROW_CHARACTERS and len(line) > MAX_ROW_CHARACTERS and len(line.decode()) > MAX_ROW_CHARACTERS
        ):
            batch.broken.append(BrokenRow(first_number + index, TOO_LONG, line.decode()))
        else:
            parsed_lines.append(first_number + index)
            values.append(value)
            indexes.append(index)
    return batch


def _parsed_slowly(line: bytes, number: int) -> Any:
    """What Python's own decoder makes of a line, or a BrokenRow; None for an empty line."""
    text = _as_text(line).strip("\ufeff \t\r\n\v\f")
    if not text:
        return None
    if len(text) > MAX_ROW_CHARACTERS:
        return BrokenRow(number, TOO_LONG, text)
    # a lone surrogate that a JSON escape makes is not in the text yet: the row's own check finds it
    if has_undecodable_bytes(text):
        return BrokenRow(number, NOT_TEXT, text)
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        return BrokenRow(number, _not_json(error), text)


def _as_text(line: bytes) -> str:
    try:
        return line.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return line.decode("utf-8", "surrogateescape")


def _not_json(error: Exception) -> str:
    # of a RecursionError and an integer of thousands of digits the text says nothing useful
    return (
        f"not valid JSON: {error}"
        if isinstance(error, json.JSONDecodeError)
        else "not valid JSON: nested too deep or a number too long"
    )


def _not_an_object(value: object, line: int, raw: str) -> BrokenRow:
    return BrokenRow(line, f"the row is a JSON {type(value).__name__}, not an object", raw)


class _Window:
    """The part of a text that is looked at, and the line on which it begins."""

    def __init__(self, blocks: Iterator[str]) -> None:
        self._blocks = blocks
        self.text = ""
        self.position = 0
        self.line = 1
        self.at_end = False

    def read_more(self) -> None:
        block = next(self._blocks, None)
        if block is None:
            self.at_end = True
            return
        self.text = self.text[self.position :] + block
        self.position = 0

    def skip(self, pattern: re.Pattern[str]) -> None:
        """Move over what the pattern takes, which may be nothing, into the next blocks if need be."""
        while True:
            found = pattern.match(self.text, self.position)
            if found is not None and found.end() > self.position:
                self.move_to(found.end())
            if self.position < len(self.text) or self.at_end:
                return
            self.read_more()

    def move_to(self, end: int) -> None:
        self.line += self.text.count("\n", self.position, end)
        self.position = end

    def at(self) -> str:
        return self.text[self.position : self.position + 1]

    def left(self) -> int:
        return len(self.text) - self.position


_SPACES = re.compile("[ \\t\\r\\n\ufeff]*")
_SPACES_AND_COMMAS = re.compile("[ \\t\\r\\n,]*")


def array_batches(blocks: Iterable[str], batch_rows: int = 2000) -> Generator[Batch]:
    """Rows of an array of objects, or of the arrays in an object (`{"version": "1.0", "data": [...]}`)."""
    window = _Window(iter(blocks))
    window.skip(_SPACES)
    if window.at() == "[":
        window.position += 1
        yield from _array(window, batch_rows)
        return
    window.position += 1  # the opening brace
    while _to_member(window):
        if window.at() == "[":
            window.position += 1
            yield from _array(window, batch_rows)
        elif not _skip_value(window):
            yield Batch(
                broken=[
                    BrokenRow(
                        window.line, "the text after this place is not valid JSON", window.text[window.position :]
                    )
                ]
            )
            return


def _to_member(window: _Window) -> bool:
    """Move behind the name of the next member of an object; False at the object's end."""
    window.skip(_SPACES_AND_COMMAS)
    while (found := _MEMBER_ARRAY.match(window.text, window.position)) is None or found.end() == len(window.text):
        if window.at_end or window.left() > MAX_ROW_CHARACTERS or window.at() != '"':
            return False
        window.read_more()
    window.move_to(found.end())
    return True


def _skip_value(window: _Window) -> bool:
    while True:
        try:
            _, end = _DECODER.raw_decode(window.text, window.position)
        except (ValueError, RecursionError):
            if window.at_end or window.left() > 4 * MAX_ROW_CHARACTERS:
                return False
        else:
            if end < len(window.text) or window.at_end:
                window.move_to(end)
                return True
        window.read_more()


def _array(window: _Window, batch_rows: int) -> Generator[Batch]:
    decode = _DECODER.raw_decode
    batch, raws = _new_batch()
    while True:
        if len(batch) >= batch_rows:
            yield batch
            batch, raws = _new_batch()
        window.skip(_SPACES_AND_COMMAS)
        if window.at() == "":
            batch.broken.append(BrokenRow(window.line, "the array has no end: the file may be cut off", ""))
            break
        if window.at() == "]":
            window.position += 1
            break
        try:
            value, end = decode(window.text, window.position)
        except (ValueError, RecursionError) as error:
            if not window.at_end and window.left() < MAX_ROW_CHARACTERS:
                window.read_more()
                continue
            line, raw = window.line, _past_broken(window)
            reason = f"not valid JSON: {error.msg}" if isinstance(error, json.JSONDecodeError) else _not_json(error)
            batch.broken.append(BrokenRow(line, reason, raw))
            if window.at() == "":
                break  # the rest of the file is part of it
            continue
        if end == len(window.text) and not window.at_end:
            # a number may go on in the next block
            window.read_more()
            continue
        raw = window.text[window.position : end]
        if value.__class__ is not dict:
            batch.broken.append(_not_an_object(value, window.line, raw))
        elif len(raw) > MAX_ROW_CHARACTERS:
            batch.broken.append(BrokenRow(window.line, TOO_LONG, raw))
        elif not raw.isascii() and has_undecodable_bytes(raw):
            batch.broken.append(BrokenRow(window.line, NOT_TEXT, raw))
        else:
            batch.lines.append(window.line)
            batch.values.append(value)
            raws.append(raw)
        window.move_to(end)
    yield batch


def _new_batch() -> tuple[Batch, list[str]]:
    raws: list[str] = []
    return Batch(raw_of=raws.__getitem__), raws


def _past_broken(window: _Window) -> str:
    """Move to where the next row begins, or to the end; gives the start of what is left out."""
    raw = window.text[window.position : window.position + MAX_ROW_CHARACTERS].strip()
    begun = window.position
    while True:
        for found in _NEXT_OBJECT.finditer(window.text, begun):
            if _begins_a_row(window.text, found.end()):
                raw = raw[: found.start() + 1 - begun] if begun == window.position else raw
                window.move_to(found.end())
                return raw
        if window.at_end:
            window.move_to(len(window.text))
            return raw
        # what is passed over need not be kept; a `},` at its end may belong to the next object
        window.move_to(max(window.position, len(window.text) - _OVERLAP))
        window.read_more()
        begun = window.position


def _begins_a_row(text: str, position: int) -> bool:
    """`}, {` also stands between the turns of a row and between its tool calls."""
    first_name = _FIRST_NAME.match(text, position)
    if first_name is not None and first_name[1] in _NAMES_OF_TURNS:
        return False
    try:
        value, _ = _DECODER.raw_decode(text, position)
    except (ValueError, RecursionError):
        return True
    return not _NAMES_OF_TURNS & value.keys()


_OVERLAP = 1000
_FIRST_NAME = re.compile(r'\{\s*"([^"\\]*)"')
_NAMES_OF_TURNS = {"role", "from", "value", "function"}
