"""Stage prepare: imported rows become a clean, immutable dataset version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from contracts.enums import Split
from contracts.errors import InvalidDataError
from data_prep.abandoned import remove_abandoned_folders
from data_prep.duplicates.leakage import read_test_suites
from data_prep.imports.importing import load_import, read_imported_rows
from data_prep.imports.input_files import require_disk_space
from data_prep.preparing import count_by_reason, prepare_rows
from data_prep.versions.store import find_version, request_key, write_version

if TYPE_CHECKING:
    from contracts.datasets import DatasetVersion, PrepareRequest
    from data_prep.rows import OnProgress
    from data_prep.versions.store import VersionManifest
    from stages.services import Services


def prepare(request: PrepareRequest, services: Services, on_progress: OnProgress | None = None) -> DatasetVersion:
    """Clean the rows of an import, cut them into train, validation and test, and register the version.

    The same request again returns the same version: its folder is found by the request, its row by its content.
    """
    folder, manifest = _version_folder(request, services, on_progress)
    with services.unit_of_work() as uow:
        return uow.datasets.add(
            name=request.dataset_name,
            content_hash=manifest.content_hash,
            file_path=str(folder),
            total_samples=manifest.total_samples,
            train_samples=manifest.samples[Split.TRAIN],
            val_samples=manifest.samples[Split.VALIDATION],
            test_samples=manifest.samples[Split.TEST],
            removed=manifest.removed,
            masked=manifest.masked,
            quality_score=manifest.quality_score,
            categories=manifest.categories,
            metadata={
                "import_id": request.import_id,
                "request": request.model_dump(mode="json"),
                "steps": [step.model_dump(mode="json") for step in manifest.steps],
            },
            sources=manifest.sources,
        )


def _version_folder(
    request: PrepareRequest, services: Services, on_progress: OnProgress | None
) -> tuple[Path, VersionManifest]:
    settings = services.settings
    imported = load_import(settings.datasets_dir / "imports", request.import_id)
    suites = read_test_suites(
        request.test_suites, relative_to=settings.repository_root, allowed_roots=settings.allowed_input_roots
    )
    name_dir = settings.datasets_dir / "versions" / request.dataset_name
    present = find_version(name_dir, request_key(request, imported, suites.sha256))
    if present is not None:
        return present
    require_disk_space(name_dir, 2 * Path(imported.rows_path).stat().st_size, settings.min_free_disk_gb)
    remove_abandoned_folders(name_dir)
    preparation = prepare_rows(
        read_imported_rows(imported), request, suites.questions, imported.total_rows, on_progress
    )
    if not preparation.rows:
        removed = count_by_reason(preparation.removed, imported.broken_rows)
        raise InvalidDataError(
            "No row is left after the preparation",
            value=", ".join(f"{reason} {count}" for reason, count in removed.items()),
            allowed="at least one row",
            next_step="look at the removed rows' reasons; lower min_quality_score or min_answer_characters if they fit",
        )
    return write_version(name_dir, preparation, request=request, imported=imported, test_suites=suites.sha256)
