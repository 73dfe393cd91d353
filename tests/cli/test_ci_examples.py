"""The examples for CI are examples of what there is."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from contracts.pipeline import FinetuneRequest
from tests.conftest import REPOSITORY_ROOT

EXAMPLES = REPOSITORY_ROOT / "docs" / "ci"


@pytest.mark.parametrize("name", ["gitlab-ci.yml", "github-actions.yml"])
def test_the_yaml_can_be_read_and_calls_our_door(name):
    loaded = yaml.safe_load((EXAMPLES / name).read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    assert re.search(r"trigger\.sh finetune_pipeline|tuneway pipeline trigger finetune_pipeline", json.dumps(loaded))


def test_the_gitlab_job_tells_below_the_bar_from_failed():
    from cli.pipeline import ExitCode

    loaded = yaml.safe_load((EXAMPLES / "gitlab-ci.yml").read_text(encoding="utf-8"))
    assert loaded["finetune"]["allow_failure"]["exit_codes"] == [ExitCode.BELOW_BAR]


@pytest.mark.parametrize("name", ["finetune.json", "prepare.json"])
def test_the_requests_are_requests(name):
    request = FinetuneRequest.model_validate_json((EXAMPLES / name).read_text(encoding="utf-8"))
    assert all((REPOSITORY_ROOT / file).is_file() for file in request.input_files)


def test_every_option_of_the_examples_exists():
    from typer.testing import CliRunner

    from cli.pipeline import app

    shown = CliRunner().invoke(app, ["trigger", "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
    used = set()
    for path in [EXAMPLES / "github-actions.yml", REPOSITORY_ROOT / "docs" / "ci.md"]:
        for command in re.findall(r"tuneway pipeline trigger(?:\\\n|[^\n])*", path.read_text(encoding="utf-8")):
            without_inner_commands = re.sub(r"\$\([^)]*\)", "", command)
            used |= set(re.findall(r"--[a-z-]+", without_inner_commands))
    assert used >= {"--conf", "--wait", "--url", "--run-id"}
    assert {option for option in used if option not in shown} == set()


def test_the_table_of_exit_codes_is_complete():
    from cli.pipeline import ExitCode

    table = (REPOSITORY_ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    assert {int(code) for code in re.findall(r"^\| (\d) \|", table, flags=re.MULTILINE)} == set(ExitCode)


@pytest.mark.skipif(shutil.which("dash") is None, reason="needs dash, the plainest POSIX shell, to parse the script")
def test_the_script_is_posix():
    subprocess.run(["dash", "-n", str(EXAMPLES / "trigger.sh")], check=True)


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["finetune_pipeline"], {}, "usage"),
        (["finetune_pipeline", "missing.json", "r"], {"AIRFLOW_URL": "http://127.0.0.1:1"}, "cannot read missing.json"),
        (["finetune_pipeline", "finetune.json", "a b"], {"AIRFLOW_URL": "http://127.0.0.1:1"}, "RUN_ID"),
        (
            ["finetune_pipeline", "finetune.json", "r"],
            {"AIRFLOW_URL": "http://127.0.0.1:1", "AIRFLOW_USER": "ci", "AIRFLOW_PASSWORD_FILE": "prepare.json"},
            "did not give a token",
        ),
    ],
)
def test_the_script_refuses_with_a_sentence(arguments, environment, words):
    done = subprocess.run(
        ["sh", "trigger.sh", *arguments],
        cwd=EXAMPLES,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert words in done.stderr
