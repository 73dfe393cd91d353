"""Ratings of an A/B test become a dataset version that a dpo recipe takes, and no other."""

import json
from pathlib import Path

import pytest

from contracts.datasets import QualityRequest
from contracts.enums import Arm, ExperimentStatus, QualityCheckType
from contracts.errors import InvalidDataError, InvalidRequestError, NotFoundError
from contracts.preferences import PreferencesRequest
from contracts.ratings import PutUpRequest
from stages.check_quality import check_quality
from stages.preferences import make_preferences
from stages.rating_tasks import put_up
from stages.train import create_job
from tests.stages.test_rating_tasks import answers_file
from tests.training.tiny_model import make_base_model, tiny_request

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def experiment(services):
    """Two models, three questions; of one both answers are rated, and far apart."""
    from contracts.experiments import StartABTestRequest

    with services.unit_of_work() as uow:
        models = [
            uow.models.ensure_base(f"base-{arm}", f"/models/base-{arm}", 0.1, f"{index}" * 64)
            for index, arm in enumerate(Arm)
        ]
        started = uow.experiments.start(
            StartABTestRequest(experiment_name="tolls", model_a_id=models[0].model_id, model_b_id=models[1].model_id)
        )
        answers = [
            ("a1", Arm.A, "통행료는 얼마인가?", "800원입니다.", 5),
            ("b1", Arm.B, "통행료는 얼마인가?", "모릅니다.", 1),
            ("a2", Arm.A, "몇 km인가?", "12 km입니다.", 4),
            ("b3", Arm.B, "언제 열었나?", "2003년입니다.", None),
        ]
        for request_id, arm, query, response, rating in answers:
            uow.experiments.log_answer(
                experiment_id=started.experiment_id,
                user_key="u",
                session_id=None,
                variant=arm,
                model_id=models[0].model_id if arm is Arm.A else models[1].model_id,
                query=query,
                response=response,
                response_time_ms=10,
                request_id=request_id,
            )
            if rating is not None:
                uow.experiments.rate(request_id, rating, None)
        return started.experiment_id


def test_ratings_become_a_version_and_the_same_ratings_the_same_version(services, experiment):
    request = PreferencesRequest(dataset_name="liked", experiment_id=experiment)
    made = make_preferences(request, services)
    assert (made.train_samples, made.val_samples) == (1, 0)
    assert (Path(made.file_path) / "train.parquet").is_file()
    assert make_preferences(request, services).dataset_id == made.dataset_id


def test_without_pairs_it_is_refused(services, experiment):
    from contracts.experiments import StartABTestRequest

    with services.unit_of_work() as uow:
        first = uow.experiments.get(experiment)
        uow.experiments.stop(experiment, ExperimentStatus.STOPPED)
        unrated = uow.experiments.start(
            StartABTestRequest(experiment_name="new", model_a_id=first.model_a_id, model_b_id=first.model_b_id)
        ).experiment_id
    with pytest.raises(InvalidDataError, match="wait for more ratings"):
        make_preferences(PreferencesRequest(dataset_name="liked", experiment_id=unrated), services)
    with pytest.raises(NotFoundError):
        make_preferences(PreferencesRequest(dataset_name="liked", experiment_id=999), services)
    with pytest.raises(InvalidRequestError, match="pairs_file, experiment_id, rating_task"):
        make_preferences(PreferencesRequest(dataset_name="liked"), services)


def suite(services, *questions):
    path = services.settings.data_dir / "inbox" / "cases.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    cases = [{"id": f"c{n}", "question": text, "accepted_answers": ["800원"]} for n, text in enumerate(questions)]
    path.write_text("".join(json.dumps(case, ensure_ascii=False) + "\n" for case in cases), encoding="utf-8")
    return str(path)


def test_a_test_question_among_the_pairs_is_left_out_and_nothing_is_made_of_test_questions_alone(services, experiment):
    path = services.settings.data_dir / "inbox" / "pairs.jsonl"
    cases = suite(services, "통행료는 얼마인가?")
    path.write_text('{"prompt": "터널 길이는?", "chosen": "3 km", "rejected": "모름"}\n', encoding="utf-8")
    request = PreferencesRequest(dataset_name="liked", experiment_id=experiment, test_suites=[cases])
    with pytest.raises(InvalidDataError, match="leaks_test_case 1"):
        make_preferences(request, services)
    made = make_preferences(request.model_copy(update={"pairs_file": str(path)}), services)
    assert (made.total_samples, made.removed) == (1, {"leaks_test_case": 1})


def test_pairs_are_checked_before_gpu_time_is_spent_like_rows(services, experiment):
    made = make_preferences(PreferencesRequest(dataset_name="liked", experiment_id=experiment), services)
    cases = suite(services, "통행료는 얼마인가?")
    wanted = QualityRequest(dataset_id=made.dataset_id, min_samples=1)
    assert check_quality(wanted, services).passed
    report = check_quality(wanted.model_copy(update={"test_suites": [cases], "min_samples": 2}), services)
    failed = {check.check_type: check.issues[0] for check in report.checks if not check.passed}
    assert set(failed) == {QualityCheckType.TEST_LEAKAGE, QualityCheckType.SIZE}
    assert failed[QualityCheckType.TEST_LEAKAGE]["row"] == "train:0"


@pytest.mark.slow
def test_recipe_and_dataset_must_have_the_same_objective(services, experiment, tmp_path):
    request = tiny_request(services, make_base_model(tmp_path / "base"), "wrong", recipe="demo-dpo", hyperparameters={})
    with pytest.raises(InvalidDataError, match="holds no preference pairs"):
        create_job(request, services)
    pairs = make_preferences(PreferencesRequest(dataset_name="liked", experiment_id=experiment), services)
    taken = create_job(request.model_copy(update={"job_name": "right", "dataset_id": pairs.dataset_id}), services)
    assert taken.finetuning_job_id is not None
    with pytest.raises(InvalidDataError, match="objective dpo"):
        create_job(
            request.model_copy(update={"job_name": "other", "dataset_id": pairs.dataset_id, "recipe": "demo-lora"}),
            services,
        )


def test_what_experts_prefer_becomes_pairs_and_judges_do_not_count(services):
    from evaluation.rating_items import rating_of
    from stages.rating_tasks import expert_pairs, items_of

    task = put_up(PutUpRequest(name="compared", answers_file=answers_file(services, 6)), services)
    said = [("a", "a"), ("b", "tie"), ("a", "b"), ("both_bad", "both_bad"), (None, None), ("b", "b")]
    ratings = [
        rating_of(task, item, rater, value)
        for item, values in zip(items_of(task.name, services), said, strict=True)
        for rater, value in zip(("김전문", "이전문"), values, strict=True)
        if value is not None
    ]
    ratings += [rating_of(task, item, "judge:m:0", "b") for item in items_of(task.name, services)]
    with services.unit_of_work() as uow:
        uow.ratings.rate(ratings)
    pairs = expert_pairs(task.name, services)
    assert [(pair.prompt[0]["content"], pair.chosen, pair.rejected) for pair in pairs] == [
        ("0번 서식의 보존 기간은?", "5년입니다.", "5년"),
        ("5번 서식의 보존 기간은?", "5년간 보존합니다.", "5년입니다."),
    ]
    made = make_preferences(PreferencesRequest(dataset_name="experts", rating_task=task.name), services)
    assert made.train_samples + made.val_samples == 2
