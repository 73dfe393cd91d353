"""Statistics of a version, on numbers that can be counted by hand."""

from typing import Any

import numpy
import pyarrow

from contracts.enums import Split
from data_prep.rows import Message, Row
from data_prep.statistics.measuring import MEASURED_COLUMNS, Tokenizer, describe, evenly_spaced, histogram, quantiles


def rows_of(*answers: str) -> list[Row]:
    return [
        Row(f"a.jsonl:{number}", (Message("user", "언제 여나요?"), Message("assistant", answer)), {})
        for number, answer in enumerate(answers, 1)
    ]


def table_of(rows: list[Row]) -> pyarrow.Table:
    columns = {
        "category": [f"분류{number % 2}" for number, _ in enumerate(rows)],
        "source": ["", *("안내.md" for _ in rows[1:])],
        "question_characters": [len(row.question) for row in rows],
        "answer_characters": [len(row.answer) for row in rows],
        "turns": [len(row.messages) for row in rows],
        "quality_score": [0.8 for _ in rows],
        "toxicity": [0.1 for _ in rows],
    }
    assert list(columns) == MEASURED_COLUMNS
    return pyarrow.table(columns)


def test_each_side_and_the_whole_are_counted():
    rows = rows_of("아홉 시입니다.", "열 시에 엽니다.", "쉽니다.")

    told: Any = describe(table_of(rows), [Split.TRAIN, Split.TRAIN, Split.TEST], rows, None)

    assert told["rows"] == 3
    assert [told["splits"][split.value]["rows"] for split in Split] == [2, 0, 1]
    assert told["splits"]["train"]["answer_characters"]["max"] == len("열 시에 엽니다.")
    assert told["splits"]["validation"]["answer_characters"] == {}
    assert told["categories"] == {"분류0": 2, "분류1": 1}
    assert (told["sources"], told["largest_sources"]) == (1, {"안내.md": 2})
    assert told["turns"] == {"2": 3}


def test_words_and_tokens_are_those_of_the_sample():
    rows = rows_of("문을 엽니다.", "문을 닫습니다.")

    told: Any = describe(
        table_of(rows), [Split.TRAIN] * 2, rows, Tokenizer("letters", lambda texts: [len(t) for t in texts])
    )

    sample = told["sample"]
    assert sample["rows"] == 2
    assert (sample["words"], sample["distinct_words"]) == (8, 5)
    assert sample["frequent_words"]["문을"] == 2
    assert sample["tokens"]["tokenizer"] == "letters"
    assert sample["tokens"]["answer"]["max"] == len("문을 닫습니다.")


def test_without_a_tokenizer_no_token_is_told():
    rows = rows_of("엽니다.")

    told: Any = describe(table_of(rows), [Split.TRAIN], rows, None)

    assert "tokens" not in told["sample"]


def test_a_sample_is_spread_over_all_rows():
    assert evenly_spaced(5, 10).tolist() == [0, 1, 2, 3, 4]
    assert evenly_spaced(100, 5).tolist() == [0, 24, 49, 74, 99]


def test_quantiles_are_values_that_occur():
    assert quantiles(numpy.array([1, 2, 3, 10]))["median"] in {2.0, 3.0}
    assert quantiles(numpy.array([1, 2, 3, 10]))["mean"] == 4.0
    assert quantiles(numpy.array([])) == {}


def test_a_histogram_counts_every_value_also_beyond_its_end():
    told: Any = histogram(numpy.array([0.05, 0.5, 1.0, 1.2]), 0, 1)

    assert sum(told["counts"]) == 4
    assert told["counts"][-1] == 2
    assert len(told["edges"]) == len(told["counts"]) + 1
