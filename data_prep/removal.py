"""Why a row was taken out."""

from dataclasses import dataclass

from contracts.enums import RemovalReason


@dataclass(frozen=True, slots=True)
class Removal:
    """One rule's verdict against a row. The detail never quotes the row."""

    reason: RemovalReason
    detail: str = ""
