"""Documents that are zip archives of XML (DOCX, HWPX), opened so that a hostile one does no harm."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data_prep.documents.problems import broken, needs_password, too_large

MAX_MEMBER_BYTES = 256 << 20
"""An XML part that unpacks to more is no document that a person wrote."""
_ENCRYPTED = 0x1


class Package:
    """An open archive."""

    def __init__(self, archive: zipfile.ZipFile, name: str, kind: str) -> None:
        self._archive = archive
        self.name = name
        self.kind = kind
        self.members = archive.namelist()

    def read(self, member: str) -> bytes | None:
        """The bytes of a member; None where there is none of this name."""
        try:
            info = self._archive.getinfo(member)
        except KeyError:
            return None
        if info.flag_bits & _ENCRYPTED:
            raise needs_password(self.name, self.kind)
        if info.file_size > MAX_MEMBER_BYTES:
            raise too_large(self.name, f"{member} unpacked", info.file_size, MAX_MEMBER_BYTES)
        try:
            with self._archive.open(info) as stream:
                data = stream.read(MAX_MEMBER_BYTES + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError) as error:
            raise broken(self.name, self.kind, error) from error
        if len(data) > MAX_MEMBER_BYTES:
            raise too_large(self.name, f"{member} unpacked", len(data), MAX_MEMBER_BYTES)
        return data

    def xml(self, member: str) -> Any | None:
        """The root element of a member; None where there is none of this name. No entity and no address is followed."""
        from lxml import etree

        data = self.read(member)
        if data is None:
            return None
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
        try:
            return etree.fromstring(data, parser)
        except (etree.XMLSyntaxError, ValueError) as error:
            raise broken(self.name, self.kind, f"{member}: {error}") from error

    def required_xml(self, member: str) -> Any:
        """The root element of a member that every document of the kind has."""
        root = self.xml(member)
        if root is None:
            raise broken(self.name, self.kind, f"{member} is missing")
        return root


@contextmanager
def open_package(path: Path, name: str, kind: str) -> Iterator[Package]:
    """The archive, closed afterwards."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise broken(name, kind, error) from error
    with archive:
        yield Package(archive, name, kind)


def local_name(element: Any) -> str:
    """The tag without its namespace; empty for comments and the like. Namespaces differ between editions."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Any, name: str) -> str | None:
    """An attribute, with whatever namespace."""
    for key, value in element.attrib.items():
        if key.rpartition("}")[2] == name:
            return str(value)
    return None


def number(text: str | None, default: int = 0) -> int:
    """A whole number that a file gives, or the default where it is none."""
    try:
        return max(-(1 << 31), min(int(text or ""), 1 << 31))
    except ValueError:
        return default
