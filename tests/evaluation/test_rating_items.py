"""Items put up for experts: each once, the same slice, in an order that tells nothing, on sheets that come back whole."""

import csv
import io

import pytest

from contracts.enums import Preference, RatingKind
from contracts.errors import InvalidDataError
from contracts.ratings import PutUpRequest, RatingItem, RatingTask
from evaluation.rating_items import chosen, item_key, items_in_file, items_of_cases, shown_first, task_of
from evaluation.rating_sheets import ratings_in_sheet, sheet
from tests.evaluation.builders import results


def pairwise_items(count: int) -> list[RatingItem]:
    return items_of_cases(results(count, 0, count), RatingKind.PAIRWISE)


def task(kind: RatingKind = RatingKind.PAIRWISE, items: int = 3) -> RatingTask:
    request = PutUpRequest(name="tolls-may", kind=kind, evaluation_id=1)
    return task_of(request, pairwise_items(items), suite_name="regulations", model_a="base", model_b="tuned")


def test_two_same_answers_are_not_put_up_and_a_slice_is_always_the_same():
    items = items_of_cases(results(40, 20, 20), RatingKind.PAIRWISE)
    same = [*items, items_of_cases(results(1, 1, 1), RatingKind.PAIRWISE)[0]]
    assert len(chosen(same, None)) == 40
    assert chosen(items, 10) == chosen(list(reversed(items)), 10)[::-1]
    assert len(chosen([*items, *items], None)) == 40


def test_an_item_is_its_question_and_answers():
    first = item_key(RatingKind.PAIRWISE, "질문", "가", "나")
    assert first == item_key(RatingKind.PAIRWISE, "질문", "가", "나")
    others = {
        item_key(RatingKind.PAIRWISE, "질문", "나", "가"),
        item_key(RatingKind.PAIRWISE, "질문2", "가", "나"),
        item_key(RatingKind.RUBRIC, "질문", "가", None),
    }
    assert len(others | {first}) == 4


def test_the_order_is_by_chance_but_fixed_for_a_rater_and_an_item():
    orders = [shown_first("김전문", f"item-{number}") for number in range(400)]
    assert 160 < orders.count(Preference.A) < 240
    assert orders == [shown_first("김전문", f"item-{number}") for number in range(400)]
    others = [shown_first("이전문", f"item-{number}") for number in range(400)]
    assert 140 < sum(one is other for one, other in zip(orders, others, strict=True)) < 260


def test_a_file_of_answers_is_read_and_a_line_that_lacks_something_is_named(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text('{"case_id": "a", "question": "q", "answer_a": "1", "answer_b": "2"}\n\n', encoding="utf-8")
    (item,) = items_in_file(path, RatingKind.PAIRWISE)
    assert (item.category, item.item_key) == ("general", item_key(RatingKind.PAIRWISE, "q", "1", "2"))
    with pytest.raises(InvalidDataError, match="line 1"):
        items_in_file(path, RatingKind.RUBRIC)
    path.write_text('{"case_id": "a", "question": "q", "answer_a": "1"}\n[1]\n', encoding="utf-8")
    with pytest.raises(InvalidDataError, match="line 2"):
        items_in_file(path, RatingKind.RUBRIC)


def filled_in(text: str, values: list[str], comment: str = "") -> str:
    """The sheet as an expert gives it back."""
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    for row, value in zip(rows[1:], values, strict=True):
        row[-2:] = [value, comment]
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return "\ufeff" + out.getvalue()


def test_a_sheet_tells_nothing_of_the_models_and_comes_back_as_ratings(tmp_path):
    items = pairwise_items(4)
    text = sheet(task(items=4), items, "김전문", {})
    assert "tuned" not in text
    path = tmp_path / "sheet.csv"
    path.write_text(filled_in(text, ["1", "2", "비슷", ""], "근거, 쉼표"), encoding="utf-8")
    ratings = ratings_in_sheet(path, task(items=4), items, "김전문")
    first, second = (shown_first("김전문", item.item_key) for item in items[:2])
    other = {Preference.A: Preference.B, Preference.B: Preference.A}
    assert [one.value for one in ratings] == [first, other[second], Preference.TIE]
    assert {one.comment for one in ratings} == {"근거, 쉼표"}
    assert ratings[0].details == {"shown_first": first}
    again = sheet(task(items=4), items, "김전문", {one.item_key: one for one in ratings})
    assert [row[-2] for row in csv.reader(io.StringIO(again[1:], newline=""))][1:] == ["1", "2", "비슷", ""]


def test_the_answers_stand_in_the_raters_own_order():
    items = pairwise_items(20)
    rows = list(csv.reader(io.StringIO(sheet(task(), items, "김전문", {})[1:], newline="")))[1:]
    for item, row in zip(items, rows, strict=True):
        first = item.answer_a if shown_first("김전문", item.item_key) is Preference.A else item.answer_b
        assert row[4] == first


def test_a_row_that_cannot_be_used_is_named_and_nothing_is_taken(tmp_path):
    items = pairwise_items(3)
    path = tmp_path / "sheet.csv"
    path.write_text(filled_in(sheet(task(), items, "x", {}), ["1", "3", ""]), encoding="utf-8")
    with pytest.raises(InvalidDataError, match=r"Row 3.*비슷"):
        ratings_in_sheet(path, task(), items, "x")
    path.write_text("item_key,평가\nunknown,1\n", encoding="utf-8")
    with pytest.raises(InvalidDataError, match=r"Row 2.*none of the task's"):
        ratings_in_sheet(path, task(), items, "x")
    path.write_text("question,rating\n", encoding="utf-8")
    with pytest.raises(InvalidDataError, match="lacks columns"):
        ratings_in_sheet(path, task(), items, "x")
    path.write_bytes("평가".encode("cp949"))
    with pytest.raises(InvalidDataError, match="CSV UTF-8"):
        ratings_in_sheet(path, task(), items, "x")


def test_a_score_may_come_back_as_a_spreadsheet_writes_it_and_no_answer_is_a_formula(tmp_path):
    (item,) = items_of_cases(results(1, 0, 1), RatingKind.RUBRIC)
    item = item.model_copy(update={"answer_a": "=1+1"})
    rubric = task(RatingKind.RUBRIC).model_copy(update={"model_b": None})
    text = sheet(rubric, [item], "x", {})
    assert ",'=1+1," in text
    path = tmp_path / "sheet.csv"
    path.write_text(filled_in(text, ["4.0"]), encoding="utf-8")
    (rating,) = ratings_in_sheet(path, rubric, [item], "x")
    assert (rating.value, rating.details) == ("4", {})
