"""The developer guide's stage, added exactly as the page says, runs as a command and as a task."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY_ROOT
from tests.dags.diagram import edges
from tests.stages.finished_job import finished_job

GUIDE = REPOSITORY_ROOT / "docs" / "guides" / "add_a_stage.md"
PACKAGES = (
    "cli", "contracts", "dags", "dashboard", "data_prep", "database", "operators", "security", "settings", "stages", "storage",
)  # fmt: skip
READ_THE_DAG = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
from contracts.enums import PIPELINE_STAGES, StageName
from dashboard.texts import Language, Words
bag = DagBag(dag_folder=sys.argv[1])
assert not bag.import_errors, bag.import_errors
dag = bag.dags["prepare_dataset"]
arrows = [(task.task_id, after) for task in dag.tasks for after in task.downstream_task_ids]
assert StageName("measure_dataset") not in PIPELINE_STAGES
print("\\n" + json.dumps([dag.doc_md, arrows, *(Words(one).of(StageName("measure_dataset")) for one in Language)]))
"""


def put_before(path, place, lines):
    text = path.read_text(encoding="utf-8")
    assert text.count(place) == 1, place
    path.write_text(text.replace(place, lines + place), encoding="utf-8")


def put_in_place_of(path, place, lines):
    text = path.read_text(encoding="utf-8")
    assert text.count(place) == 1, place
    path.write_text(text.replace(place, lines), encoding="utf-8")


@pytest.fixture
def extended_repository(tmp_path):
    """A copy with what the guide says."""
    page = GUIDE.read_text(encoding="utf-8")
    (
        records, function, member, beside, catalogued, request, task, chain, diagram, korean, english,
    ) = re.findall(r"```(?:python|toml|text)\n(.*?)```", page, flags=re.DOTALL)  # fmt: skip
    copy = tmp_path / "repository"
    for package in PACKAGES:
        shutil.copytree(REPOSITORY_ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(REPOSITORY_ROOT / "pyproject.toml", copy / "pyproject.toml")
    (copy / "contracts" / "dataset_sizes.py").write_text(records, encoding="utf-8")
    (copy / "stages" / "measure_dataset.py").write_text(function, encoding="utf-8")
    put_before(copy / "contracts" / "enums.py", '    CHECK_QUALITY = "check_quality"\n', member)
    put_in_place_of(copy / "contracts" / "enums.py", "_BESIDE = (\n", f"_BESIDE = (\n{beside}")
    put_before(
        copy / "stages" / "catalog.py",
        "from contracts.datasets import (",
        "from contracts.dataset_sizes import DatasetSize, MeasureDatasetRequest\n",
    )
    put_before(copy / "stages" / "catalog.py", "        Stage(StageName.TRAIN,", catalogued)
    requests = copy / "operators" / "requests.py"
    put_before(
        requests, "from contracts.datasets import", "from contracts.dataset_sizes import MeasureDatasetRequest\n"
    )
    put_before(requests, "def check_quality(", f"{request}\n\n")
    dag = copy / "dags" / "prepare_dataset.py"
    put_before(dag, '    finish_run = FinishRunOperator(task_id="finish_run")\n', task)
    put_in_place_of(dag, "    chain(validate_request, import_dataset, prepare, check_quality, finish_run)\n", chain)
    put_in_place_of(dag, "    validate_request ─▶ import_dataset ─▶ prepare ─▶ check_quality ─▶ finish_run\n", diagram)
    for language, name in (("ko", korean), ("en", english)):
        put_before(copy / "dashboard" / "locales" / f"{language}.toml", 'import_dataset = "', name)
    return copy


def run(copy, *arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "TUNEWAY_LANGUAGE": "en"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.deep
@pytest.mark.slow
def test_the_guides_stage_answers_as_a_command_and_stands_in_its_dag(tmp_path, extended_repository, services):
    version = finished_job(services, base_model=tmp_path, output=tmp_path / "output")
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"dataset_id": version.dataset_id}), encoding="utf-8")

    done = run(extended_repository, "-m", "cli.main", "stage", "measure_dataset", str(request))
    assert done.returncode == 0, done.stderr[-4000:]
    files = [path for path in (services.settings.datasets_dir / "versions").rglob("*") if path.is_file()]
    assert json.loads(done.stdout) == {
        "dataset_id": version.dataset_id,
        "files": 3,
        "size_bytes": sum(path.stat().st_size for path in files),
    }

    read = run(extended_repository, "-c", READ_THE_DAG, str(extended_repository / "dags" / "prepare_dataset.py"))
    assert read.returncode == 0, read.stderr[-4000:]
    drawn, arrows, *names = json.loads(read.stdout.splitlines()[-1])
    assert edges(drawn) == {(before, after) for before, after in arrows}
    assert ("check_quality", "measure_dataset") in edges(drawn)
    assert names == ["크기 재기", "Measure"]
