"""Made-up values that stand for real ones: the same for the same value, and no way back without the key."""

import hmac
import re
from base64 import b32encode
from hashlib import sha256

from contracts.enums import PersonalDataKind
from data_prep.masking.shadow import shadow

LENGTH = 8
"""40 bits: among a million different values one pair shares its pseudonym with probability 0.4."""

_NO_PART_OF_IT = re.compile(r"[\s\-./()~·_,:]")
_AT = re.compile(r"\s?(?:@|[(\[{<]\s?(?:at|a|골뱅이|앳|엣)\s?[)\]}>]|골뱅이|\s(?:at|앳)\s)\s?", re.IGNORECASE)


def pseudonym(kind: PersonalDataKind, value: str, key: bytes) -> str:
    """`[이름-7QK2M3XA]`."""
    digest = hmac.new(key, f"{kind.code}\0{canonical(kind, value)}".encode("utf-8", "replace"), sha256).digest()
    return f"[{kind.value}-{b32encode(digest)[:LENGTH].decode('ascii')}]"


def canonical(kind: PersonalDataKind, value: str) -> str:
    """One way to write the value: `+82 10-1234-5678` is `01012345678`."""
    written = shadow(value).casefold()
    if kind is PersonalDataKind.EMAIL:
        return _AT.sub("@", written).replace(" ", "")
    if kind is PersonalDataKind.IP_ADDRESS:
        return written.replace(" ", "")
    if kind is PersonalDataKind.ADDRESS:
        return re.sub(r"[\s,]", "", written)
    written = _NO_PART_OF_IT.sub("", written)
    if kind is PersonalDataKind.PHONE_NUMBER:
        written = re.sub(r"^(?:\+|00)?820?(?=[1-7])", "0", written)
        if re.fullmatch(r"10[0-9]{8}", written):
            written = "0" + written
    return written
