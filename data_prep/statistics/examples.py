"""What a person looks at to believe a count: a few places, masked."""

from contracts.enums import PersonalDataKind
from contracts.record import JsonObject
from data_prep.rows import Row

EXAMPLES = 3
"""Of each kind of personal data and each reason of removal."""
_AROUND = 40
"""Characters shown on both sides of what was masked."""


def masked_example(kind: PersonalDataKind, row: Row) -> JsonObject | None:
    """The first place of a masked row where data of that kind stood, with some words around; None where there is none."""
    for message in row.messages:
        place = message.content.find(kind.token)
        if place < 0:
            continue
        start, end = max(place - _AROUND, 0), place + len(kind.token) + _AROUND
        text = " ".join(message.content[start:end].split())
        return {"row": row.row_id, "text": ("…" if start else "") + text + ("…" if end < len(message.content) else "")}
    return None
