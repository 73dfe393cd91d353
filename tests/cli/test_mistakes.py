"""A person's mistakes end with one message, before anything is started or written."""

import json
import os
import socket

import pytest

from tests.cli.command_line import tuneway
from tests.ports import free_port_base


def test_a_port_that_is_no_number_names_its_variable(tmp_path):
    ended = tuneway("status", PORT_BASE="eighteen", DATA_DIR=str(tmp_path))
    assert ended.returncode == 2
    assert "TUNEWAY_PORT_BASE" in ended.stderr
    assert "eighteen" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_base_above_the_range_is_refused(tmp_path):
    ended = tuneway("up", PORT_BASE="70000", DATA_DIR=str(tmp_path))
    assert ended.returncode == 2
    assert "TUNEWAY_PORT_BASE" in ended.stderr


def test_up_names_the_taken_port_and_its_owner_and_starts_nothing(tmp_path):
    base = free_port_base()
    data_dir = tmp_path / "data"
    with socket.socket() as other_program:
        other_program.bind(("127.0.0.1", base + 50))
        other_program.listen()
        ended = tuneway("up", DATA_DIR=str(data_dir), PORT_BASE=str(base))
    assert ended.returncode == 1
    assert f"Port {base + 50} (mlflow)" in ended.stderr
    assert f"PID {os.getpid()}" in ended.stderr
    assert "TUNEWAY_MLFLOW_PORT" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not data_dir.exists()


def test_up_refuses_a_disk_that_is_too_small_and_starts_nothing(tmp_path):
    data_dir = tmp_path / "data"
    ended = tuneway("up", DATA_DIR=str(data_dir), PORT_BASE=str(free_port_base()), MIN_FREE_DISK_GB="1000000")
    assert ended.returncode == 1
    assert "1000000.0 GB needed" in ended.stderr
    assert "TUNEWAY_DATA_DIR" in ended.stderr
    assert not data_dir.exists()


def test_up_says_that_the_sites_postgresql_cannot_be_reached(tmp_path):
    base = free_port_base()
    url = f"postgresql+psycopg://tuneway:secret-word@127.0.0.1:{base + 32}/tuneway"
    ended = tuneway(
        "up",
        DATA_DIR=str(tmp_path / "data"),
        PORT_BASE=str(base),
        DATABASE_URL=url,
        AIRFLOW_DATABASE_URL=url,
        MLFLOW_DATABASE_URL=url,
    )
    assert ended.returncode == 1
    assert f"cannot connect to 127.0.0.1:{base + 32}/tuneway" in ended.stderr
    assert "secret-word" not in ended.stderr
    assert not (tmp_path / "data").exists()


def test_a_site_database_needs_the_other_two_as_well(tmp_path, database_url):
    ended = tuneway(
        "doctor", "--json", DATA_DIR=str(tmp_path), PORT_BASE=str(free_port_base()), DATABASE_URL=database_url
    )
    blocking = [finding["detail"] for finding in json.loads(ended.stdout) if finding["verdict"] == "block"]
    assert ended.returncode == 1
    assert blocking == [
        "TUNEWAY_DATABASE_URL is set but TUNEWAY_AIRFLOW_DATABASE_URL is not",
        "TUNEWAY_DATABASE_URL is set but TUNEWAY_MLFLOW_DATABASE_URL is not",
    ]


def test_logs_of_an_unknown_process_suggests_the_right_name(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "mlflow.log").write_text("started\n", encoding="utf-8")
    ended = tuneway("logs", "mlfow", DATA_DIR=str(tmp_path))
    assert ended.returncode == 1
    assert "tuneway logs mlflow" in ended.stderr
    assert ended.stdout == ""


def test_up_of_an_unknown_process_lists_the_known_ones(tmp_path):
    ended = tuneway("up", "postgre", DATA_DIR=str(tmp_path / "data"), PORT_BASE=str(free_port_base()))
    assert ended.returncode == 1
    for known in ("postgres,", "mlflow,", "cerbos,", "airflow-api-server,", "dashboard"):
        assert known in ended.stderr


def test_an_unknown_stage_is_an_invalid_request(tmp_path):
    ended = tuneway("stage", "prepar", str(tmp_path / "request.json"), DATA_DIR=str(tmp_path))
    assert ended.returncode == 2
    assert "tuneway stage prepare" in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize(
    ("request_text", "part_of_message"),
    [
        ("{", "line 1"),
        ("[]", "PrepareRequest"),
        ('{"datset_id": 1}', "datset_id"),
    ],
)
def test_a_request_that_is_not_valid_says_where(tmp_path, request_text, part_of_message):
    path = tmp_path / "request.json"
    path.write_text(request_text, encoding="utf-8")
    ended = tuneway("stage", "prepare", str(path), DATA_DIR=str(tmp_path))
    assert ended.returncode == 2
    assert part_of_message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_a_misspelt_key_of_a_request_gets_the_right_one(tmp_path):
    path = tmp_path / "request.json"
    path.write_text(json.dumps({"dataset_name": "x", "inputfiles": ["a.csv"]}), encoding="utf-8")
    ended = tuneway("stage", "import_dataset", str(path), DATA_DIR=str(tmp_path))
    assert ended.returncode == 2
    assert "rename inputfiles to input_files" in ended.stderr


def test_a_missing_request_file_is_named(tmp_path):
    ended = tuneway("stage", "prepare", str(tmp_path / "none.json"), DATA_DIR=str(tmp_path))
    assert ended.returncode == 2
    assert str(tmp_path / "none.json") in ended.stderr


def test_errors_are_labelled_in_korean_by_default(tmp_path):
    ended = tuneway("stage", "prepar", "none.json", DATA_DIR=str(tmp_path), LANGUAGE="ko")
    assert "다음 조치" in ended.stderr
