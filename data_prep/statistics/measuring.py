"""Statistics of a dataset version, from columns: a row costs some nanoseconds, so a million rows cost a second.

What needs the texts themselves (tokens, words, whom they speak of) is measured on a sample of rows, evenly spaced, and says so.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import pyarrow
import pyarrow.compute
from numpy.typing import NDArray

from contracts.enums import Split
from contracts.record import JsonObject
from data_prep.quality.bias import bias_report
from data_prep.rows import Row

SAMPLE_ROWS = 20_000
BIAS_ROWS = 5_000
"""Of the sample: 0.7 ms each."""
HISTOGRAM_BINS = 20
LISTED = 20
"""Of sources, words and categories, the most frequent ones."""

MEASURED_COLUMNS = [
    "category", "source", "question_characters", "answer_characters", "turns", "quality_score", "toxicity",
]  # fmt: skip
"""What `describe` wants to know of each row."""

CountTokens = Callable[[Sequence[str]], list[int]]
"""Tokens of each text."""


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """How tokens are counted, and whose they are."""

    name: str
    count: CountTokens


def evenly_spaced(rows: int, wanted: int = SAMPLE_ROWS) -> NDArray[numpy.int64]:
    """Numbers of the sample's rows."""
    if rows <= wanted:
        return numpy.arange(rows, dtype=numpy.int64)
    return numpy.unique(numpy.linspace(0, rows - 1, wanted).astype(numpy.int64))


def describe(
    table: pyarrow.Table, sides: Sequence[Split], sample: Sequence[Row], tokenizer: Tokenizer | None
) -> JsonObject:
    """Statistics of the version's rows.

    `table` has MEASURED_COLUMNS of each row, `sides` its side. `sample` are some of the rows whole.
    """
    side_of = numpy.array([side.value for side in sides])
    splits: JsonObject = {}
    for split in Split:
        part = table.filter(pyarrow.array(side_of == split.value)) if len(sides) else table
        splits[split.value] = {
            "rows": part.num_rows,
            "categories": {**_counts(part["category"])},
            **{
                name: quantiles(part[name].to_numpy())
                for name in ("question_characters", "answer_characters", "turns", "quality_score", "toxicity")
            },
        }
    sources = _counts(table["source"])
    sources.pop("", None)
    return {
        "rows": table.num_rows,
        "splits": splits,
        "categories": {**_counts(table["category"])},
        "sources": len(sources),
        "largest_sources": dict(Counter(sources).most_common(LISTED)),
        "histograms": {
            "question_characters": histogram(table["question_characters"].to_numpy()),
            "answer_characters": histogram(table["answer_characters"].to_numpy()),
            "quality_score": histogram(table["quality_score"].to_numpy(), 0, 1),
            "toxicity": histogram(table["toxicity"].to_numpy(), 0, 1),
        },
        "turns": {str(turns): count for turns, count in sorted(Counter(table["turns"].to_pylist()).items())},
        "sample": _describe_sample(sample, tokenizer),
        "bias": bias_report(sample[place] for place in evenly_spaced(len(sample), BIAS_ROWS)).model_dump(mode="json"),
    }


def _describe_sample(sample: Sequence[Row], tokenizer: Tokenizer | None) -> JsonObject:
    words: Counter[str] = Counter()
    for row in sample:
        for message in row.messages:
            words.update(message.content.split())
    told: JsonObject = {
        "rows": len(sample),
        "words": words.total(),
        "distinct_words": len(words),
        "frequent_words": dict(words.most_common(LISTED)),
    }
    if tokenizer is not None and sample:
        questions = tokenizer.count([row.question for row in sample])
        answers = tokenizer.count([row.answer for row in sample])
        conversations = tokenizer.count(["\n".join(message.content for message in row.messages) for row in sample])
        told["tokens"] = {
            "tokenizer": tokenizer.name,
            "question": quantiles(numpy.array(questions)),
            "answer": quantiles(numpy.array(answers)),
            "conversation": quantiles(numpy.array(conversations)),
            "histogram": histogram(numpy.array(conversations)),
        }
    return told


def quantiles(values: NDArray[Any]) -> JsonObject:
    """Minimum, quartiles, 95th and 99th percentile, maximum and mean; empty without values."""
    if not len(values):
        return {}
    cuts = numpy.quantile(values, [0, 0.25, 0.5, 0.75, 0.95, 0.99, 1], method="nearest")
    names = ("min", "p25", "median", "p75", "p95", "p99", "max")
    told: JsonObject = {name: round(float(cut), 4) for name, cut in zip(names, cuts, strict=True)}
    told["mean"] = round(float(numpy.mean(values, dtype=numpy.float64)), 4)
    return told


def histogram(values: NDArray[Any], low: float = 0, high: float | None = None) -> JsonObject:
    """Counts in bins of one width; the last bin of an open scale ends at the 99th percentile and holds all above."""
    if not len(values):
        return {"edges": [], "counts": []}
    end = high if high is not None else max(float(numpy.quantile(values, 0.99, method="nearest")), low + 1)
    bins = HISTOGRAM_BINS if high is not None else min(HISTOGRAM_BINS, max(1, int(end - low)))
    counts, edges = numpy.histogram(numpy.clip(values, low, end), bins=bins, range=(low, end))
    return {"edges": [round(float(edge), 4) for edge in edges], "counts": [int(count) for count in counts]}


def _counts(column: pyarrow.ChunkedArray) -> dict[str, int]:
    counted = pyarrow.compute.value_counts(column.combine_chunks())
    return dict(sorted((str(item["values"]), int(item["counts"])) for item in counted.to_pylist()))
