"""Pairs from files and ratings: what is taken, what is masked, what is refused."""

import json

import pyarrow.parquet
import pytest

from contracts.contamination import SoughtCase
from contracts.errors import InvalidDataError
from contracts.preferences import PreferencePair, RatedAnswer
from data_prep.masking.masker import Masker
from data_prep.preferences import pairs_of_ratings, read_pairs, write_preferences


def rated(question, answer, mean, ratings=1):
    return RatedAnswer(question=question, answer=answer, mean_rating=mean, ratings=ratings)


def pair(question, chosen, rejected):
    return PreferencePair(prompt=[{"role": "user", "content": question}], chosen=chosen, rejected=rejected)


def test_the_best_and_the_worst_answer_to_a_question_make_a_pair():
    answers = [
        rated("통행료는?", "800원", 4.5),
        rated("통행료는? ", "모름", 1.5),
        rated("통행료는?", "900원", 3.0),
        rated("거리는?", "12 km", 4.0),  # nothing to compare with
        rated("개통은?", "2003년", 4.0),
        rated("개통은?", "2004년", 3.5),  # too close
    ]
    assert pairs_of_ratings(answers, 1.0) == [pair("통행료는?", "800원", "모름")]


def test_pairs_are_read_as_texts_and_as_conversations(tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = [
        {"prompt": "거리는?", "chosen": "12 km", "rejected": "모름"},
        {
            "prompt": [{"role": "system", "content": "짧게"}, {"role": "user", "content": "거리는?"}],
            "chosen": [{"role": "assistant", "content": "12 km"}],
            "rejected": [{"role": "assistant", "content": "모름"}],
        },
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    first, second = read_pairs(path)
    assert first == pair("거리는?", "12 km", "모름")
    assert [turn["role"] for turn in second.prompt] == ["system", "user"]
    assert (second.chosen, second.rejected) == ("12 km", "모름")


@pytest.mark.parametrize(
    "line",
    [
        "{",
        '{"prompt": "a", "chosen": "b"}',
        '{"prompt": "a", "chosen": "b", "rejected": ""}',
        '{"prompt": [{"role": "assistant", "content": "a"}], "chosen": "b", "rejected": "c"}',
        '{"prompt": [], "chosen": "b", "rejected": "c"}',
        '{"prompt": "a", "chosen": [{"role": "user", "content": "b"}], "rejected": "c"}',
        "[1]",
    ],
)
def test_a_line_that_is_no_pair_is_named(tmp_path, line):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(InvalidDataError, match="line 2"):
        read_pairs(path)


def test_a_pair_that_asks_a_test_question_or_nearly_one_is_left_out_with_its_reason(tmp_path):
    exact, nearly = "한빛터널의 통행료는 얼마입니까?", "한빛터널의 통행료는 얼마 입니까 요?"
    cases = [SoughtCase(id="case-1", question=exact, accepted_answers=["800원"])]
    pairs = [
        pair(exact.replace(" ", "  "), "800원", "모름"),
        pair(nearly, "800원", "모름"),
        pair("거리는?", "12", "모름"),
    ]
    written = write_preferences(pairs, tmp_path, Masker(), cases)
    assert written.removed == {"leaks_test_case": 2}
    assert sum(written.samples.values()) == 1


def test_pairs_are_masked_and_kept_once_and_a_prompt_stays_on_one_side(tmp_path):
    pairs = [pair(f"{number}번 질문?", "예", "아니요") for number in range(200)]
    pairs += [pair(f"{number}번 질문?", "네", "아니요") for number in range(200)]
    pairs += [pair("0번 질문?", "예", "아니요"), pair("같은가?", "같다", "같다 ")]
    pairs += [pair("연락처는?", "02-2100-3456으로 전화하세요", "모름")]
    written = write_preferences(pairs, tmp_path, Masker())

    sides = {
        split: pyarrow.parquet.read_table(tmp_path / f"{split}.parquet").to_pylist()
        for split in ("train", "validation", "test")
    }
    assert written.removed == {"exact_duplicate": 1, "low_quality": 1}
    assert written.samples == {split: len(rows) for split, rows in sides.items()}
    assert sum(written.samples.values()) == 401
    assert 20 <= written.samples["validation"] <= 60
    assert not {row["prompt"] for row in sides["train"]} & {row["prompt"] for row in sides["validation"]}
    assert written.masked == {"전화번호": 1}
    everything = json.dumps(sides, ensure_ascii=False)
    assert "3456" not in everything
    assert "[전화번호]" in everything
