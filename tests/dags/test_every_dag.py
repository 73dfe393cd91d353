"""House rules over all DAGs."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.dags.diagram import edges

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]
DAG_IDS = sorted(path.stem for path in (REPOSITORY_ROOT / "dags").glob("*.py") if path.stem != "__init__")
BY_THE_MINUTE = "monitor_ab_test"
"""Keeps no rows of pipeline_runs, and so has none to close: a run a minute would bury those of people."""
POOLS = json.loads((REPOSITORY_ROOT / "operators" / "pools.json").read_text(encoding="utf-8"))


@pytest.fixture(params=DAG_IDS)
def dag(request, dag_bag):
    return dag_bag.dags[request.param]


def test_there_are_dags():
    assert set(DAG_IDS) == {
        "finetune_pipeline", "prepare_dataset", "train_model", "evaluate_model", "deploy_model", "generate_qa",
        "tune_hyperparameters", "compress_model", "resume_training", "finetune_job", "monitor_ab_test", "conclude_ab_test",
        "replay_ab_test",
    }  # fmt: skip


def test_every_file_is_read_without_an_error(dag_bag):
    assert dag_bag.import_errors == {}
    assert sorted(dag_bag.dags) == DAG_IDS


def test_its_arrows_are_those_of_its_diagram(dag):
    drawn = edges(dag.doc_md)
    actual = {(task.task_id, after) for task in dag.tasks for after in task.downstream_task_ids}
    assert drawn == actual


def test_it_survives_serialisation_unchanged(dag):
    from airflow.serialization.serialized_objects import DagSerialization

    encoded = DagSerialization.to_dict(dag)
    decoded = DagSerialization.from_dict(json.loads(json.dumps(encoded)))
    assert set(decoded.task_ids) == set(dag.task_ids)
    assert decoded.params.dump() == {name: dag.params[name] for name in dag.params}


def test_reading_it_twice_gives_the_same_version(dag):
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization

    again = DagBag(dag_folder=dag.fileloc).dags[dag.dag_id]
    assert json.dumps(DagSerialization.to_dict(again), sort_keys=True) == json.dumps(
        DagSerialization.to_dict(dag), sort_keys=True
    )


def test_it_says_what_to_do_when_it_fails(dag):
    assert "실패하면" in dag.doc_md
    assert dag.tags


def test_it_starts_by_hand_by_api_or_by_dropped_files_and_is_never_born_paused(dag):
    if dag.dag_id == BY_THE_MINUTE:
        assert (dag.schedule, dag.max_active_runs) == ("* * * * *", 1)
    else:
        watched = {asset.name for asset in dag.schedule} if dag.schedule else set()
        assert watched == ({"input_files"} if dag.dag_id == "prepare_dataset" else set())
    assert dag.is_paused_upon_creation is False
    assert dag.catchup is False


def test_every_field_of_its_form_can_be_understood_and_started_as_it_is(dag):
    assert len(dag.params) > 0
    for name in dag.params:
        param = dag.params.get_param(name)
        assert {"title", "description_md", "type", "section"} <= set(param.schema), name
        assert param.schema["title"] != name.replace("_", " ").title(), f"{name} has no title of its own"
        assert len(param.schema["description_md"]) > 8, name
    # the default of each passes its own schema
    dag.params.validate()


def test_every_task_fits_its_pool(dag):
    for task in dag.tasks:
        if task.pool == "default_pool":
            continue
        assert task.pool_slots <= POOLS[task.pool]["slots"], task.task_id
        assert POOLS[task.pool]["include_deferred"] is True


def test_only_tasks_that_hand_a_job_to_the_runner_take_gpu_slots(dag):
    from operators.runner_job_operator import RunnerJobOperator

    for task in dag.tasks:
        # a mapped task is not of its operator's class yet, and keeps what its operator is given
        kind = getattr(task, "operator_class", type(task))
        assert (task.pool == "gpu") == issubclass(kind, RunnerJobOperator), task.task_id
        if issubclass(kind, RunnerJobOperator):
            given = getattr(task, "partial_kwargs", None)
            assert task.pool_slots == (task.num_gpus if given is None else given["num_gpus"])


def test_every_task_is_tried_again_soon_and_late_stages_come_first(dag):
    from airflow.sdk import WeightRule

    for task in dag.tasks:
        assert task.retries >= 1, task.task_id
        assert task.retry_delay <= timedelta(seconds=30), task.task_id
        assert task.weight_rule == WeightRule.UPSTREAM, task.task_id


def test_a_job_outlasts_a_kill_a_restart_and_a_task_that_did_not_start(dag):
    from operators.runner_job_operator import RunnerJobOperator

    for task in dag.tasks:
        if isinstance(task, RunnerJobOperator):
            assert task.retries == 4, task.task_id


def test_a_task_after_a_branch_waits_for_the_way_that_was_taken(dag):
    from airflow.sdk import TriggerRule

    for task in dag.tasks:
        if len(task.upstream_task_ids) > 1 and not task.is_teardown:
            assert task.trigger_rule == TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS, task.task_id


def test_its_last_task_runs_whatever_happened_and_decides_the_runs_state(dag):
    if dag.dag_id == BY_THE_MINUTE:
        return
    last = dag.get_task("finish_run")
    assert last.is_teardown
    assert last.on_failure_fail_dagrun
    assert dag.leaves == [last]


def test_no_text_of_a_request_meets_a_template(dag):
    """Nothing of ours has template fields; the approval's texts are constants."""
    for task in dag.tasks:
        for field in task.template_fields:
            value = getattr(task, field, None)
            assert "{{" not in str(value) and "{%" not in str(value), f"{task.task_id}.{field}"


def test_no_task_id_or_attribute_breaks_a_listener(dag):
    """Airflow refuses such DAGs as soon as any listener plugin is there."""
    for task in dag.tasks:
        assert not hasattr(task, "end_from_trigger"), task.task_id


@pytest.mark.slow
def test_reading_the_dags_loads_nothing_heavy():
    heavy = ["torch", "mlflow", "transformers", "trl", "peft", "datasets", "pyarrow", "pandas", "presidio_analyzer"]
    ours = ["stages.train", "stages.runner_client", "database.unit_of_work", "database.models", "data_prep", "training"]
    script = f"""
import sys
from pathlib import Path
import airflow.dag_processing.dagbag
before = set(sys.modules)
bag = airflow.dag_processing.dagbag.DagBag(dag_folder={str(REPOSITORY_ROOT / "dags")!r})
assert not bag.import_errors, bag.import_errors
assert len(bag.dags) == {len(DAG_IDS)}
loaded = sorted(name for name in {heavy + ours!r} if name in sys.modules and name not in before)
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY_ROOT)
    assert done.returncode == 0, done.stderr
