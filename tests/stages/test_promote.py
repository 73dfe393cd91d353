"""Into production only by a passed gate or an audited override; PostgreSQL decides, MLflow is made to follow."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from contracts.enums import CataloguePart, GateDecision, ModelFormat, ModelStatus
from contracts.errors import ConflictError
from contracts.evaluation import GateRequest
from contracts.models import ModelVersion
from contracts.promotions import PromoteRequest, RollbackRequest, StatusRequest
from database.models import AuditLog
from registry.catalog import read_versions
from registry.client import open_client
from settings import load_settings
from settings.model import REPOSITORY_ROOT
from stages.gate import gate
from stages.model_catalogue import compare_catalogues, mirror, refresh_card
from stages.models import find_model
from stages.promote import promote, roll_back, set_aside
from stages.register import register
from stages.services import Services, open_services
from tests.evaluation.builders import report
from tests.ports import free_port
from tests.stages.finished_job import finished_job
from tests.stages.lineage_story import add_result
from tests.stages.test_register import Subject


@pytest.fixture
def alone(services, monkeypatch):
    """Services whose MLflow is away."""
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    return open_services(load_settings())


def version_of(services: Services, folder: Path, job_name: str, decided: float | None = 0.9) -> ModelVersion:
    """A row in staging, and its evaluation of 190 right answers in 200, judged against a bar."""
    for name in ("base", job_name):
        (folder / name).mkdir(exist_ok=True)
    (folder / job_name / "model.safetensors").write_text(job_name)
    job = finished_job(services, base_model=folder / "base", output=folder / job_name, job_name=job_name)
    with services.unit_of_work() as uow:
        example = report().model_copy(update={"job_id": job.job_id})
        evaluation_id = uow.evaluations.add(example, content_key=f"evaluate-{job_name}").evaluation_id
        version = uow.models.add(
            model_name="assistant",
            version=None,
            base_model="base",
            base_model_path=str(folder / "base"),
            finetuning_job_id=job.job_id,
            model_path=str(folder / job_name),
            model_format=ModelFormat.HUGGINGFACE,
            model_size_gb=0.1,
            status=ModelStatus.STAGING,
            mlflow_model_uri=None,
            content_hash=job_name.encode().hex().ljust(64, "0"),
        )
    if decided is not None:
        gate(GateRequest(evaluation_id=evaluation_id, accuracy_bar=decided), services)
    return version


def request(version: ModelVersion, **changes) -> PromoteRequest:
    return PromoteRequest(model_id=version.model_id, actor="kim", reason="정확도가 더 높습니다", **changes)


def audited(services: Services) -> list[tuple[str, str, dict[str, Any]]]:
    with services.unit_of_work() as uow:
        rows = uow.session.execute(select(AuditLog).where(AuditLog.action.like("model.%")).order_by(AuditLog.id))
        return [(row.actor, row.action, row.details) for row in rows.scalars()]


def test_a_version_without_a_pass_is_refused_and_an_override_is_audited_with_its_reason(alone, tmp_path):
    unjudged = version_of(alone, tmp_path, "job-a", decided=None)
    failed = version_of(alone, tmp_path, "job-b", decided=0.97)
    with pytest.raises(ConflictError, match="no verdict"):
        promote(request(unjudged), alone)
    with pytest.raises(ConflictError, match="verdict fail"):
        promote(request(failed), alone)
    assert audited(alone) == []
    outcome = promote(request(failed, override=True), alone)
    assert outcome.promotion.is_override
    ((actor, action, details),) = audited(alone)
    assert (actor, action) == ("kim", "model.promoted_by_override")
    assert (details["reason"], details["verdict"]) == ("정확도가 더 높습니다", GateDecision.FAIL.value)


def test_the_newest_verdict_counts(alone, tmp_path):
    version = version_of(alone, tmp_path, "job-a")
    with alone.unit_of_work() as uow:
        example = report(tuned=150).model_copy(update={"job_id": version.finetuning_job_id})
        later = uow.evaluations.add(example, content_key="evaluate-job-a-again").evaluation_id
    assert not promote(request(version, override=True), alone).promotion.is_override  # not judged yet
    with alone.unit_of_work() as uow:
        uow.models.set_status(version.model_id, ModelStatus.STAGING)
    gate(GateRequest(evaluation_id=later), alone)
    with pytest.raises(ConflictError, match="verdict fail"):
        promote(request(version), alone)


def test_a_verdict_against_a_version_that_left_production_is_stale(alone, tmp_path):
    first, second, third = (version_of(alone, tmp_path, name) for name in ("job-a", "job-b", "job-c"))
    promote(request(first), alone)
    with alone.unit_of_work() as uow:
        judged = uow.evaluations.newest_judged(third.finetuning_job_id)
    assert judged is not None
    against_first = GateRequest(evaluation_id=judged[0].evaluation_id, model_name="assistant")
    compared = gate(against_first, alone).production
    assert compared is not None
    assert compared.model_id == first.model_id
    promote(request(second), alone)
    with pytest.raises(ConflictError, match="not in production any more"):
        promote(request(third), alone)
    assert find_model("assistant@production", alone).model_id == second.model_id
    gate(against_first, alone)
    assert promote(request(third), alone).promotion.previous_model_id == second.model_id


def test_a_promotion_stands_while_mlflow_is_away_and_again_is_the_same(alone, tmp_path):
    version = version_of(alone, tmp_path, "job-a")
    outcome = promote(request(version), alone)
    assert "MLflow does not answer" in str(outcome.mlflow_error)
    again = promote(request(version), alone)
    assert (again.promotion, again.happened_now) == (outcome.promotion, False)
    assert find_model("assistant@production", alone).model_id == version.model_id
    assert [action for _, action, _ in audited(alone)] == ["model.promoted"]


def test_rollback_archive_and_restore_are_audited_and_an_archived_version_is_not_promoted(alone, tmp_path):
    first, second = (version_of(alone, tmp_path, name) for name in ("job-a", "job-b"))
    for version in (first, second):
        promote(request(version), alone)
    back = RollbackRequest(model_name="assistant", actor="lee", reason="답이 느립니다")
    assert roll_back(back, alone).promotion.model_id == first.model_id
    with pytest.raises(ConflictError, match="archived version cannot be promoted"):
        promote(request(second), alone)
    restored = set_aside(
        StatusRequest(model_id=second.model_id, actor="lee", reason="고쳤습니다"), ModelStatus.STAGING, alone
    )
    assert restored.status is ModelStatus.STAGING
    assert promote(request(second), alone).promotion.previous_model_id == first.model_id
    assert [action for _, action, _ in audited(alone)] == [
        "model.promoted",
        "model.promoted",
        "model.rolled_back",
        "model.restored",
        "model.promoted",
    ]


def test_a_base_model_is_not_promoted(alone):
    with alone.unit_of_work() as uow:
        base = uow.models.ensure_base("demo-base", "/models/demo-base", 0.1, "c" * 64)
    with pytest.raises(ConflictError, match="base model"):
        promote(request(base, override=True), alone)


@pytest.fixture
def real_services(services, mlflow_server, monkeypatch):
    """Services with a real MLflow."""
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", mlflow_server.url)
    return open_services(load_settings())


def registered(services: Services, folder: Path, name: str) -> list[ModelVersion]:
    versions = []
    for job_name in ("job-a", "job-b"):
        subject = Subject(services, folder, job_name, weights=job_name)
        subject.decide()
        versions.append(register(subject.request(name), services))
    return versions


@pytest.mark.slow
def test_statuses_are_aliases_and_tags_in_mlflow(real_services, tmp_path):
    first, second = registered(real_services, tmp_path, "assistant-p")
    for version in (first, second):
        assert promote(request(version), real_services).mlflow_error is None
    url = real_services.settings.resolved_mlflow_tracking_url
    found = {there.version: there for there in read_versions(url, "assistant-p")}
    assert sorted(found["2"].aliases) == ["champion", "production"]
    assert found["1"].aliases == ["previous"]
    assert [found[number].tags["tuneway.status"] for number in "12"] == ["archived", "production"]
    assert compare_catalogues("assistant-p", real_services) == []
    add_result(real_services, second.model_id, {1, 2, 3})
    refresh_card(second.model_id, real_services)
    (card,) = (there.description for there in read_versions(url, "assistant-p") if there.version == "2")
    assert "| road-rules v1 | accuracy | 30.0 % |" in card


@pytest.mark.slow
def test_a_promotion_killed_between_postgresql_and_mlflow_is_repaired(real_services, tmp_path):
    first, second = registered(real_services, tmp_path, "assistant-q")
    promote(request(first), real_services)
    code = (
        "import os, signal, sys\nimport stages.promote\nfrom contracts.promotions import PromoteRequest\n"
        "from stages.services import open_services\n"
        "stages.promote.mirror = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        "stages.promote.promote(PromoteRequest.model_validate_json(sys.argv[1]), open_services())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, request(second).model_dump_json()],
        cwd=REPOSITORY_ROOT,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY_ROOT)},
        check=False,
    )
    assert ended.returncode == -9
    assert find_model("assistant-q@production", real_services).model_id == second.model_id
    differing = {
        (difference.part, difference.key): (difference.postgresql, difference.mlflow)
        for difference in mirror("assistant-q", real_services)
    }
    assert differing[(CataloguePart.ALIAS, "production")] == ("2", "1")
    assert differing[(CataloguePart.ALIAS, "previous")] == ("1", None)
    assert compare_catalogues("assistant-q", real_services) == []


@pytest.mark.slow
def test_what_somebody_changed_in_mlflow_is_found_and_put_right(real_services, tmp_path):
    first, second = registered(real_services, tmp_path, "assistant-r")
    client = open_client(real_services.settings.resolved_mlflow_tracking_url)
    client.set_registered_model_alias("assistant-r", "champion", "1")
    client.set_registered_model_alias("assistant-r", "favourite", "1")
    client.set_model_version_tag("assistant-r", "1", "tuneway.status", "production")
    client.set_model_version_tag("assistant-r", "1", "note", "nice")
    client.update_model_version("assistant-r", "2", "other text")
    client.delete_model_version("assistant-r", "2")
    found = compare_catalogues("assistant-r", real_services)
    assert {(difference.part.value, difference.version, difference.key) for difference in found} == {
        ("version", "2", ""),
        ("tag", "1", "tuneway.status"),
        ("alias", "", "champion"),
        ("alias", "", "challenger"),
        ("alias", "", "staging"),
    }
    assert mirror("assistant-r", real_services, all_cards=True) == found
    assert compare_catalogues("assistant-r", real_services) == []
    mended = {there.tags["tuneway.version"]: there for there in read_versions(client.tracking_uri, "assistant-r")}
    assert (mended["1"].aliases, mended["1"].tags["note"]) == (["favourite"], "nice")
    assert find_model(f"model:{second.model_id}", real_services).mlflow_model_uri == mended["2"].uri
    assert first.status is ModelStatus.STAGING
