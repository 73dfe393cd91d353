"""A mark in a model's weights, and what a look for it found."""

from pydantic import Field

from contracts.enums import WatermarkScheme, WatermarkVerdict
from contracts.record import Record


class Watermark(Record):
    """The mark that a model carries. Nothing in it helps to find or to remove it."""

    scheme: WatermarkScheme
    identity: str
    """What its key was derived for: the job."""
    commitment: str
    """SHA-256 of the key."""
    amplitude: float = Field(ge=0)
    """Of a weight's standard deviation, or of the size of an adapter's change."""
    freedoms: int = Field(ge=0)
    """Numbers that could move independently; z is about amplitude times its root."""
    tensors: int = Field(ge=0)
    """Linear layers that carry it."""
    z: float
    """In the file as it was written."""


class MarkFound(Record):
    """A look for one key's mark."""

    scheme: WatermarkScheme
    verdict: WatermarkVerdict
    z: float
    """Without the weights before the mark."""
    informed_z: float | None
    """With them, where they were given."""
    log10_chance: float
    """Decimal logarithm of the bound on finding as much by chance, times the keys tried; of the larger z."""
    keys_tried: int
    tensors: int
    values: int
    """Weights looked at."""
    commitment: str
    """Of the key that was looked for."""
