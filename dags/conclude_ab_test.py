"""Ask a person how an A/B test ends, and end it that way.

    validate_request ─▶ choose_winner ─▶ conclude ─▶ finish_run

`monitor_ab_test` starts a run for each test whose promotion waits for an approval. The question stays open for as long
as it takes; meanwhile both models go on answering. An answer on the dashboard or by `tuneway ab conclude` closes the
question here too: what follows is then skipped.

**실패하면**

- `validate_request`: 그런 A/B 테스트가 없거나 이미 끝났습니다.
- `conclude`: 그 사이에 다른 곳에서 다르게 답했거나, 새 모델이 게이트를 통과하지 못했습니다. 로그의 한 문장이 다음에 할 일을 알려 줍니다.
"""

from airflow.sdk import chain, dag

from contracts.enums import StageName
from contracts.experiment_decisions import AskABTestRequest
from operators import preflight, requests
from operators.ask_person import AskPersonOperator
from operators.defaults import TASK_DEFAULTS
from operators.finish_run import FinishRunOperator
from operators.params import form_params
from operators.stage_operator import StageOperator
from operators.validate_request import ValidateRequestOperator


@dag(
    dag_display_name="conclude_ab_test (A/B 테스트 종료)",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    is_paused_upon_creation=False,
    tags=["ab_test"],
    default_args=TASK_DEFAULTS,
    params=form_params(AskABTestRequest, demo=["experiment_id"]),
)
def conclude_ab_test() -> None:
    validate_request = ValidateRequestOperator(
        task_id="validate_request", request=AskABTestRequest, checks=[preflight.experiment_runs]
    )
    choose_winner = AskPersonOperator(
        task_id="choose_winner",
        subject="A/B 테스트를 어떻게 끝내시겠습니까?",
        body="판정과 근거는 대시보드의 A/B 테스트 화면이나 `tuneway ab results`에서 확인할 수 있습니다. "
        "현재 모델을 유지하면 새 모델은 더 이상 사용자에게 답하지 않습니다.",
        options=[requests.PROMOTE_NEW_MODEL, requests.KEEP_PRESENT_MODEL],
    )
    conclude = StageOperator(task_id="conclude", stage=StageName.CONCLUDE_AB_TEST, request=requests.conclude_ab_test)
    finish_run = FinishRunOperator(task_id="finish_run")

    chain(validate_request, choose_winner, conclude, finish_run)


conclude_ab_test()
