"""From an evaluation's answers over judge and experts to the question whether the judge may gate."""

import json

import pytest

from contracts.enums import RatingKind
from contracts.errors import ConflictError, InvalidRequestError, NotFoundError, UnavailableError
from contracts.judging import JudgeEndpoint, JudgeRequest
from contracts.ratings import PutUpRequest
from evaluation.rating_items import rating_of
from stages.judge import judge_task
from stages.rating_tasks import (
    agreement_of,
    export_sheet,
    import_sheet,
    items_of,
    licence_of,
    licences_of,
    list_tasks,
    put_up,
)
from tests.data_prep.generation.endpoint import endpoint, said
from tests.database.test_repositories import add_job
from tests.evaluation.builders import report, results
from tests.evaluation.judging.endpoint_judges import longer_wins, score_by_length


def answers_file(services, count: int = 60) -> str:
    """Answers of which every second one of b is the longer."""
    path = services.settings.data_dir / "inbox" / "answers.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "case_id": f"case-{number}",
            "question": f"{number}번 서식의 보존 기간은?",
            "answer_a": "5년입니다.",
            "answer_b": "5년간 보존합니다." if number % 2 else "5년",
            "category": "tolls" if number % 3 else "safety",
        }
        for number in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.fixture
def task(services):
    return put_up(PutUpRequest(name="tolls-may", answers_file=answers_file(services)), services)


def rate(services, task, rater: str, agreeing: int) -> None:
    """An expert who prefers the longer answer in the first `agreeing` items, and the other one from there on."""
    ratings = []
    for number, item in enumerate(items_of(task.name, services)):
        longer = "b" if len(item.answer_b or "") > len(item.answer_a) else "a"
        value = longer if number < agreeing else {"a": "b", "b": "a"}[longer]
        ratings.append(rating_of(task, item, rater, value))
    with services.unit_of_work() as uow:
        uow.ratings.rate(ratings)


def judge(services, task, url: str, **more: object):
    request = JudgeRequest(
        task=task.name, judge=JudgeEndpoint.model_validate({"url": url, "model": "judge-32b", **more})
    )
    return judge_task(request, services)


def test_a_task_keeps_its_answers_and_its_name_stands_for_no_others(services, task):
    again = put_up(PutUpRequest(name="tolls-may", answers_file=answers_file(services)), services)
    assert again == task
    assert list_tasks(services) == [task]
    with pytest.raises(ConflictError, match="with other answers"):
        put_up(PutUpRequest(name="tolls-may", answers_file=answers_file(services, 5)), services)
    with pytest.raises(NotFoundError, match="no such rating task"):
        items_of("tolls-june", services)


def test_a_judge_that_agrees_with_experts_may_gate_and_is_asked_nothing_twice(services, task):
    rate(services, task, "김전문", agreeing=58)
    rate(services, task, "이전문", agreeing=60)
    with endpoint(longer_wins) as server:
        judged = judge(services, task, server.url)
        assert judge(services, task, server.url).asked_now == 0
        assert len(server.bodies) == 120 == judged.asked_now
    assert judged.pairwise is not None
    assert (judged.pairwise.wins_a, judged.pairwise.wins_b) == (30, 30)
    report = agreement_of(task.name, services)
    assert report.experts is not None
    assert report.experts.observed == pytest.approx(58 / 60)
    (one,) = report.judges
    # where the two experts disagree their common opinion is a tie, and the judge said otherwise
    assert one.confusion.counts[1] == [1, 0, 1]
    (licence,) = licences_of(report, services)
    assert licence.may_gate
    assert licence.items == 60


