"""Checkpoints that are whole or absent: checkpoint-<step>/ holds the trainer's files and, written last, a manifest."""

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from contracts.record import Record
from contracts.training import CheckpointRecord
from storage.files import fsync_path, sha256_of_file, write_text_atomically

MANIFEST = "manifest.json"
PREFIX = "checkpoint-"
STAGING = ".staging"

log = logging.getLogger("training")


class CheckpointManifest(Record):
    """What a checkpoint is, and the digests by which it is known to be whole."""

    step: int
    epoch: float
    metrics: dict[str, float]
    train_seconds: float
    """Spent in training steps, over all attempts."""
    best_eval_loss: float | None = None
    best_step: int | None = None
    evaluations_without_gain: int = 0
    ended: bool = False
    """Training is over with this checkpoint."""
    files: dict[str, str]
    """Digest of each file, by its path in the folder."""


def commit_checkpoint(staged: Path, target: Path, manifest: CheckpointManifest) -> None:
    """Make a staged folder a checkpoint: flush, manifest, rename. A broken one of the same name gives way."""
    files = sorted(path for path in staged.rglob("*") if path.is_file())
    for path in files:
        fsync_path(path)
    digests = {str(path.relative_to(staged)): sha256_of_file(path) for path in files}
    whole = manifest.model_copy(update={"files": digests})
    write_text_atomically(staged / MANIFEST, whole.model_dump_json(indent=1) + "\n")
    if target.exists():
        shutil.rmtree(target)
    staged.rename(target)
    fsync_path(target.parent)


def newest_whole_checkpoint(folder: Path) -> tuple[Path, CheckpointManifest] | None:
    """The newest checkpoint whose files are what the manifest says; broken ones are skipped, with a line in the log."""
    for path in sorted(folder.glob(f"{PREFIX}*"), key=_step_of, reverse=True):
        manifest = read_manifest(path)
        if manifest is None:
            log.warning("skipped %s: it has no readable manifest", path.name)
            continue
        wrong = sorted(name for name, digest in manifest.files.items() if not _is_whole(path / name, digest))
        if wrong:
            log.warning("skipped %s: %s is not what the manifest says", path.name, ", ".join(wrong))
            continue
        return path, manifest
    return None


def read_manifest(path: Path) -> CheckpointManifest | None:
    """The checkpoint's manifest; None where it is absent or broken."""
    try:
        return CheckpointManifest.model_validate_json((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        return None


def remove_old_checkpoints(folder: Path, keep: int, best_step: int | None) -> None:
    """Keep the newest ones and the best."""
    by_age = sorted(folder.glob(f"{PREFIX}*"), key=_step_of)
    for path in by_age[:-keep]:
        if _step_of(path) != best_step:
            shutil.rmtree(path)


def checkpoint_records(folder: Path) -> list[CheckpointRecord]:
    """The checkpoints there are, by step."""
    records = []
    for path in sorted(folder.glob(f"{PREFIX}*"), key=_step_of):
        manifest = read_manifest(path)
        if manifest is not None:
            size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            records.append(
                CheckpointRecord(
                    name=path.name,
                    step=manifest.step,
                    epoch=manifest.epoch,
                    path=str(path),
                    size_bytes=size,
                    metrics=manifest.metrics,
                )
            )
    return records


def finite(metrics: Mapping[str, float | None]) -> dict[str, float]:
    """The metrics that are there."""
    return {name: value for name, value in metrics.items() if value is not None}


def _step_of(path: Path) -> int:
    number = path.name.removeprefix(PREFIX)
    return int(number) if number.isdigit() else -1


def _is_whole(path: Path, digest: str) -> bool:
    return path.is_file() and sha256_of_file(path) == digest
