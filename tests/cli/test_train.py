"""`tuneway train` as a person runs it."""

import json
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from contracts.enums import Method
from contracts.fitting import FitPlan, FitVerdict


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


@pytest.fixture
def base_model(tmp_path, monkeypatch):
    from tests.training.tiny_model import make_base_model

    monkeypatch.setenv("TUNEWAY_MODEL_ROOTS", json.dumps([str(tmp_path)]))
    return str(make_base_model(tmp_path / "tiny"))


@pytest.mark.slow
def test_a_plan_shows_each_part_and_the_verdict(run, base_model, monkeypatch):
    ended = run("plan", "demo-lora", "--base-model", base_model)
    assert ended.returncode == 0, ended.stderr
    for words in ("weights", "activations", "logits and loss", "total (tensors", "It fits into memory.", "Disk: "):
        assert words in ended.stdout
    as_json = json.loads(run("plan", "demo-lora", "--base-model", base_model, "--json").stdout)
    assert as_json["verdict"] == "fits"

    monkeypatch.setenv("TUNEWAY_GPU_MEMORY_GB", "1.2")
    ended = run("plan", "demo-lora", "--base-model", base_model, "--set", "batch_size=4096")
    assert "It does not fit into memory." in ended.stdout
    assert "The nearest that fits: batch_size" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("plan", "demo-lora"), "add --base-model"),
        (("plan", "demo-lora", "--base-model", "nothing"), "There is no such base model"),
        (("plan", "nothing.json"), "The request file cannot be used"),
    ],
)
def test_a_plan_that_cannot_be_made_says_what_to_do(run, arguments, told):
    ended = run(*arguments, "--json")
    assert ended.returncode == 2
    assert told in ended.stderr.replace("\n", " ")


def test_a_request_file_with_a_wrong_field_is_refused_by_its_name(run, tmp_path):
    request = tmp_path / "request.json"
    request.write_text('{"job_name": "a", "dataset_id": 1, "base_model": "b", "num_gpu": 2}')
    ended = run("plan", str(request))
    assert ended.returncode == 2
    assert "num_gpu" in ended.stderr


def test_a_request_file_is_planned_as_it_would_be_trained(run, tmp_path, monkeypatch):
    asked: dict[str, Any] = {}

    def plan(recipe, _services, **values):
        asked.update(values, recipe=recipe)
        return FitPlan(
            recipe=recipe, base_model=values["base_model"], method=Method.LORA, device="gpu", num_gpus=2, batch_size=4,
            gradient_accumulation_steps=1, sequence_tokens=512, memory=None, capacity_bytes=None,
            capacity_source="nobody knows", verdict=FitVerdict.UNKNOWN,
        )  # fmt: skip

    monkeypatch.setattr("stages.plan_training.plan_training", plan)
    request = tmp_path / "request.json"
    request.write_text(
        json.dumps(
            {"job_name": "a", "dataset_id": 7, "base_model": "b", "num_gpus": 2, "hyperparameters": {"batch_size": 4}}
        )
    )
    assert json.loads(run("plan", str(request), "--json").stdout)["verdict"] == "unknown"
    assert (asked["recipe"], asked["dataset_id"], asked["num_gpus"]) == ("demo-lora", 7, 2)
    assert asked["hyperparameters"].batch_size == 4
    assert "Whether it fits into memory is not known" in run("plan", str(request)).stdout
