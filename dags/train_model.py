"""From a dataset version to a fine-tuned model.

    validate_request ─▶ check_quality ─▶ choose_gpus ─┬─▶ train ──────────┬─▶ collect_train ─▶ finish_run
                                                      └─▶ train_two_gpus ─┘

**실패하면**

- `validate_request`: 요청이 잘못되었습니다. 로그의 한 문장이 고칠 값을 알려 줍니다. 고쳐서 다시 실행하십시오.
- `check_quality`: 데이터가 검사를 통과하지 못했습니다. 대시보드의 데이터 품질에서 항목별 사유를 확인하십시오.
- `train`: 로그 끝에 작업의 오류가 있습니다. 재시도와 Clear 모두 마지막 체크포인트에서 이어집니다.
"""

from airflow.sdk import TriggerRule, chain, dag

from contracts.enums import StageName
from contracts.pipeline import FinetuneRequest
from operators import branches, preflight, requests
from operators.assets import FINETUNED_MODELS
from operators.branches import ChooseOperator
from operators.defaults import TASK_DEFAULTS
from operators.finish_run import FinishRunOperator
from operators.params import form_params
from operators.runner_job_operator import CollectOperator, RunnerJobOperator
from operators.stage_operator import StageOperator
from operators.validate_request import ValidateRequestOperator

FIELDS = (
    "dataset_name", "dataset_id", "base_model", "method", "recipe", "lora_rank", "lora_alpha", "learning_rate",
    "batch_size", "gradient_accumulation_steps", "num_epochs", "warmup_steps", "max_seq_length", "num_gpus",
    "project", "priority", "test_suite", "extra_suites", "seed",
)  # fmt: skip


@dag(
    dag_display_name="train_model (학습)",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    is_paused_upon_creation=False,
    tags=["finetune"],
    default_args=TASK_DEFAULTS,
    params=form_params(FinetuneRequest, FIELDS, demo=["dataset_id", "test_suite", "extra_suites"]),
)
def train_model() -> None:
    validate_request = ValidateRequestOperator(
        task_id="validate_request",
        request=FinetuneRequest,
        fields=FIELDS,
        checks=[
            preflight.suites_exist,
            preflight.dataset_exists,
            preflight.training_is_known,
            preflight.may_read_dataset,
        ],
    )
    check_quality = StageOperator(
        task_id="check_quality", stage=StageName.CHECK_QUALITY, request=requests.check_quality
    )
    choose_gpus = ChooseOperator(task_id="choose_gpus", choose=branches.gpu_count)
    train = RunnerJobOperator(task_id="train", stage=StageName.TRAIN, request=requests.train, num_gpus=1)
    train_two_gpus = RunnerJobOperator(
        task_id="train_two_gpus", stage=StageName.TRAIN, request=requests.train, num_gpus=2
    )
    collect_train = CollectOperator(
        task_id="collect_train",
        stage=StageName.TRAIN,
        job_tasks=["train", "train_two_gpus"],
        outlets=[FINETUNED_MODELS],
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
    )
    finish_run = FinishRunOperator(task_id="finish_run")

    chain(validate_request, check_quality, choose_gpus, [train, train_two_gpus], collect_train, finish_run)


train_model()
