"""The stages and their order are a promise to CI and to the dashboard."""

from itertools import pairwise

from contracts.enums import PIPELINE_STAGES


def test_every_stage_is_a_task_of_its_name(dag_bag):
    dag = dag_bag.dags["finetune_pipeline"]
    assert {stage.value for stage in PIPELINE_STAGES} <= set(dag.task_ids)


def test_the_stages_come_in_their_order(dag_bag):
    dag = dag_bag.dags["finetune_pipeline"]
    order = [stage.value for stage in PIPELINE_STAGES]
    for before, after in pairwise(order):
        assert after in {task.task_id for task in dag.get_task(before).get_flat_relatives(upstream=False)}


def test_one_gpu_takes_one_slot_and_two_take_two(dag_bag):
    dag = dag_bag.dags["finetune_pipeline"]
    assert dag.get_task("train").pool_slots == 1
    assert dag.get_task("train_two_gpus").pool_slots == 2


def test_its_form_has_every_field_of_the_request(dag_bag):
    from contracts.pipeline import FinetuneRequest

    assert set(dag_bag.dags["finetune_pipeline"].params) == set(FinetuneRequest.model_fields)


def test_its_form_starts_with_files_that_exist(dag_bag):
    from operators.params import DEMO_VALUES
    from settings.model import REPOSITORY_ROOT

    names = [*DEMO_VALUES["input_files"], DEMO_VALUES["test_suite"], *DEMO_VALUES["extra_suites"]]
    missing = [name for name in names if not (REPOSITORY_ROOT / name).is_file()]
    assert missing == []
