"""Stage replay_ab_test, over a real PostgreSQL and endpoints that count what they are asked."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from contracts.enums import ReplayMeasure, ReplaySource
from contracts.errors import ConflictError, InvalidRequestError
from contracts.experiment_replays import ReplayABTestRequest
from contracts.experiment_verdicts import ExperimentVerdict
from database.models import ABTestLog, AuditLog
from stages.replay_ab_test import preview, replay_ab_test
from stages.services import Services
from storage.encryption.container import is_encrypted
from tests.evaluation.chat_endpoint import ChatEndpoint, chat_endpoint
from tests.stages.ab_test_story import deployed_pair, deployed_three, running_test, running_test_of_three

pytestmark = pytest.mark.slow

PHONE = "010-1234-5678"


def wiser_judge(question: str) -> str:
    """Prefers the answer that names an article, wherever it stands."""
    first = question.partition("<답변 1>")[2].partition("</답변 1>")[0]
    second = question.partition("<답변 2>")[2].partition("</답변 2>")[0]
    winner = "tie" if ("제12조" in first) == ("제12조" in second) else "1" if "제12조" in first else "2"
    return json.dumps({"reason": "조항", "winner": winner})


@contextmanager
def three_endpoints(judge=wiser_judge) -> Iterator[tuple[ChatEndpoint, ChatEndpoint, ChatEndpoint]]:
    with (
        chat_endpoint(lambda question: f"{question}: 규정에 따릅니다.") as a,
        chat_endpoint(lambda question: f"{question}: 제12조에 따릅니다.") as b,
        chat_endpoint(judge) as judging,
    ):
        yield a, b, judging


@contextmanager
def story(services: Services, tmp_path, *, users: int = 25, judge=wiser_judge, **changes):
    """A test on two endpoints, its recorded questions, and a request with a judge."""
    with three_endpoints(judge) as (a, b, judging):
        pair = deployed_pair(services, tmp_path, urls=(a.url, b.url))
        experiment = running_test(services, *pair)
        record(services, experiment.experiment_id, pair[0].model_id, users)
        request = ReplayABTestRequest(
            **{
                "experiment_id": experiment.experiment_id,
                "questions": 200,
                "judge_url": judging.url,
                "judge_model": "judge",
                **changes,
            }
        )
        yield request, (a, b, judging)


def record(services: Services, experiment_id: int, model_id: int, users: int, per_user: int = 2) -> None:
    """Each user's questions, sealed as the router seals them, and one that many asked."""
    kept = services.recorded_text.kept
    questions = [(user, f"질문 {user}-{number}") for user in range(users) for number in range(per_user)]
    questions += [(user, "자주 묻는 질문") for user in range(users)]
    with services.unit_of_work() as uow:
        uow.experiments.log_answers(
            [
                [
                    {
                        "experiment_id": experiment_id,
                        "user_key": f"user-{user}",
                        "session_id": None,
                        "variant": "a",
                        "assigned_variant": "a",
                        "model_id": model_id,
                        "query": kept("query", f"request-{number}", question),
                        "response": kept("response", f"request-{number}", "답"),
                        "response_time_ms": 9,
                        "request_id": f"request-{number}",
                        "status": "complete",
                        "exposure": "assigned",
                    }
                    for number, (user, question) in enumerate(questions)
                ]
            ]
        )


