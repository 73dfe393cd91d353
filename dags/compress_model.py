"""Make a finished job's model smaller, ask it and its parent the same questions, and register what the size costs.

    validate_request ─▶ compress ─▶ collect_compression ─▶ evaluate ─▶ collect_evaluation ─▶ report_cost ─▶ gate

    gate ─┬─▶ register ─────────┬─▶ finish_run
          └─▶ report_below_bar ─┘

`report_cost`는 원본과 압축한 모델의 정확도, 잃은 정확도, 크기와 생성 속도의 비를 한국어와 영어로 남깁니다.

**실패하면**

- `validate_request`: 원본 작업이나 압축 방식이 잘못되었습니다. 로그의 한 문장이 고칠 값을 알려 줍니다.
- `compress`: 로그 끝에 작업의 오류가 있습니다. Clear 하면 처음부터 다시 압축합니다. 증류는 마지막 체크포인트에서 이어집니다.
- `evaluate`: 비트를 줄인 모델은 vLLM만 제공할 수 있습니다. `tuneway doctor`로 vLLM을 확인하십시오.
"""

from airflow.sdk import Label, chain, dag

from contracts.compression import CompressModelRequest
from contracts.enums import StageName
from operators import preflight, requests
from operators.assets import MODEL_VERSIONS
from operators.defaults import TASK_DEFAULTS
from operators.finish_run import FinishRunOperator
from operators.gate_operator import GateOperator, ReportCompressionOperator, ReportVerdictOperator
from operators.params import form_params
from operators.runner_job_operator import CollectOperator, RunnerJobOperator
from operators.stage_operator import ModelStageOperator
from operators.validate_request import ValidateRequestOperator


@dag(
    dag_display_name="compress_model (모델 압축)",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    is_paused_upon_creation=False,
    tags=["finetune"],
    default_args=TASK_DEFAULTS,
    params=form_params(CompressModelRequest, demo=["job_name", "parent_job_id", "test_suite", "extra_suites"]),
)
def compress_model() -> None:
    validate_request = ValidateRequestOperator(
        task_id="validate_request",
        request=CompressModelRequest,
        checks=[preflight.suites_exist, preflight.compression_is_possible, preflight.parents_suite_is_asked],
    )
    compress = RunnerJobOperator(
        task_id="compress", stage=StageName.COMPRESS_MODEL, request=requests.compress, num_gpus=1
    )
    collect_compression = CollectOperator(
        task_id="collect_compression", stage=StageName.COMPRESS_MODEL, job_tasks=["compress"]
    )
    evaluate = RunnerJobOperator(
        task_id="evaluate", stage=StageName.EVALUATE, request=requests.evaluate_compressed, num_gpus=1
    )
    collect_evaluation = CollectOperator(task_id="collect_evaluation", stage=StageName.EVALUATE, job_tasks=["evaluate"])
    report_cost = ReportCompressionOperator(task_id="report_cost")
    gate = GateOperator(
        task_id="gate",
        stage=StageName.GATE,
        request=requests.gate_compressed,
        when_passed="register",
        otherwise="report_below_bar",
    )
    report_below_bar = ReportVerdictOperator(task_id="report_below_bar")
    register = ModelStageOperator(
        task_id="register", stage=StageName.REGISTER, request=requests.register_compressed, outlets=[MODEL_VERSIONS]
    )
    finish_run = FinishRunOperator(task_id="finish_run")

    chain(validate_request, compress, collect_compression, evaluate, collect_evaluation, report_cost, gate)
    gate >> Label("합격") >> register
    gate >> Label("불합격 또는 판정 보류") >> report_below_bar
    [register, report_below_bar] >> finish_run


compress_model()
