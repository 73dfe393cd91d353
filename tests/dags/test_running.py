"""DAGs that run to their end in this process, with a real PostgreSQL."""

import pytest

from contracts.enums import StageName, StageStatus
from tests.dags.toll_rows import write_toll_rows
from tests.stages.test_replay_ab_test import story

pytestmark = pytest.mark.slow


@pytest.fixture
def toll_rows(services):
    return write_toll_rows(services.settings.data_dir / "inbox")


def stages_of(services):
    with services.unit_of_work() as uow:
        run = uow.pipeline_runs.latest()
    assert run is not None
    return run, {state.stage: state for state in run.stages}


def test_prepare_dataset_goes_from_files_to_a_checked_version(run_dag, services, toll_rows):
    run = run_dag(
        "prepare_dataset",
        {
            "dataset_name": "tolls",
            "input_files": [str(toll_rows)],
            "train_ratio": 0.8,
            "val_ratio": 0.1,
            "test_ratio": 0.1,
            "test_suite": None,
            "extra_suites": [],
        },
    )
    assert run.state == "success"
    pipeline_run, stages = stages_of(services)
    assert {stage: state.status for stage, state in stages.items()} == {
        StageName.IMPORT_DATASET: StageStatus.SUCCEEDED,
        StageName.PREPARE: StageStatus.SUCCEEDED,
        StageName.CHECK_QUALITY: StageStatus.SUCCEEDED,
    }
    assert pipeline_run.finished_at is not None
    prepared = stages[StageName.PREPARE].record
    assert prepared is not None
    with services.unit_of_work() as uow:
        dataset = uow.datasets.get(prepared["dataset_id"])
    assert dataset.name == "tolls"
    assert dataset.total_samples == dataset.train_samples + dataset.val_samples + dataset.test_samples


def test_a_wrong_request_ends_red_at_its_first_task_and_leaves_nothing(run_dag, services):
    run = run_dag("prepare_dataset", {"input_files": ["demo/data/none.jsonl"]})
    states = {task_instance.task_id: task_instance.state for task_instance in run.get_task_instances()}
    assert run.state == "failed"
    assert states["validate_request"] == "failed"
    assert states["import_dataset"] == "upstream_failed"
    assert states["finish_run"] == "failed"
    with services.unit_of_work() as uow:
        assert uow.pipeline_runs.latest() is None
        assert uow.datasets.newest() == []


@pytest.mark.deep
def test_a_replay_goes_to_its_result_and_knows_its_run(run_dag, services, tmp_path):
    with story(services, tmp_path) as (request, _):
        asked = request.model_dump(include={"experiment_id", "judge_url", "judge_model"})
        assert run_dag("replay_ab_test", asked).state == "success"
    _, stages = stages_of(services)
    record = stages[StageName.REPLAY_AB_TEST].record
    assert record is not None
    assert record["result"]["readings"][0]["verdict"] == "better_b"
    assert record["plan"]["request"]["mark"].startswith("replay_ab_test/manual__")
