"""Where a model comes from and whose it is: signatures and marks of registered versions, or of any folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from contracts.errors import InvalidDataError, NotFoundError
from contracts.provenance import Provenance
from contracts.watermark import Watermark
from registry.model_files import MANIFEST_FILE
from security.signing import check_signature, sign_folder
from security.watermark.keys import commitment_of
from stages.model_cards import KOREAN_CARD
from stages.models import find_model
from stages.watermarks import master_key
from storage.files import read_json

if TYPE_CHECKING:
    from contracts.models import ModelVersion
    from contracts.watermark import MarkFound
    from settings import Settings
    from stages.services import Services


def sign_version(given: str, private_key: Path, services: Services, *, actor: str) -> Provenance:
    """Sign a registered version's folder, and say so in the audit trail. Another signature is replaced."""
    version = find_model(given, services)
    folder = Path(version.model_path)
    fingerprint = sign_model_folder(folder, private_key)
    with services.unit_of_work() as uow:
        uow.audit.append(
            actor,
            "model.signed",
            f"model/{version.model_id}",
            {"fingerprint": fingerprint, "content_hash": version.content_hash},
        )
    return check_provenance(folder, services.settings)


def sign_model_folder(folder: Path, private_key: Path) -> str:
    """Sign everything but the card, which is written anew when a verdict changes; the signer's fingerprint."""
    return sign_folder(folder, private_key, besides=[KOREAN_CARD])


def check_provenance(folder: Path, settings: Settings, *, original: Path | None = None) -> Provenance:
    """Signed, intact, whose: by the signature, and by the mark that the folder's manifest promises."""
    if not folder.is_dir():
        raise NotFoundError("There is no such folder", value=folder, next_step="give a model's folder or name")
    mark, missing = None, ""
    promised = (read_json(folder / MANIFEST_FILE) or {}).get("watermark")
    if promised is None:
        missing = "its manifest promises none"
    else:
        try:
            mark = _looked_for(folder, Watermark.model_validate(promised), settings, original=original)
        except (NotFoundError, InvalidDataError) as error:
            missing = error.what
    return Provenance(
        folder=str(folder),
        signature=check_signature(folder, trusted_keys(settings)),
        mark=mark,
        mark_missing=missing,
    )


def trusted_keys(settings: Settings) -> list[Path]:
    """Public keys whose signatures count; a key's file is named as its holder."""
    return sorted(settings.signers_dir.glob("*.pem"))


def find_mark(
    folder: Path,
    services: Services,
    *,
    of: str | None = None,
    base: Path | None = None,
    original: Path | None = None,
) -> tuple[Watermark, MarkFound]:
    """The mark of the version `of`, or the strongest of all our versions' marks, in a folder that was found somewhere.

    `base`: its base model, where an adapter may have been merged. Raises NotFoundError where nothing of ours is marked.
    """
    marks = _marks(services, of)
    if not marks:
        raise NotFoundError(
            "No model with a mark is registered",
            value=of or "all versions",
            next_step="train with TUNEWAY_WATERMARK=true, and register",
        )
    found = [
        (
            mark,
            _looked_for(folder, mark, services.settings, base=base, original=original, keys_tried=len(marks)),
        )
        for mark in marks
    ]
    return max(found, key=lambda pair: max(pair[1].z, pair[1].informed_z or 0.0))


def _marks(services: Services, of: str | None) -> list[Watermark]:
    """Each key's mark once."""
    with services.unit_of_work() as uow:
        versions: list[ModelVersion] = (
            [find_model(of, services)]
            if of is not None
            else [version for name in uow.models.names() for version in uow.models.of_name(name)]
        )
        jobs = [
            uow.jobs.get(version.finetuning_job_id) for version in versions if version.finetuning_job_id is not None
        ]
    marks = [job.report.watermark for job in jobs if job.report is not None and job.report.watermark is not None]
    return list({mark.commitment: mark for mark in marks}.values())


def _looked_for(
    folder: Path,
    mark: Watermark,
    settings: Settings,
    *,
    base: Path | None = None,
    original: Path | None = None,
    keys_tried: int = 1,
) -> MarkFound:
    from security.watermark.detecting import detect_mark, detect_merged_adapter
    from security.watermark.weight_files import lora_modules

    key = master_key(settings).derive(mark.identity)
    if commitment_of(key) != mark.commitment:
        raise NotFoundError(
            "The mark was laid with another master key",
            value=f"commitment {mark.commitment[:16]}",
            next_step="restore the watermark_key of the installation that trained the model",
        )
    if base is not None and not lora_modules(folder):
        return detect_merged_adapter(folder, base, key, keys_tried=keys_tried)
    return detect_mark(folder, key, original=original, keys_tried=keys_tried)
