"""What the repositories promise, on a real PostgreSQL."""

import math
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.exc import IntegrityError

from contracts.datasets import DatasetVersion, QualityCheck
from contracts.enums import (
    Arm,
    ExperimentStatus,
    JobStatus,
    LeaseKind,
    ModelFormat,
    ModelStatus,
    QualityCheckType,
    StageName,
    StageStatus,
)
from contracts.errors import NotFoundError, UnavailableError
from contracts.experiments import StartABTestRequest, TrafficSplit, UserSums
from contracts.layers import WHOLE_LAYER, BucketRange
from contracts.models import ArmEndpoint, ModelVersion
from contracts.record import utc_now
from contracts.training import CheckpointRecord, JobProgress, TrainRequest
from database.unit_of_work import UnitOfWork, unit_of_work


def add_dataset(uow: UnitOfWork, content_hash: str = "a" * 64, name: str = "regulations") -> DatasetVersion:
    return uow.datasets.add(
        name=name,
        content_hash=content_hash,
        file_path="/data/datasets/regulations",
        total_samples=10,
        train_samples=8,
        val_samples=1,
        test_samples=1,
        removed={"exact_duplicate": 2},
        masked={"이름": 1},
        quality_score=0.9,
        categories={"tolls": 10},
    )


def add_job(uow: UnitOfWork, job_name: str = "job-1") -> int:
    dataset = add_dataset(uow)
    request = TrainRequest(job_name=job_name, dataset_id=dataset.dataset_id, base_model="demo-base")
    return uow.jobs.create(request, hyperparameters={"lora_rank": 8}, base_model_path="/models/demo-base")


def add_model(uow: UnitOfWork, content_hash: str, name: str = "assistant") -> ModelVersion:
    return uow.models.add(
        model_name=name,
        version=None,
        base_model="demo-base",
        base_model_path="/models/demo-base",
        finetuning_job_id=None,
        model_path=f"/models/registered/{name}/{content_hash[:8]}",
        model_format=ModelFormat.LORA_ADAPTER,
        model_size_gb=0.1,
        status=ModelStatus.STAGING,
        mlflow_model_uri=None,
        content_hash=content_hash,
    )


def start_experiment(uow: UnitOfWork, name: str = "experiment-1", buckets=WHOLE_LAYER) -> int:
    models = [add_model(uow, letter * 64) for letter in "ab"]
    request = StartABTestRequest(
        experiment_name=name,
        model_a_id=models[0].model_id,
        model_b_id=models[1].model_id,
        traffic_split=TrafficSplit(a=0.8, b=0.2),
    )
    return uow.experiments.start(request, None, buckets).experiment_id


def test_the_same_content_is_the_same_dataset_version_and_new_content_the_next(database_url):
    with unit_of_work(database_url) as uow:
        first = add_dataset(uow)
        again = add_dataset(uow)
        second = add_dataset(uow, "b" * 64)
    assert again == first
    assert (first.version, second.version) == ("v1.0", "v1.1")


def test_writers_at_the_same_time_never_share_a_version_number(database_url):
    def add(number: int) -> str:
        with unit_of_work(database_url) as uow:
            return add_dataset(uow, f"{number:064x}").version

    with ThreadPoolExecutor(6) as pool:
        versions = list(pool.map(add, range(12)))
    assert sorted(versions, key=lambda version: int(version[3:])) == [f"v1.{minor}" for minor in range(12)]


def test_an_error_in_the_block_stores_nothing(database_url):
    with pytest.raises(RuntimeError), unit_of_work(database_url) as uow:
        add_dataset(uow)
        raise RuntimeError("stop")
    with unit_of_work(database_url) as uow:
        assert uow.datasets.newest() == []


def test_quality_checks_are_kept_as_history(database_url):
    check = QualityCheck(check_type=QualityCheckType.SIZE, passed=True, issues=[{"rows": 10}])
    with unit_of_work(database_url) as uow:
        dataset = add_dataset(uow)
        uow.datasets.record_checks(dataset.dataset_id, [check])
        uow.datasets.record_checks(dataset.dataset_id, [check])
        count = uow.session.connection().exec_driver_sql("SELECT count(*) FROM dataset_quality_logs").scalar_one()
    assert count == 2