def test_recorded_questions_are_asked_of_both_and_the_better_one_is_found_once(services, tmp_path):
    with story(services, tmp_path) as (request, (a, b, judging)):
        plan = preview(request, services)
        assert (plan.source, plan.units, plan.decides) == (ReplaySource.RECORDED, 25, ReplayMeasure.JUDGE)
        assert plan.alpha == pytest.approx(0.04)
        assert not a.questions
        replay = replay_ab_test(request, services)
        # two of each user and the one of all, of which a tenth twice
        assert len(set(a.questions)) == len(set(b.questions)) == 51
        assert len(a.questions) == 51 + 5
        assert len(judging.questions) == 2 * 51
        assert replay.result is not None
        found, rules = replay.result.readings
        assert (found.measure, found.wins_b, found.units) == (ReplayMeasure.JUDGE, 51, 25)
        assert (found.verdict, found.difference) == (ExperimentVerdict.BETTER_B, 1.0)
        assert (rules.measure, rules.ties) == (ReplayMeasure.RULES, 51)
        assert replay.result.judge_consistency == 1.0
        # valid once: the same again is read, not asked
        assert replay_ab_test(request, services) == replay
        assert len(a.questions) == 56
        assert not list(services.settings.replays_dir.rglob("*"))
    with services.unit_of_work() as uow:
        # evidence that decides nothing
        assert uow.experiment_decisions.get(request.experiment_id) is None
        assert uow.session.scalars(select(AuditLog.action)).all().count("experiment.replayed") == 1
        with pytest.raises(IntegrityError, match="replay 1 of A/B test"):
            uow.session.execute(text("UPDATE ab_test_replays SET result = '{}'::jsonb"))


def test_of_several_new_models_each_has_a_replay_of_its_own_and_all_share_the_error_rate(services, tmp_path):
    with three_endpoints() as (a, b, judging), chat_endpoint(lambda question: f"{question}: 규정에 따릅니다.") as c:
        versions = deployed_three(services, tmp_path, urls=(a.url, b.url, c.url))
        experiment = running_test_of_three(services, versions)
        record(services, experiment.experiment_id, versions[0].model_id, users=25)
        judge = {"judge_url": judging.url, "judge_model": "judge"}
        request = ReplayABTestRequest(experiment_id=experiment.experiment_id, challenger="c", margin=0.2, **judge)
        of_c = replay_ab_test(request, services)
        assert (len(set(a.questions)), len(b.questions), len(set(c.questions))) == (51, 0, 51)
        # the first new one, unnamed: no second replay of c's, and no word of --again
        of_b = replay_ab_test(request.model_copy(update={"challenger": None}), services)
        assert replay_ab_test(request.model_copy(update={"challenger": "b"}), services) == of_b
        assert (of_c.number, of_b.number) == (1, 2)
        assert (of_c.plan.request.challenger, of_b.plan.request.challenger) == ("c", "b")
        assert of_c.plan.alpha == of_b.plan.alpha == pytest.approx(0.02)
        assert of_b.result is not None
        assert of_c.result is not None
        assert of_b.result.deciding.verdict is ExperimentVerdict.BETTER_B
        assert of_c.result.deciding.verdict is ExperimentVerdict.NO_RELEVANT_DIFFERENCE
        again = request.model_copy(update={"again": True})
        assert preview(again, services).alpha == pytest.approx(0.004)
        for name, told in (("a", "the present model"), ("d", "no such arm")):
            with pytest.raises(InvalidRequestError, match=told):
                preview(request.model_copy(update={"challenger": name}), services)


def test_a_judge_that_goes_by_the_place_makes_ties(services, tmp_path):
    first = json.dumps({"reason": "앞", "winner": "1"})
    with story(services, tmp_path, judge=lambda _: first) as (request, _):
        replay = replay_ab_test(request, services)
    assert replay.result is not None
    assert replay.result.deciding.verdict is not ExperimentVerdict.BETTER_A
    assert replay.result.deciding.ties == 51
    assert replay.result.judge_consistency == 0.0


def test_one_that_was_killed_goes_on_and_leaves_nothing_in_clear(services, tmp_path):
    def kill(what: str, done: int, _: int) -> None:
        if (what, done) == ("asking the judge", 30):
            raise RuntimeError("killed")

    with story(services, tmp_path) as (request, (a, b, judging)):
        with pytest.raises(RuntimeError, match="killed"):
            replay_ab_test(request, services, kill)
        kept = [path for path in services.settings.replays_dir.rglob("*") if path.is_file()]
        assert {path.name for path in kept} == {"answers.jsonl", "judge-replies.jsonl"}
        assert all(map(is_encrypted, kept))
        asked = len(a.questions), len(b.questions)
        replay = replay_ab_test(request, services)
        assert (len(a.questions), len(b.questions)) == asked
        # asked again are at most the eight that were under way
        assert 102 <= len(judging.questions) <= 110
    assert replay.result is not None
    assert replay.result.deciding.wins_b == 51


