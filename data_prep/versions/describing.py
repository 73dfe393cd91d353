"""Statistics of a version that was made from other versions, measured while its rows are written."""

from pathlib import Path

import pyarrow

from contracts.enums import Split
from data_prep.rows import Row, messages_from_json
from data_prep.statistics.measuring import SAMPLE_ROWS, Tokenizer, describe
from data_prep.versions.names import STATISTICS_FILE
from data_prep.versions.writing import VersionWriter
from storage.stored_files import write_stored_json


class DescribedWriter:
    """Hands rows on to a writer and measures them. `rows` is how many there will be, to space the sample evenly."""

    def __init__(self, writer: VersionWriter, rows: int, tokenizer: Tokenizer | None = None) -> None:
        self._writer = writer
        self._tokenizer = tokenizer
        self._every = max(1, -(-rows // SAMPLE_ROWS))
        self._seen = 0
        self._measured: list[pyarrow.Table] = []
        self._sides: list[Split] = []
        self._sample: list[Row] = []

    def add_table(self, table: pyarrow.Table, sides: list[Split]) -> None:
        """What `VersionWriter.add_table` takes."""
        self._writer.add_table(table, sides)
        rows = [Row(key, messages_from_json(text)) for key, text in zip(*_texts(table), strict=True)]
        self._measured.append(
            table.select(["category", "source", "quality_score", "toxicity"])
            .append_column("question_characters", pyarrow.array([len(row.question) for row in rows], pyarrow.int32()))
            .append_column("answer_characters", pyarrow.array([len(row.answer) for row in rows], pyarrow.int32()))
            .append_column("turns", pyarrow.array([len(row.messages) for row in rows], pyarrow.int32()))
        )
        self._sides += sides
        self._sample += rows[-self._seen % self._every :: self._every]
        self._seen += len(rows)

    def write_statistics(self) -> Path:
        """The version's statistics file."""
        path = self._writer.path(STATISTICS_FILE)
        told = describe(pyarrow.concat_tables(self._measured), self._sides, self._sample, self._tokenizer)
        write_stored_json(path, told)
        return path


def _texts(table: pyarrow.Table) -> tuple[list[str], list[str]]:
    return table["key"].to_pylist(), table["messages"].to_pylist()
