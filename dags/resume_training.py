"""Go on with a training that was stopped or has failed, from its last checkpoint or from a chosen one.

    validate_request ─▶ choose_gpus ─┬─▶ train ──────────┬─▶ collect_train ─▶ finish_run
                                     └─▶ train_two_gpus ─┘

Checkpoints after the chosen one are set aside, not lost: `tuneway job show` lists them.

**실패하면**

- `validate_request`: 작업이 아직 실행 중이거나 이미 끝났거나, 그런 체크포인트가 없습니다. 로그의 한 문장이 고칠 값을 알려 줍니다.
- `train`: 로그 끝에 작업의 오류가 있습니다. 재시도와 Clear 모두 마지막 체크포인트에서 이어집니다.
"""

from airflow.sdk import TriggerRule, chain, dag

from contracts.enums import StageName
from contracts.pipeline import ResumeTrainingRequest
from operators import branches, preflight
from operators.assets import FINETUNED_MODELS
from operators.branches import ChooseOperator
from operators.defaults import TASK_DEFAULTS
from operators.finish_run import FinishRunOperator
from operators.params import form_params
from operators.runner_job_operator import CollectOperator, ResumeJobOperator
from operators.validate_request import ValidateRequestOperator


@dag(
    dag_display_name="resume_training (이어서 학습)",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    is_paused_upon_creation=False,
    tags=["finetune"],
    default_args=TASK_DEFAULTS,
    params=form_params(ResumeTrainingRequest, demo=["job_id"]),
)
def resume_training() -> None:
    validate_request = ValidateRequestOperator(
        task_id="validate_request",
        request=ResumeTrainingRequest,
        checks=[preflight.job_can_go_on, preflight.may_resume_job],
    )
    choose_gpus = ChooseOperator(task_id="choose_gpus", choose=branches.gpu_count_of_job)
    train = ResumeJobOperator(task_id="train", num_gpus=1)
    train_two_gpus = ResumeJobOperator(task_id="train_two_gpus", num_gpus=2)
    collect_train = CollectOperator(
        task_id="collect_train",
        stage=StageName.TRAIN,
        job_tasks=["train", "train_two_gpus"],
        outlets=[FINETUNED_MODELS],
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
    )
    finish_run = FinishRunOperator(task_id="finish_run")

    chain(validate_request, choose_gpus, [train, train_two_gpus], collect_train, finish_run)


resume_training()
