"""`tuneway deploy`, `rollback` and `undeploy` as a person types them, over real servers."""

import json
import tempfile
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from contracts.enums import ExperimentStatus
from contracts.experiments import StartABTestRequest
from contracts.models import ModelVersion
from settings import load_settings
from stages.services import Services, open_services
from tests.deployment.supervised import running_supervisor
from tests.model_fixtures import tiny_models
from tests.ports import free_port
from tests.serving_api.running import table_of
from tests.stages.test_deploy import register

__all__ = ["tiny_models"]

ROLLBACK_BAR_SECONDS = 5.0


def run(*arguments: str, code: int = 0) -> str:
    """Standard output of the command."""
    from cli.main import app

    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    assert result.exit_code == code, (result.output, result.exception)
    return result.stdout


@pytest.fixture
def platform(database_url, monkeypatch) -> Iterator[Services]:
    """An installation with a supervisor and a database; MLflow is away."""
    with tempfile.TemporaryDirectory(prefix="tw-") as folder:
        monkeypatch.setenv("TUNEWAY_DATA_DIR", folder)
        monkeypatch.setenv("TUNEWAY_DATABASE_URL", database_url)
        monkeypatch.setenv("TUNEWAY_MODEL_SERVER_PORT", "24600")
        monkeypatch.setenv("TUNEWAY_MODEL_SERVER_BACKEND", "embedded")
        monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
        monkeypatch.setenv("TUNEWAY_LANGUAGE", "en")
        settings = load_settings()
        with running_supervisor(settings):
            yield open_services(settings)


def put_into_production(services: Services, version: ModelVersion, replaces: ModelVersion | None) -> None:
    with services.unit_of_work() as uow:
        uow.promotions.promote(
            version.model_id,
            replaces=None if replaces is None else replaces.model_id,
            actor="kim",
            reason="better",
            evaluation_id=None,
            is_override=True,
        )


@pytest.mark.slow
def test_a_version_goes_into_service_and_the_service_comes_back_to_the_one_before(platform, tiny_models):
    first = register(platform, tiny_models, tiny_models.adapter, content="aaaaaaaa1111")
    plan = json.loads(run("deploy", str(first.model_id), "--dry-run", "--json"))
    assert [(arm["served_model_name"], arm["server_runs"]) for arm in plan["arms"]][1] == ("rules-v1-aaaaaaaa", False)
    with platform.unit_of_work() as uow:
        assert [version.model_id for version in uow.models.newest()] == [first.model_id]
        assert uow.deployments.newest(first.model_id) is None
    deployed = json.loads(run("deploy", str(first.model_id), "--json"))
    assert deployed["arms"][1]["served_model_name"] == "rules-v1-aaaaaaaa"
    put_into_production(platform, first, None)
    second = register(platform, tiny_models, tiny_models.second_adapter, content="bbbbbbbb2222")
    run("deploy", "rules", "2")
    assert json.loads(run("model", "show", "rules@2", "--json"))["deployment"]["deployment"]["state"] == "serving"
    put_into_production(platform, second, first)
    with platform.unit_of_work() as uow:
        experiment = uow.experiments.start(
            StartABTestRequest(experiment_name="e", model_a_id=first.model_id, model_b_id=second.model_id)
        )
    back = json.loads(run("rollback", "rules", "--json"))
    assert (back["promotion"]["model_id"], back["was_loaded"]) == (first.model_id, True)
    assert back["seconds"] < ROLLBACK_BAR_SECONDS
    table = table_of(platform)
    assert table.default is not None
    assert table.default.model_id == first.model_id
    assert table.experiments == ()
    with platform.unit_of_work() as uow:
        assert uow.experiments.get(experiment.experiment_id).status is ExperimentStatus.STOPPED
    stopped = json.loads(run("undeploy", "rules@2", "--json"))
    assert stopped["deployment"]["state"] == "stopped"
    shown = run("model", "show", "rules@1")
    assert "the same, 50 prompts" in shown
    assert "parity" in shown


def test_settings_that_vllm_may_not_get_are_refused_with_what_is_allowed(platform, tiny_models):
    model = register(platform, tiny_models, tiny_models.adapter, content="aaaaaaaa1111")
    refused = json.loads(run("deploy", str(model.model_id), "--argument", "chat-template=mine.jinja", "--json", code=2))
    assert "chat-template" in json.dumps(refused)
