"""Each minute: look at the running A/B tests, end those that have decided, ask people where a test's policy says so.

    look ─▶ ask_person

`look` promotes a winner, rolls back a harmful model, takes losers out of service, and tells people. The router has the same
look made at once when users meet errors or rate low. Where a promotion waits for an approval,
`ask_person` starts one run of `conclude_ab_test` for that test; there it is asked. Runs that find nothing cost a second.

**실패하면**

- `look`: 다음 1분 뒤의 실행이 중단된 곳에서 이어서 처리하므로 따로 할 일은 없습니다. 계속 실패하면 로그의 한 문장을 확인하십시오.
- `ask_person`: `conclude_ab_test`가 일시 정지되어 있지 않은지 확인하십시오. `tuneway ab conclude`로도 답할 수 있습니다.
"""

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import dag

from contracts.experiment_decisions import MonitorABTestRequest
from operators.defaults import TASK_DEFAULTS
from operators.monitor_operator import MonitorABTestOperator
from operators.params import form_params


@dag(
    dag_display_name="monitor_ab_test (A/B 테스트 점검)",
    doc_md=__doc__,
    schedule="* * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=15),
    is_paused_upon_creation=False,
    tags=["ab_test"],
    default_args=TASK_DEFAULTS,
    params=form_params(MonitorABTestRequest),
)
def monitor_ab_test() -> None:
    look = MonitorABTestOperator(task_id="look")
    TriggerDagRunOperator.partial(
        task_id="ask_person", trigger_dag_id="conclude_ab_test", skip_when_already_exists=True
    ).expand_kwargs(look.output)


monitor_ab_test()
