"""Every file is checked against what was registered; what differs is named."""

import shutil
from pathlib import Path

import pytest

from contracts.models import ModelVersion
from settings import load_settings
from stages.model_cards import base_licence
from stages.register import register
from stages.services import Services, open_services
from stages.verify_models import collect_garbage, verify_models
from tests.ports import free_port
from tests.security.model_folders import weights_saying
from tests.stages.test_register import Subject


@pytest.fixture
def alone(services, monkeypatch) -> Services:
    """Services whose MLflow is never asked: the catalogue is left out."""
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr("stages.register.mirror", lambda *_, **__: [])
    monkeypatch.setattr("stages.verify_models.compare_catalogues", lambda *_: [])
    return open_services(load_settings())


@pytest.fixture
def version(alone, tmp_path) -> ModelVersion:
    subject = Subject(alone, tmp_path, "job-a")
    subject.decide()
    return register(subject.request(), alone)


def problems(services: Services) -> set[tuple[str, str]]:
    return {(Path(problem.path).name, problem.problem) for problem in verify_models(services).problems}


def test_what_was_registered_is_whole(alone, version):
    found = verify_models(alone)
    assert found.is_whole
    assert (found.versions, found.files, found.bytes_read) == (1, 2, len(weights_saying("weights")) + len('{"r": 8}'))


def test_a_changed_a_missing_and_an_added_file_are_named(alone, version):
    folder = Path(version.model_path)
    weights = folder / "adapter_model.safetensors"
    weights.chmod(0o644)
    weights.write_text("WEIGHTS")
    (folder / "adapter_config.json").unlink()
    (folder / "extra.bin").write_text("x")
    assert problems(alone) == {
        ("adapter_model.safetensors", "changed"),
        ("adapter_config.json", "missing"),
        ("extra.bin", "unlisted"),
    }


def test_another_base_model_and_a_lost_folder_are_named(alone, version, tmp_path):
    (tmp_path / "base" / "config.json").write_text('{"other": true}')
    assert problems(alone) == {("config.json", "base changed")}
    shutil.rmtree(version.model_path)
    assert problems(alone) == {(Path(version.model_path).name, "no manifest")}


def test_files_of_registered_versions_are_no_garbage(alone, version):
    assert collect_garbage(alone, dry_run=False).objects == 0
    assert verify_models(alone).is_whole


@pytest.mark.parametrize(
    ("files", "licence"),
    [
        ({"README.md": "---\nlanguage: ko\nlicense: apache-2.0\n---\n# Model\n"}, "apache-2.0"),
        ({"README.md": "# Model\nlicense: not here\n", "LICENSE": "\n  MIT License\nCopyright"}, "MIT License"),
        ({}, None),
    ],
)
def test_the_licence_of_the_base_is_what_its_folder_says(tmp_path, files, licence):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert base_licence(tmp_path) == licence