def test_a_job_name_is_one_job_whatever_is_repeated(database_url):
    with unit_of_work(database_url) as uow:
        first = add_job(uow)
        assert add_job(uow) == first
        progress = JobProgress(stage="training", step=5, total_steps=10, loss=1.5, updated_at=utc_now())
        uow.jobs.mark_running(first, [0, 1])
        uow.jobs.record_progress(first, progress)
    with unit_of_work(database_url) as uow:
        job = uow.jobs.get(first)
        assert (job.status, job.gpu_ids, job.progress) == (JobStatus.RUNNING, "0,1", progress)
        uow.jobs.fail(first, JobStatus.FAILED, {"what": "out of memory"})
    with unit_of_work(database_url) as uow:
        job = uow.jobs.get(first)
        assert job.status is JobStatus.FAILED
        assert job.error == {"what": "out of memory"}
        assert job.end_time is not None


def test_a_checkpoint_recorded_again_replaces_itself(database_url):
    with unit_of_work(database_url) as uow:
        job_id = add_job(uow)
        for loss in (2.0, 1.0):
            checkpoint = CheckpointRecord(
                name="checkpoint-25", step=25, epoch=1.0, path="/c", size_bytes=10, metrics={"eval_loss": loss}
            )
            uow.jobs.record_checkpoint(job_id, checkpoint)
        rows = uow.session.connection().exec_driver_sql("SELECT metrics FROM training_checkpoints").scalars().all()
    assert rows == [{"eval_loss": 1.0}]


def test_model_versions_count_up_by_name_and_base_models_have_a_row(database_url):
    with unit_of_work(database_url) as uow:
        base = uow.models.ensure_base("demo-base", "/models/demo-base", 0.01, "c" * 64)
        assert uow.models.ensure_base("demo-base", "/models/demo-base", 0.01, "c" * 64) == base
        changed = uow.models.ensure_base("demo-base", "/models/demo-base", 0.01, "d" * 64)
        versions = [add_model(uow, letter * 64).version for letter in "ab"]
    assert base.version == "base"
    assert changed.version == f"base-{'d' * 8}"
    assert versions == ["1", "2"]


def test_deployments_and_production_are_found_again(database_url):
    with unit_of_work(database_url) as uow:
        model = add_model(uow, "a" * 64)
        assert uow.models.production("assistant") is None
        endpoint = ArmEndpoint(
            arm=Arm.B,
            model_id=model.model_id,
            model_name="assistant",
            version="1",
            served_model_name="assistant-v1-aaaaaaaa",
            base_url="http://127.0.0.1:1/v1",
            backend="vllm",
        )
        uow.models.set_deployment(model.model_id, endpoint)
        uow.models.set_status(model.model_id, ModelStatus.PRODUCTION)
    with unit_of_work(database_url) as uow:
        assert uow.models.deployment(model.model_id) == endpoint
        assert uow.models.deployed() == [endpoint]
        found = uow.models.production("assistant")
        assert found is not None
        assert found.model_id == model.model_id
        uow.models.set_deployment(model.model_id, None)
        assert uow.models.deployed() == []


def test_experiments_run_beside_each_other_and_starting_one_again_is_the_same(database_url):
    parts = [BucketRange(first=0, end=300)], [BucketRange(first=300, end=400), BucketRange(first=900, end=1000)]
    with unit_of_work(database_url) as uow:
        first = start_experiment(uow, buckets=parts[0])
        assert start_experiment(uow) == first
        second = start_experiment(uow, "experiment-2", parts[1])
        running = uow.experiments.running()
        assert [found.experiment_id for found in running] == [first, second]
        assert [list(found.buckets) for found in running] == list(parts)
        assert [found.layer_share for found in running] == [0.3, 0.2]
        assert running[0].traffic_split == {"a": 0.8, "b": 0.2}


