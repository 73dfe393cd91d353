"""How fast two models write on the same server, asked the same questions in turns."""

from contracts.enums import ServerBackend
from contracts.record import Record


class SpeedAtLoad(Record):
    """Tokens a second of both models while a fixed number of users ask."""

    concurrency: int
    """Users who each wait for their answer and ask again."""
    parent_tokens_per_second: float
    """Of all users together; the median of the rounds, as is the next one."""
    compressed_tokens_per_second: float
    ratio: float
    """Compressed over parent: the median of the rounds' own ratios."""
    lowest_ratio: float
    """Of a round."""
    highest_ratio: float


class SpeedComparison(Record):
    """A model and what it was compressed to, on the server that would serve them."""

    backend: ServerBackend
    device: str
    """The card, or the processor where there is none."""
    rounds: int
    """Each asks both models, in changing order."""
    together: bool
    """Both servers were up the whole time; else, where one card does not hold both, one after the other."""
    answer_tokens: int
    """Of each answer, as long whatever the model wants to say."""
    loads: list[SpeedAtLoad]
    parent_memory_mb: float | None
    """On a card, the weights as the server tells; else the server's processes at the end. None where it is not told."""
    compressed_memory_mb: float | None
