"""What a version's statistics keep of its duplicates."""

import numpy
from numpy.typing import NDArray
from pydantic import Field

from contracts.record import Record

LISTED_CLUSTERS = 20
"""The largest ones."""
TOLD_ROWS = 6
"""Of a cluster, with their texts: the one that stays and some of the others."""
TOLD_CHARACTERS = 160
SIZES = (("2", 2, 2), ("3", 3, 3), ("4", 4, 4), ("5–9", 5, 9), ("10–99", 10, 99), ("100+", 100, None))
"""Name, least and most rows of a cluster."""


class ClusterRow(Record):
    """A row of a cluster, masked."""

    row: str
    question: str
    answer: str
    similarity: float
    """With the row that stays."""


class ListedCluster(Record):
    """Rows that say the same, of which one stayed."""

    kept: str
    rows: int
    kept_for: str = "source_order"
    """`quality_best`: it has the best score. `source_order`: it comes first of the best."""
    similarity: float
    """Of the least similar row with the one that stayed."""
    removed: list[str] = []
    texts: list[ClusterRow] = []
    """The one that stayed first; none where rows are not told, or in versions from before they were."""


class DuplicateClusters(Record):
    """All clusters of a version's preparation in numbers, the largest one by one."""

    clusters: int = 0
    rows_removed: int = 0
    rows_compared: int = 0
    sizes: dict[str, int] = Field(default_factory=dict)
    """Clusters by their number of rows; only sizes that there are."""
    largest: list[ListedCluster] = []

    def without_texts(self) -> "DuplicateClusters":
        """The same without what rows say."""
        return self.model_copy(update={"largest": [one.model_copy(update={"texts": []}) for one in self.largest]})


def sizes_of(rows: NDArray[numpy.int64]) -> dict[str, int]:
    """How many clusters have so many rows, each counted with the row that stays."""
    counts = {
        name: int(((rows >= least) & (rows <= (rows if most is None else most))).sum()) for name, least, most in SIZES
    }
    return {name: count for name, count in counts.items() if count}
