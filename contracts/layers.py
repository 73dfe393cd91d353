"""The layer of A/B tests: each user belongs to at most one of the tests that run in it at a time.

The layer is cut into buckets. A keyed hash puts each user into one bucket for good, and each test owns buckets for all
of its length, so that a later test never moves the users of an earlier one (Tang et al. 2010, "Overlapping Experiment
Infrastructure"). One request gets one model: all tests over the same answers share one layer.
"""

from collections.abc import Iterable

from pydantic import Field

from contracts.record import Record

CHAT_LAYER = "chat"
"""The layer of every test: whoever asks is answered by one model."""
LAYER_BUCKETS = 1000


class BucketRange(Record):
    """Buckets of a layer, from `first` to before `end`."""

    first: int = Field(ge=0, lt=LAYER_BUCKETS)
    end: int = Field(ge=1, le=LAYER_BUCKETS)

    @property
    def size(self) -> int:
        """How many buckets."""
        return self.end - self.first


WHOLE_LAYER = (BucketRange(first=0, end=LAYER_BUCKETS),)


def share_of(buckets: Iterable[BucketRange]) -> float:
    """Share of the layer's users that fall into the buckets."""
    return sum(part.size for part in buckets) / LAYER_BUCKETS
