"""Signed heads: what the chain's end was at a moment, under a key that the database does not have.

A chain can be rewritten from any entry on by whoever owns the database; a head that was signed before, and kept
elsewhere, shows it. One head a line, appended; each names the line before, so that none can be taken out of the middle.
"""

import base64
import fcntl
import hashlib
import json
import os
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError

from contracts.errors import InvalidDataError
from contracts.record import Record, utc_now
from storage.files import fsync_path

_DOMAIN = b"tuneway.audit.head.v1\0"


class SignedHead(Record):
    """The chain's end, signed with Ed25519."""

    id: int
    """Place of the last entry."""
    hash: str
    """Its hash, in hexadecimal digits."""
    signed_at: datetime
    previous: str | None
    """SHA-256 of the line before in the same file; None in its first line."""
    key_id: str
    """SHA-256 of the public key, its first 16 hexadecimal digits."""
    signature: str = ""
    """Base64."""

    def signed_bytes(self) -> bytes:
        """What the signature is made over."""
        fields = self.model_dump(mode="json", exclude={"signature"})
        return _DOMAIN + json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def key_id_of(key: Ed25519PublicKey) -> str:
    """A short name of a key."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def sign_head(
    place: int, entry_digest: bytes, key: Ed25519PrivateKey, *, previous: str | None = None, at: datetime | None = None
) -> SignedHead:
    """The chain's end under the key's signature."""
    head = SignedHead(
        id=place,
        hash=entry_digest.hex(),
        signed_at=at or utc_now(),
        previous=previous,
        key_id=key_id_of(key.public_key()),
    )
    return head.model_copy(update={"signature": base64.b64encode(key.sign(head.signed_bytes())).decode()})


def is_genuine(head: SignedHead, key: Ed25519PublicKey) -> bool:
    """The key signed it."""
    try:
        key.verify(base64.b64decode(head.signature, validate=True), head.signed_bytes())
    except (InvalidSignature, ValueError):
        return False
    return True


def append_head(path: Path, place: int, entry_digest: bytes, key: Ed25519PrivateKey) -> SignedHead | None:
    """Sign the chain's end into the file, durably; None when the file's last head says the same already.

    Several processes may do this at a time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.seek(0)
        whole, cut, rest = stream.read().rpartition(b"\n")
        if rest:
            # a process was killed in the middle of its line
            stream.truncate(len(whole) + len(cut))
        last = whole.rpartition(b"\n")[2]
        if last:
            before = _parsed(last, path)
            if (before.id, before.hash) == (place, entry_digest.hex()):
                return None
        head = sign_head(place, entry_digest, key, previous=hashlib.sha256(last).hexdigest() if last else None)
        stream.write(head.model_dump_json().encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    fsync_path(path.parent)
    return head


def read_heads(path: Path, key: Ed25519PublicKey) -> tuple[list[SignedHead], list[int]]:
    """The heads of the file that are genuine and in their order, and the lines (from 1) that are not.

    Raises InvalidDataError for a line that is no head.
    """
    if not path.exists():
        return [], []
    heads, refused = [], []
    before: bytes | None = None
    whole = path.read_bytes().rpartition(b"\n")[0]
    for number, line in enumerate(whole.splitlines(), start=1):
        head = _parsed(line, path)
        follows = head.previous == (None if before is None else hashlib.sha256(before).hexdigest())
        if follows and is_genuine(head, key):
            heads.append(head)
        else:
            refused.append(number)
        before = line
    return heads, refused


def _parsed(line: bytes, path: Path) -> SignedHead:
    try:
        return SignedHead.model_validate_json(line)
    except ValidationError as error:
        raise InvalidDataError(
            "A line of the signed heads is no head",
            value=f"{path}: {line[:80].decode(errors='replace')}",
            next_step="compare the file with its copy outside of this machine",
        ) from error
