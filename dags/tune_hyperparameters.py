"""Look for the best numbers of a recipe: many trainings, of which those that fall behind are ended early.

    validate_request ─▶ start_sweep ─▶ run_trial ─▶ finish_sweep ─▶ finish_run

`run_trial` is mapped: one task a trial, as many at once as the pool `gpu` has slots free. The best trial becomes a
recipe of the sweep's name.

**실패하면**

- `validate_request`: 탐색 공간이나 목표가 잘못되었습니다. 로그의 한 문장이 고칠 값을 알려 줍니다.
- `run_trial`: 작업이 중단되면 마지막 체크포인트에서 이어서 학습합니다. 그래도 실패한 시행은 포기하고 나머지를 계속합니다.
- `finish_sweep`: 끝까지 학습한 시행이 없습니다. 로그에 마지막 실패의 이유가 있습니다.

같은 이름과 같은 요청으로 다시 실행하면 끝난 시행은 건너뛰고 이어서 진행합니다.
"""

from airflow.sdk import TriggerRule, chain, dag

from contracts.sweeps import SweepRequest
from operators import preflight
from operators.defaults import GPU_POOL, TASK_DEFAULTS, Queue
from operators.finish_run import FinishRunOperator
from operators.params import form_params
from operators.sweep_operators import FinishSweepOperator, StartSweepOperator, TrialOperator
from operators.validate_request import ValidateRequestOperator


@dag(
    dag_display_name="tune_hyperparameters (하이퍼파라미터 탐색)",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    is_paused_upon_creation=False,
    tags=["finetune"],
    default_args=TASK_DEFAULTS,
    params=form_params(SweepRequest, demo=["dataset_id", "search_space"]),
)
def tune_hyperparameters() -> None:
    validate_request = ValidateRequestOperator(
        task_id="validate_request", request=SweepRequest, checks=[preflight.sweep_is_possible]
    )
    start_sweep = StartSweepOperator(task_id="start_sweep")
    run_trial = TrialOperator.partial(
        task_id="run_trial", num_gpus=1, pool=GPU_POOL, pool_slots=1, queue=Queue.GPU
    ).expand(slot=start_sweep.output)
    finish_sweep = FinishSweepOperator(task_id="finish_sweep", trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
    finish_run = FinishRunOperator(task_id="finish_run")

    chain(validate_request, start_sweep)
    chain(run_trial, finish_sweep, finish_run)


tune_hyperparameters()
