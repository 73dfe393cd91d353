"""Stage import_dataset: the request's files become rows in canonical form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_prep.imports.importing import import_files

if TYPE_CHECKING:
    from contracts.datasets import ImportedDataset, ImportRequest
    from data_prep.rows import OnProgress
    from stages.services import Services


def import_dataset(
    request: ImportRequest, services: Services, on_progress: OnProgress | None = None
) -> ImportedDataset:
    """Bring files in. The same request again returns the same record at once."""
    settings = services.settings
    return import_files(
        request,
        imports_dir=settings.datasets_dir / "imports",
        relative_to=settings.repository_root,
        allowed_roots=settings.allowed_input_roots,
        min_free_disk_gb=settings.min_free_disk_gb,
        on_progress=on_progress,
    )
