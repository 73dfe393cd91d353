"""`tuneway train` as a person runs it."""

import json
from subprocess import CompletedProcess

import pytest
import yaml
from typer.testing import CliRunner


@pytest.fixture
def run(tmp_path, monkeypatch):
    """In this process, and without a database."""

    def command(*arguments):
        from cli.train import app

        for name, value in {"LANGUAGE": "en", "DATA_DIR": str(tmp_path)}.items():
            monkeypatch.setenv(f"TUNEWAY_{name}", value)
        ended = CliRunner().invoke(app, arguments)
        if ended.exception is not None and not isinstance(ended.exception, SystemExit):
            raise ended.exception
        return CompletedProcess(arguments, ended.exit_code, ended.stdout, ended.stderr)

    return command


def test_a_dry_run_prints_the_resolved_configuration(run):
    ended = run("start", "demo-lora", "--dry-run", "--set", "learning_rate=1e-4", "--set", "batch_size=4")
    assert ended.returncode == 0, ended.stderr
    told = yaml.safe_load(ended.stdout)
    assert told["recipe"]["learning_rate"] == 1e-4
    assert told["recipe"]["lora_rank"] == 8
    assert told["samples_per_step"] == 4
    as_json = run("start", "demo-lora", "--dry-run", "--json", "--set", "learning_rate=1e-4", "--set", "batch_size=4")
    assert json.loads(as_json.stdout) == told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("start", "demo-lorra", "--dry-run"), "did you mean demo-lora?"),
        (("start", "demo-lora", "--dry-run", "--set", "learning_rat=1"), "rename learning_rat to learning_rate"),
        (("start", "demo-lora", "--dry-run", "--set", "fast"), "--set learning_rate=1e-4"),
        (("start", "demo-lora", "--dry-run", "--method", "full"), "set method to lora"),
        (("start", "demo-lora", "--dry-run", "--base-model", "nothing"), "There is no such base model"),
        (("start", "demo-lora"), "add --dataset and --base-model"),
    ],
)
def test_a_mistake_is_told_with_what_to_do(run, arguments, told):
    ended = run(*arguments, "--json")
    assert ended.returncode == 2
    assert told in ended.stderr.replace("\n", " ")
    assert json.loads(ended.stdout)["error"]["code"] == "invalid_request"


def test_the_recipes_are_listed(run):
    assert "demo-lora: LoRA on the small demo model, on a CPU" in run("recipes").stdout
    assert json.loads(run("recipes", "--json").stdout)["demo-full"]["method"] == "full"
