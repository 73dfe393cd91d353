"""Base models as versions of their own: they answer beside what was made of them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.errors import NotFoundError
from storage.files import sha256_of_file

if TYPE_CHECKING:
    from datetime import datetime

    from contracts.models import ModelVersion
    from stages.services import Services

BYTES_PER_GB = 1_000_000_000


def ensure_base(version: ModelVersion, services: Services) -> ModelVersion:
    """The version's base model as a version of its own, so that it can answer too. Raises NotFoundError."""
    folder = Path(version.base_model_path)
    if not folder.is_dir():
        raise NotFoundError(
            "The base model's folder is not there any more",
            value=folder,
            next_step="put the model back where it was when it was fine-tuned",
        )
    size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    with services.unit_of_work() as uow:
        return uow.models.ensure_base(
            version.base_model, version.base_model_path, size_bytes / BYTES_PER_GB, base_content_hash(folder)
        )


def is_unchanged_since(folder: Path, moment: datetime) -> bool:
    """No file of the model was written later: a digest by size does not see other weights of the same shape."""
    return all(path.stat().st_mtime < moment.timestamp() for path in folder.iterdir() if path.is_file())


def base_content_hash(folder: Path) -> str:
    """Digest of a model folder: small files by content, weights by name and size (they may be 65 GB)."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        content = str(path.stat().st_size) if path.suffix == ".safetensors" else sha256_of_file(path)
        digest.update(f"{path.name}\0{content}\n".encode())
    return digest.hexdigest()