def test_postgresql_gives_no_user_to_two_running_experiments(database_url):
    with unit_of_work(database_url) as uow:
        first = start_experiment(uow, buckets=[BucketRange(first=0, end=500)])
    with (
        pytest.raises(IntegrityError, match="ex_ab_experiments_buckets"),
        unit_of_work(database_url) as uow,
    ):
        start_experiment(uow, "experiment-2", [BucketRange(first=499, end=600)])
    with unit_of_work(database_url) as uow:
        uow.experiments.stop(first, ExperimentStatus.STOPPED)
        start_experiment(uow, "experiment-2", [BucketRange(first=499, end=600)])


def test_a_pinned_user_stays_with_the_first_arm(database_url):
    with unit_of_work(database_url) as uow:
        experiment = start_experiment(uow)
        assert uow.experiments.pin_user(experiment, "user-1", Arm.B) == Arm.B
        assert uow.experiments.pin_user(experiment, "user-1", Arm.A) == Arm.B
        assert uow.experiments.pinned(experiment) == {"user-1": Arm.B}


def test_answers_and_ratings_add_up_by_arm(database_url):
    with unit_of_work(database_url) as uow:
        experiment = start_experiment(uow)
        model_id = uow.experiments.get(experiment).model_a_id
        for number, (user, rating) in enumerate([("u1", 4), ("u1", 2), ("u2", None)]):
            for _ in range(2):  # the writer repeats what it could not confirm
                uow.experiments.log_answer(
                    experiment_id=experiment,
                    user_key=user,
                    session_id=None,
                    variant=Arm.A,
                    model_id=model_id,
                    query="질문",
                    response="답변",
                    response_time_ms=100,
                    request_id=f"r{number}",
                )
            if rating is not None:
                assert uow.experiments.rate(f"r{number}", rating, "좋음")
        assert not uow.experiments.rate("unknown", 5, None)
        counts = uow.experiments.tally(experiment).counts
    assert (counts[Arm.A].samples, counts[Arm.A].ratings, counts[Arm.A].users) == (3, 2, 2)
    assert counts[Arm.A].mean_rating == 3.0
    assert counts[Arm.A].sum_squared_rating == 20.0
    assert counts[Arm.A].mean_response_time_ms == 100.0
    assert counts[Arm.B].samples == 0
    assert counts[Arm.B].mean_rating is None


def test_what_users_say_is_summed_by_user_first(database_url):
    with unit_of_work(database_url) as uow:
        experiment = start_experiment(uow)
        model_id = uow.experiments.get(experiment).model_a_id
        # user, served arm, assigned arm, rating
        answers = [
            ("u1", Arm.A, Arm.A, 5),
            ("u1", Arm.A, Arm.A, 3),
            ("u1", Arm.A, Arm.A, None),
            ("u2", Arm.A, None, 1),
            ("silent", Arm.A, Arm.A, None),
            # nobody in particular: each answer is a unit of its own
            ("", Arm.B, Arm.B, 4),
            ("", Arm.B, Arm.B, 2),
            # answered by both arms, and by the arm that was not theirs
            ("both", Arm.A, Arm.A, 5),
            ("both", Arm.B, Arm.A, 5),
            ("astray", Arm.B, Arm.A, 1),
            # broken off
            ("u3", None, Arm.A, 2),
        ]
        for number, (user, served, assigned, rating) in enumerate(answers):
            uow.experiments.log_answer(
                experiment_id=experiment,
                user_key=user,
                session_id=None,
                variant=served,
                assigned_variant=assigned,
                model_id=model_id,
                query="질문",
                response="답변",
                response_time_ms=100,
                request_id=f"r{number}",
            )
            if rating is not None:
                uow.experiments.rate(f"r{number}", rating, None)
        found = uow.experiments.tally(experiment).users
    # u1: weight 2, value 8; u2: weight 1, value 1
    assert found.ratings[Arm.A] == UserSums(
        users=2, weight=3, value=9, weight_squared=5, weight_value=17, value_squared=65
    )
    assert found.ratings[Arm.B] == UserSums(
        users=2, weight=2, value=6, weight_squared=2, weight_value=6, value_squared=20
    )
    assert found.mixed_users == 2
    # three users of A were answered, five times in all
    times = found.log_response_times[Arm.A]
    assert (times.users, times.weight) == (3, 5)
    assert times.value == pytest.approx(5 * math.log(100))


