"""Each stage's request, from the run's request and the records before it."""

import pytest

from contracts.datasets import DatasetVersion, ImportedDataset
from contracts.enums import Arm, Priority, ServerBackend
from contracts.errors import NotFoundError
from contracts.models import ArmEndpoint, Deployment
from contracts.pipeline import DeployModelRequest, FinetuneRequest
from dags.prepare_dataset import FIELDS
from operators import branches, requests
from operators.run_records import RunRecords

DATASET = DatasetVersion(
    dataset_id=5, name="regulations", version="v1.0", content_hash="ab", file_path="x", total_samples=1,
    train_samples=1, val_samples=0, test_samples=0, removed={}, masked={}, quality_score=1.0, categories={},
)  # fmt: skip


IMPORTED = ImportedDataset(
    import_id="regulations-ab", dataset_name="regulations", rows_path="r", quarantine_path="q", total_rows=1,
    broken_rows=0, files=[],
)  # fmt: skip


def run_with(run_id="run-1", dag_id="finetune_pipeline", request=None, **records):
    request = request or FinetuneRequest(input_files=["a.csv"])
    left = {"validate_request": request.model_dump(mode="json")}
    left |= {task_id: record.model_dump(mode="json") for task_id, record in records.items()}
    return RunRecords(dag_id=dag_id, run_id=run_id, pull=left.get)


def finetune(**changes):
    return FinetuneRequest(**{"input_files": ["a.csv"], **changes})


def endpoint(arm, model_id):
    return ArmEndpoint(
        arm=arm, model_id=model_id, model_name="regulations-assistant", version="1", served_model_name="x",
        base_url="http://127.0.0.1:1/v1", backend=ServerBackend.VLLM,
    )  # fmt: skip


def test_suites_are_kept_out_of_the_training_data():
    run = run_with(
        request=finetune(test_suite="main.jsonl", extra_suites=["forms.jsonl"]),
        import_dataset=IMPORTED,
    )
    assert requests.prepare(run).test_suites == ["main.jsonl", "forms.jsonl"]


def test_everything_that_a_preparation_can_be_told_comes_from_the_form():
    told = {
        "train_ratio": 0.8, "val_ratio": 0.1, "test_ratio": 0.1, "split_unit": "question", "policy": "house.yaml", "seed": 3,
        "near_duplicate_threshold": 0.8, "min_quality_score": 0.6, "min_answer_characters": 9, "branch": "trial",
    }  # fmt: skip

    prepared = requests.prepare(run_with(request=finetune(**told), import_dataset=IMPORTED)).model_dump(mode="json")

    assert {name: prepared[name] for name in told} == told
    elsewhere = {"import_id", "dataset_name", "test_suites", "tokenizer"}
    assert set(prepared) == {*told, *elsewhere}
    assert set(told) <= set(FIELDS)


def test_the_prepared_version_is_trained_on():
    assert requests.train(run_with(prepare=DATASET)).dataset_id == 5


def test_a_given_version_is_trained_on_without_preparing():
    assert requests.train(run_with(request=finetune(dataset_id=9))).dataset_id == 9


def test_overrides_reach_the_job_and_the_rest_is_left_to_the_recipe():
    request = requests.train(run_with(request=finetune(lora_rank=8, num_epochs=2), prepare=DATASET))
    assert request.hyperparameters.model_dump(exclude_none=True) == {"lora_rank": 8, "num_epochs": 2}


def test_the_same_run_is_always_the_same_job_and_another_run_never():
    first = requests.train(run_with(prepare=DATASET))
    assert first == requests.train(run_with(prepare=DATASET))
    others = [run_with("run-2", prepare=DATASET), run_with(dag_id="train_model", prepare=DATASET)]
    assert len({first.job_name, *(requests.train(run).job_name for run in others)}) == 3


@pytest.mark.parametrize(
    "run_id", ["manual__2026-11-22T17:29:22.123456+00:00_Xy", "ci-" + "f" * 240, "한글 실행", "../../etc", "-"]
)
def test_any_run_id_makes_a_safe_name(run_id):
    request = requests.train(run_with(run_id, request=finetune(dataset_name="d" * 63), prepare=DATASET))
    assert len(request.job_name) <= 127


def test_the_smaller_dags_runs_have_ids_of_their_own():
    assert run_with("ci-1").pipeline_run_id == "ci-1"
    assert run_with("ci-1", dag_id="train_model").pipeline_run_id == "train_model/ci-1"


def test_a_missing_record_says_which_task_to_clear():
    with pytest.raises(NotFoundError, match="clear collect_train"):
        requests.evaluate(run_with())


def test_traffic_is_shared_as_asked():
    deployment = Deployment(arms=[endpoint(Arm.A, 1), endpoint(Arm.B, 2)], endpoint="http://127.0.0.1:1")
    request = requests.start_ab_test(run_with(request=finetune(traffic_to_new=0.2), deploy=deployment))
    assert (request.model_a_id, request.model_b_id) == (1, 2)
    assert (request.traffic_split.a, request.traffic_split.b) == (0.8, 0.2)


def test_a_given_dataset_version_skips_its_making():
    assert branches.dataset_source(run_with()) == "import_dataset"
    assert branches.dataset_source(run_with(request=finetune(dataset_id=1))) == "check_quality"


def test_the_number_of_gpus_chooses_the_task_with_as_many_slots():
    assert branches.gpu_count(run_with()) == "train"
    assert branches.gpu_count(run_with(request=finetune(num_gpus=2))) == "train_two_gpus"


@pytest.mark.parametrize(
    ("deploy", "approval_needed", "way"),
    [(True, False, "deploy"), (True, True, "approve_deployment"), (False, True, None), (False, False, None)],
)
def test_deployment_goes_the_way_that_was_asked(deploy, approval_needed, way):
    assert branches.deployment(run_with(request=finetune(deploy=deploy, approval_needed=approval_needed))) == way


def test_a_single_deployment_asks_for_approval_where_it_is_needed():
    assert branches.approval(run_with(request=DeployModelRequest(model_id=1))) == "deploy"
    assert (
        branches.approval(run_with(request=DeployModelRequest(model_id=1, approval_needed=True)))
        == "approve_deployment"
    )


def test_project_and_priority_of_the_run_go_with_its_jobs():
    run = run_with(request=finetune(project="tolls", priority="high"))
    assert requests.queueing(run) == {"project": "tolls", "priority": Priority.HIGH}
    assert requests.queueing(run_with(request=DeployModelRequest(model_id=1))) == {}


@pytest.mark.parametrize(
    ("chosen", "winner"), [(requests.PROMOTE_NEW_MODEL, Arm.B), (requests.KEEP_PRESENT_MODEL, Arm.A)]
)
def test_what_a_person_chose_in_airflow_ends_the_experiment(chosen, winner):
    left = {
        "validate_request": {"experiment_id": 7},
        "choose_winner": {"chosen_options": [chosen], "responded_by_user": {"id": "1", "name": "kim"}},
    }
    asked = requests.conclude_ab_test(RunRecords("conclude_ab_test", "experiment-7", left.get))
    assert (asked.experiment_id, asked.winner, asked.actor) == (7, winner, "kim")
    assert chosen in asked.reason


def test_a_replay_that_is_tried_again_goes_on_with_its_own():
    left = {"validate_request": {"experiment_id": 7, "again": True}}
    asked = requests.replay_ab_test(RunRecords("replay_ab_test", "manual-1", left.get))
    assert (asked.experiment_id, asked.again, asked.mark) == (7, True, "replay_ab_test/manual-1")
