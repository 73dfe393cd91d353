"""A fine-tuning job that was created through the admin API: the run is told its number, the request is in PostgreSQL.

    validate_request ─▶ check_quality ─▶ choose_gpus ─┬─▶ train ──────────┬─▶ collect_train ─▶ finish_run
                                                      └─▶ train_two_gpus ─┘

A job that has not begun when its run fails is marked as failed, with the reason.

**실패하면**

- `validate_request`: 작업이 시작 전에 멈추었거나, 기반 모델이나 레시피를 쓸 수 없습니다. 로그의 한 문장과 작업의 오류가 고칠 값을 알려 줍니다.
- `check_quality`: 데이터셋의 파일을 읽을 수 없습니다. 대시보드의 데이터 품질에서 사유를 확인하십시오.
- `train`: 로그 끝에 작업의 오류가 있습니다. 재시도와 Clear 모두 마지막 체크포인트에서 이어집니다.
"""

from airflow.sdk import TriggerRule, chain, dag

from contracts.enums import StageName
from contracts.pipeline import FinetuneJobRun
from operators import branches, preflight, requests
from operators.assets import FINETUNED_MODELS
from operators.branches import ChooseOperator
from operators.defaults import TASK_DEFAULTS
from operators.params import form_params
from operators.queued_job import FinishJobOperator, QueuedJobOperator
from operators.runner_job_operator import CollectOperator
from operators.stage_operator import StageOperator
from operators.validate_request import ValidateRequestOperator


@dag(
    dag_display_name="finetune_job (관리 API의 학습 작업)",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    is_paused_upon_creation=False,
    tags=["finetune"],
    default_args=TASK_DEFAULTS,
    params=form_params(FinetuneJobRun, demo=["job_id"]),
)
def finetune_job() -> None:
    validate_request = ValidateRequestOperator(
        task_id="validate_request", request=FinetuneJobRun, checks=[preflight.job_can_start]
    )
    check_quality = StageOperator(
        task_id="check_quality", stage=StageName.CHECK_QUALITY, request=requests.check_quality_of_job
    )
    choose_gpus = ChooseOperator(task_id="choose_gpus", choose=branches.gpu_count_of_queued_job)
    train = QueuedJobOperator(task_id="train", num_gpus=1)
    train_two_gpus = QueuedJobOperator(task_id="train_two_gpus", num_gpus=2)
    collect_train = CollectOperator(
        task_id="collect_train",
        stage=StageName.TRAIN,
        job_tasks=["train", "train_two_gpus"],
        outlets=[FINETUNED_MODELS],
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
    )
    finish_run = FinishJobOperator(task_id="finish_run")

    chain(validate_request, check_quality, choose_gpus, [train, train_two_gpus], collect_train, finish_run)


finetune_job()
