"""`tuneway stage`: the record on standard output, and nothing but the record."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli.run_stage import validated
from contracts.errors import InvalidRequestError
from contracts.experiments import StartABTestRequest
from tests.cli.command_line import tuneway

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.slow
def test_a_stage_writes_its_record_and_nothing_else_on_standard_output(tmp_path, database_url):
    rows = [
        {"question": f"통행료 안내 {number}번은 무엇입니까?", "answer": f"{number}번 안내입니다."}
        for number in range(3)
    ]
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "rows.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    request = tmp_path / "request.json"
    request.write_text(
        json.dumps(
            {
                "dataset_name": "tolls",
                "input_files": [str(inbox / "rows.json")],
                "columns": {"question": "question", "answer": "answer"},
            }
        ),
        encoding="utf-8",
    )
    ended = tuneway("stage", "import_dataset", str(request), DATA_DIR=str(tmp_path), DATABASE_URL=database_url)
    assert ended.returncode == 0, ended.stderr
    record = json.loads(ended.stdout)
    assert record["files"][0]["rows"] == 3


def test_what_libraries_and_subprocesses_print_goes_to_standard_error():
    code = (
        "import subprocess\n"
        "from cli.run_stage import only_the_result_on_stdout\n"
        "with only_the_result_on_stdout() as out:\n"
        "    print('from a library')\n"
        "    subprocess.run(['echo', 'from a subprocess'])\n"
        "    out.write('the record')\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == "the record"
    assert sorted(ended.stderr.splitlines()) == ["from a library", "from a subprocess"]


def test_looking_at_the_state_loads_no_heavy_library():
    code = (
        "import sys, cli.main, cli.status, cli.lifecycle, cli.doctor\n"
        "print(sorted({'torch', 'airflow', 'mlflow', 'transformers', 'streamlit', 'pandas'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_fields_that_do_not_go_together_are_told_by_one_sentence_and_the_whole_request():
    request = {"experiment_name": "winter", "model_a_id": 3}
    with pytest.raises(InvalidRequestError) as caught:
        validated(StartABTestRequest, request)
    (sentence,) = re.findall(r"The StartABTestRequest is not valid: (.*)", caught.value.what)
    assert sentence == "model_a_id and model_b_id are both needed where no arms are named"
    assert "(request)" not in caught.value.sentence()
    assert caught.value.sentence().count(sentence) == 1
    assert json.loads(str(caught.value.value)) == request
    assert caught.value.allowed.startswith("the fields ")


def test_each_wrong_field_is_named_with_its_value_and_what_to_do():
    with pytest.raises(InvalidRequestError) as caught:
        validated(StartABTestRequest, {"experiment_nam": "winter", "model_a_id": "three", "model_b_id": 4})
    assert 'model_a_id = "three"' in str(caught.value.value)
    assert "rename experiment_nam to experiment_name" in caught.value.next_step
    assert "add experiment_name" in caught.value.next_step
    assert "correct model_a_id" in caught.value.next_step
