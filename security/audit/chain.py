"""The formula that binds each entry of the audit trail to the one before.

h(0) = SHA-256("tuneway.audit.genesis.v1")
h(n) = SHA-256("tuneway.audit.entry.v1" ‖ 00 ‖ h(n-1) ‖ n ‖ t(n) ‖ entry(n))

n and t(n), the microsecond since 1970 at which PostgreSQL took the entry, are 8 bytes each, big endian; entry(n) is the
event's canonical JSON in UTF-8. PostgreSQL computes the same in the trigger audit_append.
"""

import hashlib
import struct

GENESIS = hashlib.sha256(b"tuneway.audit.genesis.v1").digest()
_DOMAIN = b"tuneway.audit.entry.v1\0"
_pack = struct.Struct(">qq").pack


def entry_hash(previous_hash: bytes, place: int, recorded_us: int, entry: str) -> bytes:
    """h(n) of the module's formula."""
    # a lone surrogate cannot come out of PostgreSQL; of a file under examination it must not end the check
    text = entry.encode("utf-8", "surrogatepass")
    return hashlib.sha256(_DOMAIN + previous_hash + _pack(place, recorded_us) + text).digest()
