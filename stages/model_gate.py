"""Where a model's folder enters the platform: looked up below the allowed folders, and seen by the gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from security.model_files import check_model_folder, check_model_path

if TYPE_CHECKING:
    from pathlib import Path

    from settings import Settings


def base_model_folder(name: str, settings: Settings) -> Path:
    """The base model's folder, below one of the allowed ones and with nothing in it but weights and plain data.

    Raises InvalidRequestError where there is none, InvalidDataError where the gate refuses it.
    """
    from training.base_model import find_base_model

    if "://" in name:
        check_model_path(name, settings.allowed_model_roots)
    folder = find_base_model(name, settings.allowed_model_roots)
    check_model_path(str(folder), settings.allowed_model_roots)
    check_model_folder(folder)
    return folder


def given_folder(path: Path, settings: Settings) -> Path:
    """A folder that a person names by its path: a base model, a registered one, or a job's. Raises InvalidRequestError."""
    return check_model_path(str(path), [*settings.allowed_model_roots, settings.models_dir, settings.jobs_dir])
