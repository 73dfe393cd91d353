"""A form with one file, read as it arrives: the file goes on in pieces, nothing of it is kept in memory or on the disk.

Starlette's own parser writes a file of over 1 MB to the system's temporary folder, in clear text.
"""

import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from contracts.errors import InvalidRequestError

MOST_FIELD_BYTES = 64 * 1024
MOST_PARTS = 20


class FormReader:
    """The fields of a form, and the name of its file."""

    def __init__(self, content_type: str) -> None:
        """Raises InvalidRequestError where it is no form."""
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise _refused("The body is no form with a file", content_type[:100])
        self.fields: dict[str, str] = {}
        self.file_name: str | None = None
        self._parts = 0
        self._field = b""
        self._header = (bytearray(), bytearray())
        self._disposition = b""
        self._name: str | None = None
        self._value = bytearray()
        self._is_file = False
        self._pieces: list[bytes] = []
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begins,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_ends,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._part_data,
                "on_part_end": self._part_ends,
                "on_end": self._form_ends,
            },
        )

    async def read(self, body: AsyncIterator[bytes], write: Callable[[bytes], Awaitable[None]]) -> None:
        """Read to the end; the file's bytes go to `write`. Raises InvalidRequestError, and what `write` raises."""
        async for piece in body:
            try:
                self._parser.write(piece)
            except MultipartParseError as error:
                raise _refused("The form is broken", str(error)[:100]) from error
            if self._pieces:
                content = b"".join(self._pieces)
                self._pieces.clear()
                await write(content)
        if not self._ended:
            raise _refused("The form ends before its last boundary", None)
        if self.file_name is None:
            raise _refused("The form has no file", ", ".join(self.fields)[:100] or None)

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise _refused("The form has too many parts", f"more than {MOST_PARTS}")
        self._header = (bytearray(), bytearray())
        self._disposition = b""
        self._name, self._is_file = None, False
        self._value.clear()

    def _header_field(self, content: bytes, start: int, end: int) -> None:
        self._header[0].extend(content[start:end])

    def _header_value(self, content: bytes, start: int, end: int) -> None:
        self._header[1].extend(content[start:end])

    def _header_ends(self) -> None:
        if self._header[0].lower() == b"content-disposition":
            self._disposition = bytes(self._header[1])
        self._header = (bytearray(), bytearray())

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name")
        if name is None:
            raise _refused("A part of the form has no name", None)
        self._name = _text(name)
        if b"filename" in options:
            if self._name != "file":
                raise _refused("The file of the form is called otherwise", self._name[:100])
            if self.file_name is not None:
                raise _refused("The form has two files", None)
            self._is_file = True
            self.file_name = unicodedata.normalize("NFC", _text(options[b"filename"]).replace("\\", "/").split("/")[-1])
        elif self._name == "file":
            raise _refused("The form's file has no file name", None)

    def _part_data(self, content: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._pieces.append(content[start:end])
            return
        self._value.extend(content[start:end])
        if len(self._value) > MOST_FIELD_BYTES:
            raise _refused("A field of the form is too long", f"{self._name}: more than {MOST_FIELD_BYTES} bytes")

    def _part_ends(self) -> None:
        if not self._is_file and self._name is not None:
            if self._name in self.fields:
                raise _refused("The form names a field twice", self._name[:100])
            self.fields[self._name] = _text(bytes(self._value))

    def _form_ends(self) -> None:
        self._ended = True


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise _refused("The form holds a text that is not UTF-8", None) from error


def _refused(what: str, value: object) -> InvalidRequestError:
    return InvalidRequestError(
        what,
        value=value,
        allowed="multipart/form-data with the fields name, description (optional) and one file called file",
        next_step="send it as `curl -F name=rules -F file=@rules.jsonl` does",
    )
