"""Put a registered model version into service beside the present one, and compare the two on live traffic.

    validate_request ─▶ choose_approval ─┬─▶ approve_deployment ─┬─▶ deploy ─▶ start_ab_test ─▶ finish_run
                                         └───────────────────────┘

**실패하면**

- `validate_request`: 모델 버전 번호가 잘못되었습니다. 대시보드의 모델 목록에서 번호를 확인하십시오.
- `deploy`: 서비스 중인 모델은 그대로입니다. `tuneway logs`로 모델 서버의 로그를 보고 Clear 하십시오.
"""

from airflow.sdk import Label, TriggerRule, chain, dag

from contracts.enums import StageName
from contracts.pipeline import DeployModelRequest
from operators import branches, preflight, requests
from operators.ask_person import ApproveDeploymentOperator
from operators.branches import ChooseOperator
from operators.defaults import TASK_DEFAULTS
from operators.finish_run import FinishRunOperator
from operators.params import form_params
from operators.stage_operator import ModelStageOperator, StageOperator
from operators.validate_request import ValidateRequestOperator


@dag(
    dag_display_name="deploy_model (배포)",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    is_paused_upon_creation=False,
    tags=["finetune"],
    default_args=TASK_DEFAULTS,
    params=form_params(DeployModelRequest, demo=["model_id"]),
)
def deploy_model() -> None:
    validate_request = ValidateRequestOperator(
        task_id="validate_request", request=DeployModelRequest, checks=[preflight.model_exists, preflight.may_deploy]
    )
    choose_approval = ChooseOperator(task_id="choose_approval", choose=branches.approval)
    approve_deployment = ApproveDeploymentOperator(
        task_id="approve_deployment",
        model_id=requests.given_model_id,
        subject="모델을 서비스에 올리시겠습니까?",
        body="모델 버전의 평가 결과는 대시보드에서 확인할 수 있습니다. 거부하면 서비스 중인 모델이 그대로 유지됩니다.",
    )
    deploy = ModelStageOperator(
        task_id="deploy",
        stage=StageName.DEPLOY,
        request=requests.deploy_given_model,
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
    )
    start_ab_test = StageOperator(
        task_id="start_ab_test", stage=StageName.START_AB_TEST, request=requests.start_ab_test_of_given_model
    )
    finish_run = FinishRunOperator(task_id="finish_run")

    chain(validate_request, choose_approval, approve_deployment, deploy, start_ab_test, finish_run)
    choose_approval >> Label("승인 불필요") >> deploy


deploy_model()
