"""Benchmark files become the rows that the harness' tasks read."""

import json

import pytest

from contracts.errors import InvalidDataError, InvalidRequestError, NotFoundError
from evaluation.harness.catalog import BENCHMARKS, benchmark_named, data_sha256
from evaluation.suites.harness import harness_settings


def _read(name, folder):
    return benchmark_named(name).read(folder)["asked"]


def test_boolq_rows_have_the_columns_and_labels_of_the_published_data_set(tmp_path):
    (tmp_path / "boolq_dev.tsv").write_text(
        'ID\tText\tQuestion\tAnswer\n1\t"글 ""하나"""\t질문?\tFALSE\n2\t글 둘\t질문 둘?\tTrue\n', encoding="utf-8"
    )
    assert _read("kobest_boolq", tmp_path) == [
        {"paragraph": '글 "하나"', "question": "질문?", "label": 0},
        {"paragraph": "글 둘", "question": "질문 둘?", "label": 1},
    ]


def test_a_choice_counted_from_one_becomes_one_counted_from_zero(tmp_path):
    (tmp_path / "copa_dev.tsv").write_text(
        "ID\tsentence\tquestion\t1\t2\tAnswer\n1\t비가 왔다.\t결과\t땅이 젖었다.\t해가 떴다.\t1\n", encoding="utf-8"
    )
    assert _read("kobest_copa", tmp_path)[0]["label"] == 0


def test_multiple_choice_questions_come_from_csv_and_jsonl_with_their_category(tmp_path):
    (tmp_path / "law-test.csv").write_text(
        "question,answer,A,B,C,D,Category\n누가 정합니까?,2,갑,을,병,정,Law\n", encoding="utf-8"
    )
    row = {"question": "언제입니까?", "answer": 4, "A": "1월", "B": "2월", "C": "3월", "D": "4월"}
    (tmp_path / "rules-test.jsonl").write_text(json.dumps(row), encoding="utf-8")
    rows = _read("kmmlu", tmp_path)
    assert [(row["Category"], row["answer"], row["D"]) for row in rows] == [("Law", 2, "정"), ("rules-test", 4, "4월")]


@pytest.mark.parametrize(
    ("row", "fault"),
    [("질문,5,갑,을,병,정", "answer is not 1, 2, 3 or 4"), ("질문,1,갑,,병,정", "lacks B")],
)
def test_a_row_that_cannot_be_asked_is_named(tmp_path, row, fault):
    (tmp_path / "test.csv").write_text(f"question,answer,A,B,C,D\n{row}\n", encoding="utf-8")
    with pytest.raises(InvalidDataError, match=f"Row 2 of test.csv.*{fault}"):
        _read("kmmlu", tmp_path)


def test_a_folder_without_the_files_says_which_they_are(tmp_path):
    with pytest.raises(NotFoundError) as caught:
        _read("kobest_wic", tmp_path)
    assert "wic_test.tsv" in caught.value.allowed


def test_an_unknown_benchmark_is_refused_with_those_that_there_are(tmp_path):
    with pytest.raises(InvalidRequestError) as caught:
        harness_settings("kobest", tmp_path, 0)
    assert "kobest_boolq" in caught.value.allowed


def test_few_shot_prompts_need_examples(tmp_path):
    (tmp_path / "sentineg_dev.tsv").write_text("ID\tLabel\tText\n1\t1\t좋습니다\n", encoding="utf-8")
    assert harness_settings("kobest_sentineg", tmp_path, 0)["documents"] == 1
    with pytest.raises(InvalidDataError, match="too few examples"):
        harness_settings("kobest_sentineg", tmp_path, 2)


@pytest.mark.parametrize("name", [name for name in BENCHMARKS if name != "kmmlu"])
def test_every_benchmark_reads_its_real_files(shared_data, name):
    folder = shared_data / name.partition("_")[0]
    settings = harness_settings(name, folder, 0)
    assert settings["documents"] > 350
    assert settings["data_sha256"] == data_sha256(benchmark_named(name), folder)