def test_two_jobs_never_hold_the_same_card(database_url):
    def acquire(number: int) -> list[int] | None:
        with unit_of_work(database_url) as uow:
            return uow.leases.acquire(f"owner-{number}", 1, "host", 2)

    with ThreadPoolExecutor(6) as pool:
        taken = [cards for cards in pool.map(acquire, range(6)) if cards is not None]
    assert sorted(taken) == [[0], [1]]


def test_a_lease_is_all_or_nothing_and_comes_back_on_release(database_url):
    with unit_of_work(database_url) as uow:
        assert uow.leases.acquire("one", 1, "host", 2) == [0]
        assert uow.leases.acquire("two", 2, "host", 2) is None
        assert uow.leases.acquire("one", 1, "host", 2) == [0]
        assert uow.leases.acquire("other-host", 2, "host-b", 2) == [0, 1]
        assert uow.leases.release("one") == 1
        assert uow.leases.acquire("two", 2, "host", 2) == [0, 1]
        assert [(lease.host, lease.gpu_index) for lease in uow.leases.all()] == [
            ("host", 0), ("host", 1), ("host-b", 0), ("host-b", 1),
        ]  # fmt: skip


def test_a_lease_says_what_it_is_for_and_leaves_the_cards_of_others_alone(database_url):
    with unit_of_work(database_url) as uow:
        assert uow.leases.acquire("server", 1, "host", 3, kind=LeaseKind.SERVING, first=[2]) == [2]
        assert uow.leases.acquire("job", 1, "host", 3, never={0, 2}) == [1]
        assert uow.leases.acquire("other", 1, "host", 3, never={0}) is None
        assert [lease.kind for lease in uow.leases.of_host("host")] == [LeaseKind.TRAINING, LeaseKind.SERVING]
        uow.leases.restore("late", [1, 0], "host", LeaseKind.EVALUATION)
        assert uow.leases.owners("host") == {0: "late", 1: "job", 2: "server"}


def test_a_run_tells_its_stages_in_order_and_a_repeated_stage_counts_once(database_url):
    dataset_stage, prepare_stage = StageName.IMPORT_DATASET, StageName.PREPARE
    with unit_of_work(database_url) as uow:
        uow.pipeline_runs.start("run-1", "finetune_pipeline", {"seed": 0})
        uow.pipeline_runs.stage_started("run-1", prepare_stage)
        uow.pipeline_runs.stage_failed("run-1", prepare_stage, {"what": "disk full"})
        uow.pipeline_runs.stage_skipped("run-1", dataset_stage)
        uow.pipeline_runs.stage_started("run-1", prepare_stage)
        uow.pipeline_runs.stage_succeeded("run-1", prepare_stage, add_dataset(uow))
        uow.pipeline_runs.finish("run-1")
    with unit_of_work(database_url) as uow:
        run = uow.pipeline_runs.get("run-1")
        assert uow.pipeline_runs.latest() == run
    assert [(state.stage, state.status, state.error) for state in run.stages] == [
        (dataset_stage, StageStatus.SKIPPED, None),
        (prepare_stage, StageStatus.SUCCEEDED, None),
    ]
    assert run.finished_at is not None


@pytest.mark.parametrize(
    "read",
    [
        lambda uow: uow.datasets.get(99),
        lambda uow: uow.jobs.get(99),
        lambda uow: uow.evaluations.get(99),
        lambda uow: uow.models.get(99),
        lambda uow: uow.experiments.get(99),
        lambda uow: uow.pipeline_runs.get("99"),
    ],
)
def test_what_is_not_there_is_named_in_the_error(database_url, read):
    with pytest.raises(NotFoundError, match="99"), unit_of_work(database_url) as uow:
        read(uow)


def test_a_stopped_server_is_one_clear_retryable_error():
    with (
        pytest.raises(UnavailableError, match="PostgreSQL does not answer") as caught,
        unit_of_work("postgresql+psycopg://nobody:x@127.0.0.1:9/none") as uow,
    ):
        uow.datasets.newest()
    assert caught.value.retryable
