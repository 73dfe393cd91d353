"""From documents to samples that people review.

    validate_request ─▶ generate_qa ─▶ finish_run

만든 표본은 대시보드의 표본 검토 화면에 올라갑니다. 검토한 뒤 `tuneway dataset curate`로 파일을 만들고, 그 파일을
`prepare_dataset`의 입력 파일로 넣으십시오.

**실패하면**

- `validate_request`: 요청이 잘못되었습니다. 로그의 한 문장이 고칠 값을 알려 줍니다. 고쳐서 다시 실행하십시오.
- `generate_qa`: 생성 모델이 답하지 않거나 문서를 읽을 수 없습니다. 고친 뒤 Clear 하면 답을 받은 문단은 다시 묻지 않습니다.
"""

from airflow.sdk import chain, dag

from contracts.enums import StageName
from contracts.pipeline import GenerateSamplesRequest
from operators import preflight, requests
from operators.defaults import TASK_DEFAULTS
from operators.finish_run import FinishRunOperator
from operators.params import form_params
from operators.stage_operator import StageOperator
from operators.validate_request import ValidateRequestOperator


@dag(
    dag_display_name="generate_qa (문서에서 표본 만들기)",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    is_paused_upon_creation=False,
    tags=["finetune"],
    default_args=TASK_DEFAULTS,
    params=form_params(GenerateSamplesRequest, demo=["documents"]),
)
def generate_qa() -> None:
    validate_request = ValidateRequestOperator(
        task_id="validate_request", request=GenerateSamplesRequest, checks=[preflight.documents_exist]
    )
    generate = StageOperator(task_id="generate_qa", stage=StageName.GENERATE_QA, request=requests.generate_qa)
    finish_run = FinishRunOperator(task_id="finish_run")

    chain(validate_request, generate, finish_run)


generate_qa()
