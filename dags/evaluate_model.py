"""Judge a finished fine-tuning job again: on other test cases, or against another bar.

    validate_request ─▶ evaluate ─▶ collect_evaluation ─▶ gate ─▶ report_verdict ─▶ finish_run

The run ends green whatever the verdict is; `report_verdict` says it.

**실패하면**

- `validate_request`: 작업 번호나 문항 파일이 잘못되었습니다. 로그의 한 문장이 고칠 값을 알려 줍니다.
- `evaluate`: 로그 끝에 작업의 오류가 있습니다. 해당 작업을 Clear 하면 다시 묻습니다.
"""

from airflow.sdk import chain, dag

from contracts.enums import StageName
from contracts.pipeline import EvaluateModelRequest
from operators import preflight, requests
from operators.defaults import TASK_DEFAULTS
from operators.finish_run import FinishRunOperator
from operators.gate_operator import ReportVerdictOperator
from operators.params import form_params
from operators.runner_job_operator import CollectOperator, RunnerJobOperator
from operators.stage_operator import StageOperator
from operators.validate_request import ValidateRequestOperator


@dag(
    dag_display_name="evaluate_model (평가)",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    is_paused_upon_creation=False,
    tags=["finetune"],
    default_args=TASK_DEFAULTS,
    params=form_params(EvaluateModelRequest, demo=["job_id", "test_suite", "extra_suites"]),
)
def evaluate_model() -> None:
    validate_request = ValidateRequestOperator(
        task_id="validate_request",
        request=EvaluateModelRequest,
        checks=[preflight.suites_exist, preflight.job_is_complete, preflight.may_read_job],
    )
    evaluate = RunnerJobOperator(
        task_id="evaluate", stage=StageName.EVALUATE, request=requests.evaluate_given_job, num_gpus=1
    )
    collect_evaluation = CollectOperator(task_id="collect_evaluation", stage=StageName.EVALUATE, job_tasks=["evaluate"])
    gate = StageOperator(task_id="gate", stage=StageName.GATE, request=requests.gate_given_job)
    report_verdict = ReportVerdictOperator(task_id="report_verdict")
    finish_run = FinishRunOperator(task_id="finish_run")

    chain(validate_request, evaluate, collect_evaluation, gate, report_verdict, finish_run)


evaluate_model()