def test_a_judge_is_licensed_by_all_tasks_in_which_experts_rated_beside_it(services):
    judged = "judge:m:0123456789ab"
    for name, first, count in (("scores-a", 0, 30), ("scores-b", 30, 25), ("nobody", 55, 40)):
        path = services.settings.data_dir / "inbox" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [
            {"case_id": str(number), "question": f"질문 {number}", "answer_a": f"답변 {number}"}
            for number in range(first, first + count)
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        task = put_up(PutUpRequest(name=name, kind=RatingKind.RUBRIC, answers_file=str(path)), services)
        raters = (judged,) if name == "nobody" else (judged, "김전문")
        with services.unit_of_work() as uow:
            uow.ratings.rate(
                rating_of(task, item, rater, str(1 + int(item.case_id) % 5))
                for item in items_of(task.name, services)
                for rater in raters
            )
    licence = licence_of(judged, services)
    assert (licence.may_gate, licence.items, licence.alpha.value) == (True, 55, 1.0)
    unknown = licence_of("judge:other:0", services)
    assert (unknown.may_gate, unknown.items) == (False, 0)


def test_a_judge_against_which_experts_speak_may_not_gate(services, task):
    rate(services, task, "김전문", agreeing=40)
    with endpoint(longer_wins) as server:
        judge(services, task, server.url)
    (licence,) = licences_of(agreement_of(task.name, services), services)
    assert not licence.may_gate
    assert licence.alpha.value == pytest.approx(0.34, abs=0.03)


def test_another_prompt_or_sampling_stands_beside_the_first_judge(services, task):
    with endpoint(longer_wins) as server:
        first = judge(services, task, server.url)
        second = judge(services, task, server.url, seed=7)
    assert first.rater != second.rater
    assert set(agreement_of(task.name, services).counts.by_rater) == {first.rater, second.rater}


def test_experts_may_use_sheets(services, task, tmp_path):
    path = tmp_path / "sheets" / "kim.csv"
    assert export_sheet(task.name, "김전문", path, services) == 60
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[1].endswith(",,")
    path.write_text("\n".join([lines[0], lines[1][:-1] + "1,잘 봄", *lines[2:]]), encoding="utf-8")
    text = path.read_text(encoding="utf-8").replace(",,1,잘 봄", ",1,잘 봄")
    path.write_text(text, encoding="utf-8")
    assert import_sheet(task.name, "김전문", path, services) == 1
    assert import_sheet(task.name, "김전문", path, services) == 1
    assert agreement_of(task.name, services).counts.by_rater == {"김전문": 1}
    with pytest.raises(InvalidRequestError, match="no expert's name"):
        import_sheet(task.name, "judge:me", path, services)


def test_scores_by_rubric_go_the_same_way(services):
    request = PutUpRequest(name="scores", kind=RatingKind.RUBRIC, answers_file=rubric_answers(services))
    scored = put_up(request, services)
    with endpoint(score_by_length) as server:
        judged = judge(services, scored, server.url)
    assert judged.rubric is not None
    assert judged.rubric.distribution == {1: 2, 2: 2, 3: 2, 4: 2, 5: 2}
    assert judged.rubric.mean_score.value == 3.0


def rubric_answers(services) -> str:
    path = services.settings.data_dir / "inbox" / "scores.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"case_id": f"{number}", "question": f"질문 {number}", "answer_a": "가" * (1 + number % 5)}
        for number in range(10)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_a_judge_that_never_says_what_was_asked_for_is_an_error_with_what_to_do(services, task):
    with endpoint(lambda _: said("글쎄요")) as server, pytest.raises(UnavailableError, match="larger judging model"):
        judge(services, task, server.url, readable_attempts=1)
    assert agreement_of(task.name, services).judges == []


def test_an_evaluations_answers_are_put_up_and_only_those_that_differ(services):
    with services.unit_of_work() as uow:
        stored = uow.evaluations.add(
            report(n=20, base=5, tuned=20).model_copy(update={"job_id": add_job(uow)}),
            content_key="evaluate-1",
            cases=results(20, 5, 20),
        )
    made = put_up(PutUpRequest(name="from-evaluation", evaluation_id=stored.evaluation_id, max_items=10), services)
    assert (made.items, made.suite_name, made.model_b) == (10, "regulations", "tuned")
    assert {item.answer_a for item in items_of(made.name, services)} == {"모름"}
