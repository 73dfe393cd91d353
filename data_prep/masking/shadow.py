"""A text of the same length in which identifiers are written one way, so that offsets hold in the original."""

import re

from contracts.enums import PersonalDataKind

_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−ーㅡ﹣"), ord("-"))
_SPACES = dict.fromkeys(map(ord, "\u00a0\u2002\u2003\u2009\u202f\u3000"), ord(" "))
_ONE_WAY = {**_FULL_WIDTH, **_DASHES, **_SPACES}
_TOKENS = re.compile("|".join(re.escape(kind.token) for kind in PersonalDataKind))


def shadow(text: str) -> str:
    """Full-width digits and letters, dashes and spaces as ASCII; what is already masked is blotted out."""
    return _TOKENS.sub(lambda token: "\1" * len(token[0]), text.translate(_ONE_WAY))
