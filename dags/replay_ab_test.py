"""Put the same questions to both models of an A/B test and compare the answers in pairs, when traffic is thin.

    validate_request ─▶ replay ─▶ finish_run

두 모델은 이미 서비스 중이므로 GPU를 차지하지 않습니다. 결과는 대시보드의 A/B 테스트 화면에 실시간 결과와 나란히 나오며,
이 결과만으로 모델이 바뀌는 일은 없습니다. 질문 수는 시작할 때 정해지고 판정은 모두 답한 뒤 한 번만 합니다.

**실패하면**

- `validate_request`: 그런 A/B 테스트가 없거나, 모델이 배포되어 있지 않거나, 물을 질문이 모자랍니다. 로그의 한 문장이 고칠 값을 알려 줍니다.
- `replay`: 모델 서버나 심사 모델이 답하지 않습니다. 고친 뒤 Clear 하면 받아 둔 답은 다시 묻지 않습니다.
"""

from airflow.sdk import chain, dag

from contracts.enums import StageName
from contracts.experiment_replays import AskReplayRequest
from operators import preflight, requests
from operators.defaults import TASK_DEFAULTS
from operators.finish_run import FinishRunOperator
from operators.params import form_params
from operators.stage_operator import StageOperator
from operators.validate_request import ValidateRequestOperator


@dag(
    dag_display_name="replay_ab_test (A/B 테스트 섀도 리플레이)",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    is_paused_upon_creation=False,
    tags=["ab_test"],
    default_args=TASK_DEFAULTS,
    params=form_params(AskReplayRequest, demo=["experiment_id"]),
)
def replay_ab_test() -> None:
    validate_request = ValidateRequestOperator(
        task_id="validate_request", request=AskReplayRequest, checks=[preflight.replay_is_possible]
    )
    replay = StageOperator(task_id="replay", stage=StageName.REPLAY_AB_TEST, request=requests.replay_ab_test)
    finish_run = FinishRunOperator(task_id="finish_run")

    chain(validate_request, replay, finish_run)


replay_ab_test()
