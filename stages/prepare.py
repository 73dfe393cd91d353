"""Stage prepare: imported rows become a clean, immutable dataset version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.enums import MaskingAction
from data_prep.abandoned import remove_abandoned_folders
from data_prep.contamination.test_suites import read_test_suites
from data_prep.imports.importing import load_import
from data_prep.imports.input_files import require_disk_space
from data_prep.policies import load_policy
from data_prep.preparation.preparing import Preparation, prepare_version
from data_prep.versions.manifest import request_key
from stages.dataset_versions import register_version
from stages.owners import claim_for_starter
from stages.progress import LoggedProgress
from stages.pseudonyms import pseudonym_key
from stages.suites import suite_path
from stages.tokenizers import counting_tokenizer

if TYPE_CHECKING:
    from contracts.data_policy import DataPolicy
    from contracts.datasets import DatasetVersion, PrepareRequest
    from data_prep.rows import OnProgress
    from stages.services import Services

SPACE_FACTOR = 3
"""Chunk files, parts and what is told of them, as a multiple of the imported rows' file."""


def prepare(request: PrepareRequest, services: Services, on_progress: OnProgress | None = None) -> DatasetVersion:
    """Clean the rows of an import, cut them into train, validation and test, and register the version.

    The same request again returns the same version: its folder is found by the request, its row by its content.
    """
    settings = services.settings
    preparation = _check(request, services)
    name_dir = settings.datasets_dir / "versions" / request.dataset_name
    name_dir.mkdir(parents=True, exist_ok=True)
    require_disk_space(
        name_dir, SPACE_FACTOR * Path(preparation.imported.rows_path).stat().st_size, settings.min_free_disk_gb
    )
    remove_abandoned_folders(name_dir)
    folder, _ = prepare_version(preparation, name_dir, on_progress or LoggedProgress())
    with services.unit_of_work() as uow:
        version = register_version(folder, uow)
        claim_for_starter(ResourceKind.DATASET, version.dataset_id, services, uow)
        return version


def _check(request: PrepareRequest, services: Services) -> Preparation:
    """The request with everything that it names, or the first thing that is wrong with it."""
    settings = services.settings
    imported = load_import(settings.datasets_dir / "imports", request.import_id)
    policy = load_policy(
        request.policy, relative_to=settings.repository_root, allowed_roots=settings.allowed_input_roots
    )
    suites = read_test_suites(
        [suite_path(given, services) for given in request.test_suites],
        relative_to=settings.repository_root,
        allowed_roots=settings.allowed_input_roots,
    )
    return Preparation(
        imported=imported,
        request=request,
        policy=policy,
        request_key=request_key(request, imported, suites.sha256, policy),
        test_cases=suites.cases,
        test_suites=suites.sha256,
        other_versions=_other_versions(policy, services),
        pseudonym_key=_key(policy, request, services),
        tokenizer=counting_tokenizer(request.tokenizer, settings),
    )


def _other_versions(policy: DataPolicy, services: Services) -> list[tuple[str, Path]]:
    numbers = policy.duplicates.other_versions
    if not numbers:
        return []
    with services.unit_of_work() as uow:
        versions = [uow.datasets.get(number) for number in numbers]
    return [(f"{version.name} {version.version}", Path(version.file_path)) for version in versions]


def _key(policy: DataPolicy, request: PrepareRequest, services: Services) -> bytes:
    if MaskingAction.PSEUDONYMISE not in policy.masking.actions.values():
        return b""
    return pseudonym_key(services.settings, request.dataset_name)
