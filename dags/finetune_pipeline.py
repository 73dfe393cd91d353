"""From files to a fine-tuned, judged and served model.

    validate_request ─▶ choose_dataset ─┬─▶ import_dataset ─▶ prepare ─┬─▶ check_quality
                                        └──────────────────────────────┘

    check_quality ─▶ choose_gpus ─┬─▶ train ──────────┬─▶ collect_train ─▶ evaluate ─▶ collect_evaluation ─▶ gate
                                  └─▶ train_two_gpus ─┘

    gate ─┬─▶ register ─▶ choose_deployment ─┬─▶ approve_deployment ─┬─▶ deploy ─▶ start_ab_test ─▶ finish_run
          │                                  └───────────────────────┘
          └─▶ report_below_bar ─▶ finish_run

`train`, `train_two_gpus`, `evaluate`: jobs of the runner, in the pool `gpu`. They wait without a worker, and live on
when any part of Airflow is restarted.

**실패하면**

- `validate_request`: 요청이 잘못되었습니다. 로그의 한 문장이 고칠 값을 알려 줍니다. 고쳐서 다시 실행하십시오.
- `import_dataset`, `prepare`: 입력 파일을 읽을 수 없습니다. 파일을 고친 뒤 해당 작업을 Clear 하십시오.
- `check_quality`: 데이터가 검사를 통과하지 못했습니다. 대시보드의 데이터 품질에서 항목별 사유를 확인하십시오.
- `train`, `evaluate`: 로그 끝에 작업의 오류가 있습니다. 재시도와 Clear 모두 마지막 체크포인트에서 이어집니다.
- `gate`에서 `report_below_bar`로 갔다면 실패가 아닙니다. 합격 기준에 미치지 못한 사유가 그 로그에 있습니다.
- `deploy`: 서비스 중인 모델은 그대로입니다. `tuneway logs`로 모델 서버의 로그를 보고 Clear 하십시오.
"""

from airflow.sdk import Label, TriggerRule, chain, dag

from contracts.enums import StageName
from contracts.pipeline import FinetuneRequest
from operators import branches, preflight, requests
from operators.ask_person import ApproveDeploymentOperator
from operators.assets import DATASET_VERSIONS, FINETUNED_MODELS, MODEL_VERSIONS
from operators.branches import ChooseOperator
from operators.defaults import TASK_DEFAULTS
from operators.finish_run import FinishRunOperator
from operators.gate_operator import GateOperator, ReportVerdictOperator
from operators.params import form_params
from operators.runner_job_operator import CollectOperator, RunnerJobOperator
from operators.stage_operator import ModelStageOperator, StageOperator
from operators.validate_request import ValidateRequestOperator


@dag(
    dag_display_name="finetune_pipeline (파인튜닝 전체 과정)",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    is_paused_upon_creation=False,
    tags=["finetune"],
    default_args=TASK_DEFAULTS,
    params=form_params(FinetuneRequest, demo=["input_files", "split_unit", "test_suite", "extra_suites"]),
)
def finetune_pipeline() -> None:
    validate_request = ValidateRequestOperator(
        task_id="validate_request",
        request=FinetuneRequest,
        checks=[
            preflight.inputs_exist,
            preflight.suites_exist,
            preflight.dataset_exists,
            preflight.training_is_known,
            preflight.may_read_dataset,
        ],
    )

    choose_dataset = ChooseOperator(task_id="choose_dataset", choose=branches.dataset_source)
    import_dataset = StageOperator(
        task_id="import_dataset", stage=StageName.IMPORT_DATASET, request=requests.import_dataset
    )
    prepare = StageOperator(
        task_id="prepare", stage=StageName.PREPARE, request=requests.prepare, outlets=[DATASET_VERSIONS]
    )
    check_quality = StageOperator(
        task_id="check_quality",
        stage=StageName.CHECK_QUALITY,
        request=requests.check_quality,
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
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
    evaluate = RunnerJobOperator(task_id="evaluate", stage=StageName.EVALUATE, request=requests.evaluate, num_gpus=1)
    collect_evaluation = CollectOperator(task_id="collect_evaluation", stage=StageName.EVALUATE, job_tasks=["evaluate"])

    gate = GateOperator(
        task_id="gate",
        stage=StageName.GATE,
        request=requests.gate,
        when_passed="register",
        otherwise="report_below_bar",
    )
    report_below_bar = ReportVerdictOperator(task_id="report_below_bar")
    register = ModelStageOperator(
        task_id="register", stage=StageName.REGISTER, request=requests.register, outlets=[MODEL_VERSIONS]
    )

    choose_deployment = ChooseOperator(task_id="choose_deployment", choose=branches.deployment)
    approve_deployment = ApproveDeploymentOperator(
        task_id="approve_deployment",
        model_id=requests.registered_model_id,
        subject="새 모델을 서비스에 올리시겠습니까?",
        body="판정 결과는 gate 작업의 로그와 대시보드에서 확인할 수 있습니다. 거부하면 서비스 중인 모델이 그대로 유지됩니다.",
    )
    deploy = ModelStageOperator(
        task_id="deploy",
        stage=StageName.DEPLOY,
        request=requests.deploy,
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
    )
    start_ab_test = StageOperator(
        task_id="start_ab_test", stage=StageName.START_AB_TEST, request=requests.start_ab_test
    )
    finish_run = FinishRunOperator(task_id="finish_run")

    chain(validate_request, choose_dataset, import_dataset, prepare, check_quality)
    choose_dataset >> Label("기존 데이터셋 버전") >> check_quality
    chain(check_quality, choose_gpus, [train, train_two_gpus], collect_train, evaluate, collect_evaluation, gate)
    gate >> Label("합격") >> register
    gate >> Label("불합격 또는 판정 보류") >> report_below_bar
    chain(register, choose_deployment, approve_deployment, deploy, start_ab_test)
    choose_deployment >> Label("승인 불필요") >> deploy
    [start_ab_test, report_below_bar] >> finish_run


finetune_pipeline()