def test_another_one_costs_error_rate_and_a_task_that_is_tried_again_does_not(services, tmp_path):
    with story(services, tmp_path) as (request, _):
        first = replay_ab_test(request, services)
        other = request.model_copy(update={"questions": 30})
        with pytest.raises(ConflictError, match="replay 1 with 200 questions"):
            replay_ab_test(other, services)
        again = other.model_copy(update={"again": True, "mark": "run-2"})
        second = replay_ab_test(again, services)
        assert second.number == 2
        assert second.plan.alpha == pytest.approx(0.008)
        assert replay_ab_test(again, services) == second
        with services.unit_of_work() as uow:
            assert uow.experiment_replays.of_experiment(request.experiment_id) == [second, first]


def test_a_question_that_was_forgotten_is_not_asked(services, tmp_path):
    with story(services, tmp_path) as (request, (a, _, _)):
        plan = preview(request, services)
        with services.unit_of_work() as uow:
            uow.experiments.lock_starts()
            uow.experiment_replays.begin(1, plan)
            gone = uow.session.scalars(select(ABTestLog.id).where(ABTestLog.user_key == "user-3")).all()
            uow.recorded_texts.forget(gone)
        replay = replay_ab_test(request, services)
        assert replay.result is not None
        assert replay.result.excluded == {"forgotten": 2}
        assert not {"질문 3-0", "질문 3-1"} & set(a.questions)


def under(services: Services, policy: str) -> Services:
    return Services(services.settings.model_copy(update={"recorded_text": policy}))


def test_what_is_kept_whole_is_masked_where_the_policy_says_so_now(services, tmp_path):
    with story(services, tmp_path) as (request, (a, _, _)):
        with services.unit_of_work() as uow:
            row = uow.session.scalars(select(ABTestLog).order_by(ABTestLog.id.desc()).limit(1)).one()
            row.query = services.recorded_text.kept("query", row.request_id, f"{PHONE} 로 알려 주세요")
        with pytest.raises(ConflictError, match="not recorded here"):
            replay_ab_test(request, under(services, "none"))
        replay_ab_test(request, under(services, "masked"))
        assert any("[전화번호]" in question for question in a.questions)
        assert not any(PHONE in question for question in a.questions)


def test_a_suite_is_compared_by_its_own_scorers(services, tmp_path):
    file = services.settings.data_dir / "inbox" / "cases.jsonl"
    file.parent.mkdir(parents=True)
    lines = [{"id": f"c{n}", "question": f"몇 조? {n}", "accepted_answers": ["제12조"]} for n in range(20)]
    file.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines), encoding="utf-8")
    with story(services, tmp_path, users=0, suite=str(file), judge_url=None, judge_model=None) as (request, _):
        replay = replay_ab_test(request, services)
    assert (replay.plan.source, replay.plan.decides) == (ReplaySource.SUITE, ReplayMeasure.RULES)
    assert replay.result is not None
    assert (replay.result.deciding.verdict, replay.result.deciding.wins_b) == (ExperimentVerdict.BETTER_B, 20)


def test_too_few_users_and_an_absent_model_are_refused(services, tmp_path):
    with story(services, tmp_path, users=19) as (request, _):
        with pytest.raises(ConflictError, match="39 questions of 19 users"):
            replay_ab_test(request, services)
        with services.unit_of_work() as uow:
            uow.models.set_deployment(uow.experiments.get(request.experiment_id).model_b_id, None)
        with pytest.raises(ConflictError, match="is not deployed"):
            replay_ab_test(request, services)
