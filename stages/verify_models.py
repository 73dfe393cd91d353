"""Registered models checked against what was registered: every file by its hash, every row against MLflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.errors import UnavailableError
from contracts.registry import FileProblem, Verification
from registry.model_files import MANIFEST_FILE, ModelGarbage, ModelStore, collect_model_garbage
from security.bill_of_materials import BILL_FILE
from security.signing import SIGNATURE_FILE
from stages.model_cards import KOREAN_CARD
from stages.model_catalogue import compare_catalogues, mirror
from storage.files import read_json, sha256_of_file

if TYPE_CHECKING:
    from contracts.models import ModelVersion
    from contracts.record import JsonObject
    from contracts.registry import CatalogueDifference
    from stages.services import Services

OWN_FILES = {MANIFEST_FILE, KOREAN_CARD, BILL_FILE, SIGNATURE_FILE}


def verify_models(
    services: Services,
    *,
    model_name: str | None = None,
    model_id: int | None = None,
    on_version: Callable[[ModelVersion], None] | None = None,
) -> Verification:
    """Read every file of every version (of one name, or one version), and compare both registries. Changes nothing."""
    with services.unit_of_work() as uow:
        if model_id is not None:
            chosen = [uow.models.get(model_id)]
        else:
            names = uow.models.names() if model_name is None else [model_name]
            chosen = [version for name in names for version in uow.models.of_name(name)]
    versions = [version for version in chosen if version.finetuning_job_id is not None]
    problems: list[FileProblem] = []
    files = read = 0
    for version in versions:
        if on_version is not None:
            on_version(version)
        manifest = read_json(Path(version.model_path) / MANIFEST_FILE)
        if manifest is None:
            problems.append(_problem(version, version.model_path, "no manifest"))
            continue
        listed = _listed(manifest)
        files += len(listed)
        read += sum(size for _, size in listed.values())
        problems += [_problem(version, path, problem) for path, problem in _file_problems(version, manifest, listed)]
    differing: list[CatalogueDifference] = []
    mlflow_error = None
    try:
        for name in dict.fromkeys(version.model_name for version in versions):
            differing += compare_catalogues(name, services)
    except UnavailableError as error:
        mlflow_error = str(error)
    return Verification(
        versions=len(versions),
        files=files,
        bytes_read=read,
        problems=problems,
        differences=differing,
        mlflow_error=mlflow_error,
    )


def repair_catalogue(services: Services, *, model_name: str | None = None) -> list[CatalogueDifference]:
    """Make MLflow equal to PostgreSQL, model cards too, and say what differed. Raises UnavailableError without MLflow."""
    with services.unit_of_work() as uow:
        names = uow.models.names() if model_name is None else [model_name]
    return [difference for name in names for difference in mirror(name, services, all_cards=True)]


def collect_garbage(services: Services, *, dry_run: bool) -> ModelGarbage:
    """Remove files that no model version refers to. Nothing where PostgreSQL does not answer, or a model is registered."""
    store = ModelStore(services.settings.models_dir)
    with store.collecting():
        with services.unit_of_work() as uow:
            referenced = [
                Path(version.model_path) for name in uow.models.names() for version in uow.models.of_name(name)
            ]
        return collect_model_garbage(store, referenced, dry_run=dry_run)


def _listed(manifest: JsonObject) -> dict[str, tuple[str, int]]:
    entries = manifest.get("files")
    assert isinstance(entries, list)
    return {
        str(entry["path"]): (str(entry["sha256"]), int(str(entry["size_bytes"])))
        for entry in entries
        if isinstance(entry, dict)
    }


def _file_problems(
    version: ModelVersion, manifest: JsonObject, listed: dict[str, tuple[str, int]]
) -> Iterator[tuple[str, str]]:
    folder = Path(version.model_path)
    if manifest.get("content_hash") != version.content_hash:
        yield MANIFEST_FILE, "changed"
    for name, (digest, size) in listed.items():
        path = folder / name
        if not path.is_file():
            yield name, "missing"
        elif path.stat().st_size != size or sha256_of_file(path) != digest:
            yield name, "changed"
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(path.relative_to(folder))
        if name not in listed and name not in OWN_FILES:
            yield name, "unlisted"
    config = Path(version.base_model_path) / "config.json"
    if not config.is_file() or sha256_of_file(config) != manifest.get("base_config_sha256"):
        yield str(config), "base changed"


def _problem(version: ModelVersion, path: str, problem: str) -> FileProblem:
    return FileProblem(
        model_id=version.model_id, model_name=version.model_name, version=version.version, path=path, problem=problem
    )
