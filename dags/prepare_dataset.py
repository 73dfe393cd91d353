"""From files to a checked dataset version.

    validate_request ─▶ import_dataset ─▶ prepare ─▶ check_quality ─▶ finish_run

손으로, API로, 또는 파일로 시작합니다. `<data_dir>/inbox/auto`에 파일을 넣으면 이름 앞부분의 데이터셋으로 준비를 시작하고
(`tolls__2026-11.csv`는 `tolls`), 파일은 `taken/<날짜>`로 옮깁니다. 다른 프로그램은 애셋 `input_files`에 이벤트를 보내면 됩니다. 이벤트의
extra가 요청입니다: `{"dataset_name": "tolls", "input_files": ["…"]}`.

**실패하면**

- `validate_request`: 요청이 잘못되었습니다. 로그의 한 문장이 고칠 값을 알려 줍니다. 고쳐서 다시 실행하십시오.
- `import_dataset`, `prepare`: 입력 파일을 읽을 수 없습니다. 파일을 고친 뒤 해당 작업을 Clear 하십시오.
- `check_quality`: 데이터가 검사를 통과하지 못했습니다. 대시보드의 데이터 품질에서 항목별 사유를 확인하십시오.
"""

from airflow.sdk import chain, dag

from contracts.enums import StageName
from contracts.pipeline import FinetuneRequest
from operators import preflight, requests
from operators.assets import DATASET_VERSIONS
from operators.defaults import TASK_DEFAULTS
from operators.drop_folder import INPUT_FILES
from operators.finish_run import FinishRunOperator
from operators.params import form_params
from operators.stage_operator import StageOperator
from operators.validate_request import ValidateRequestOperator

FIELDS = (
    "dataset_name", "input_files", "columns", "max_rows", "train_ratio", "val_ratio", "test_ratio", "split_unit", "policy",
    "near_duplicate_threshold", "min_quality_score", "min_answer_characters", "branch",
    "test_suite", "extra_suites", "seed",
)  # fmt: skip


@dag(
    dag_display_name="prepare_dataset (데이터셋 준비)",
    doc_md=__doc__,
    schedule=[INPUT_FILES],
    catchup=False,
    is_paused_upon_creation=False,
    tags=["finetune"],
    default_args=TASK_DEFAULTS,
    params=form_params(FinetuneRequest, FIELDS, demo=["input_files", "split_unit", "test_suite", "extra_suites"]),
)
def prepare_dataset() -> None:
    validate_request = ValidateRequestOperator(
        task_id="validate_request",
        request=FinetuneRequest,
        fields=FIELDS,
        checks=[preflight.inputs_exist, preflight.suites_exist],
    )
    import_dataset = StageOperator(
        task_id="import_dataset", stage=StageName.IMPORT_DATASET, request=requests.import_dataset
    )
    prepare = StageOperator(
        task_id="prepare", stage=StageName.PREPARE, request=requests.prepare, outlets=[DATASET_VERSIONS]
    )
    check_quality = StageOperator(
        task_id="check_quality", stage=StageName.CHECK_QUALITY, request=requests.check_quality
    )
    finish_run = FinishRunOperator(task_id="finish_run")

    chain(validate_request, import_dataset, prepare, check_quality, finish_run)


prepare_dataset()
