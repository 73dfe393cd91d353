"""Versions in MLflow's registry."""

import json
import uuid

import pytest

from contracts.errors import NotFoundError, UnavailableError
from registry.catalog import CHALLENGER, PATH_TAG, get_version, register_version, set_alias
from registry.client import open_client
from registry.tracking import JOB_TAG, ensure_run
from tests.ports import free_port

pytestmark = pytest.mark.slow


@pytest.fixture
def register(mlflow_server, tmp_path):
    """Register content under a name of this test's own."""
    name = f"regulations-{uuid.uuid4().hex[:6]}"
    run_id = ensure_run(mlflow_server.url, "tests", name, {JOB_TAG: name})
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"files": []}))

    def call(content):
        return register_version(
            mlflow_server.url,
            model_name=name,
            run_id=run_id,
            manifest=manifest,
            model_path=tmp_path / f"v1-{content}",
            content_hash=content,
            cards={"MODEL_CARD.md": "# 규정 안내 모델", "MODEL_CARD.en.md": "# Regulations assistant"},
            description="# 규정 안내 모델",
            tags={"tuneway.dataset_version": "v1.0"},
        )

    return call


def test_a_version_carries_source_run_tags_and_card(mlflow_server, register, tmp_path):
    version = register("aaaa1111")
    assert version.version == "1"
    assert version.source == f"runs:/{version.run_id}/registered/v1-aaaa1111"
    assert version.tags["tuneway.dataset_version"] == "v1.0"
    assert version.tags[PATH_TAG] == str(tmp_path / "v1-aaaa1111")
    assert version.description == "# 규정 안내 모델"
    artifacts = open_client(mlflow_server.url).list_artifacts(version.run_id, "registered/v1-aaaa1111")
    assert sorted(artifact.path.rsplit("/", 1)[-1] for artifact in artifacts) == [
        "MODEL_CARD.en.md",
        "MODEL_CARD.md",
        "manifest.json",
    ]


def test_the_same_content_is_the_same_version_and_other_content_the_next(register):
    assert register("aaaa1111").version == "1"
    assert register("aaaa1111").version == "1"
    assert register("bbbb2222").version == "2"


def test_an_alias_points_at_one_version(mlflow_server, register):
    first, second = register("aaaa1111"), register("bbbb2222")
    set_alias(mlflow_server.url, first.name, CHALLENGER, first.version)
    set_alias(mlflow_server.url, first.name, CHALLENGER, second.version)
    assert get_version(mlflow_server.url, first.name, CHALLENGER).version == "2"
    assert get_version(mlflow_server.url, first.name, "1").aliases == []


def test_a_missing_version_is_said_to_be_missing(mlflow_server, register):
    name = register("aaaa1111").name
    with pytest.raises(NotFoundError, match="no such model version"):
        get_version(mlflow_server.url, name, "7")
    with pytest.raises(NotFoundError, match="no such model version"):
        get_version(mlflow_server.url, name, "champion")


def test_registering_while_mlflow_is_away_can_be_retried(tmp_path):
    with pytest.raises(UnavailableError):
        set_alias(f"http://127.0.0.1:{free_port()}", "regulations", CHALLENGER, "1")
