"""Checkpoints that are whole or absent: checkpoint-<step>/ holds the trainer's files and, written last, a manifest.

Where the installation encrypts, the files are sealed and the manifest stands over sealed files only; it holds numbers
and digests. `opened_checkpoints.py` gives a trainer what it reads.

set-aside/<label>/ holds those that a person, or the guard, has gone back behind: nothing resumes from them.
"""

import difflib
import logging
import shutil
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from pydantic import ValidationError

from contracts.errors import ConflictError, DamagedFileError, InvalidRequestError
from contracts.record import Record, utc_now
from contracts.training import CheckpointRecord
from storage.files import fsync_path, sha256_of_file, write_text_atomically
from storage.job_folder import JobFolder
from storage.job_state import require_present_attempt
from storage.stored_files import seal_file, sha256_of_stored

MANIFEST = "manifest.json"
PREFIX = "checkpoint-"
STAGING = ".staging"
SET_ASIDE = "set-aside"

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
    recent_losses: list[float] = []
    """What the guard judges the next losses by."""
    spikes: int = 0
    """Spiking steps in a row, up to this one."""
    files: dict[str, str]
    """Digest of each file, by its path in the folder."""


def commit_checkpoint(staged: Path, target: Path, manifest: CheckpointManifest, sealed_for: str | None = None) -> None:
    """Make a staged folder a checkpoint: flush or seal, manifest, rename. A broken one of the same name gives way.

    With a scope the files are encrypted by its key. `manifest.files` are those that other hosts have sealed already.
    """
    files = sorted(path for path in staged.rglob("*") if path.is_file())
    names = [str(path.relative_to(staged)) for path in files]
    written = staged
    if sealed_for is None:
        for path in files:
            fsync_path(path)
        digests = {name: sha256_of_file(path) for name, path in zip(names, files, strict=True)}
    else:
        written = sealed_staging(target)
        digests = seal_staged(staged, target, sealed_for)
    whole = manifest.model_copy(update={"files": {**manifest.files, **digests}})
    write_text_atomically(written / MANIFEST, whole.model_dump_json(indent=1) + "\n")
    require_present_attempt()
    if target.exists():
        shutil.rmtree(target)
    written.rename(target)
    fsync_path(target.parent)


def sealed_staging(target: Path) -> Path:
    """Where the sealed files of a checkpoint are gathered before it is one."""
    return target.parent / STAGING / target.name


def seal_staged(staged: Path, target: Path, scope: str) -> dict[str, str]:
    """Seal the files of a staged folder for a checkpoint, each gone in clear before the next; their digests."""
    digests = {}
    for path in sorted(path for path in staged.rglob("*") if path.is_file()):
        name = str(path.relative_to(staged))
        digests[name] = seal_file(path, sealed_staging(target) / name, scope)
        path.unlink()
    return digests


def newest_whole_checkpoint(folder: Path) -> tuple[Path, CheckpointManifest] | None:
    """The newest checkpoint whose files are what the manifest says; broken ones are skipped, with a line in the log.

    Raises KeyUnavailableError where a checkpoint is sealed and its key was erased.
    """
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


def remove_old_checkpoints(folder: Path, keep: int, keep_best: int, best_step: int | None) -> None:
    """Keep the newest, those with the lowest validation loss (of equals the earlier), and the best."""
    by_age = sorted(folder.glob(f"{PREFIX}*"), key=_step_of)
    losses = {path: manifest.metrics.get("eval_loss") for path in by_age if (manifest := read_manifest(path))}
    judged = sorted((loss, _step_of(path)) for path, loss in losses.items() if loss is not None)
    kept = {step for _, step in judged[:keep_best]} | {best_step}
    for path in by_age[:-keep]:
        if _step_of(path) not in kept:
            shutil.rmtree(path)


def check_chosen(folder: Path, name: str) -> None:
    """Refuse a checkpoint that is not there or lacks a file: InvalidRequestError names the nearest one."""
    manifest = read_manifest(folder / name)
    if manifest is not None and all((folder / name / file).is_file() for file in manifest.files):
        return
    whole = [record.name for record in checkpoint_records(folder) if record.name != name]
    nearest = difflib.get_close_matches(name, whole, n=1, cutoff=0.5)
    raise InvalidRequestError(
        "The checkpoint is broken" if (folder / name).exists() else "There is no such checkpoint",
        value=name,
        allowed=", ".join(whole) or "none: no checkpoint was saved yet",
        next_step=f"did you mean {nearest[0]}?" if nearest else "start the job again without a checkpoint",
    )


def set_aside_after(folder: Path, step: int, label: str) -> list[str]:
    """Move the checkpoints of later steps to set-aside/<label>/, newest first; the names of those moved.

    A kill in between leaves fewer checkpoints, never one that comes after a missing one; again, it moves the rest.
    """
    later = sorted((path for path in folder.glob(f"{PREFIX}*") if _step_of(path) > step), key=_step_of, reverse=True)
    aside = folder / SET_ASIDE / label
    for path in later:
        aside.mkdir(parents=True, exist_ok=True)
        target = aside / path.name
        if target.exists():
            shutil.rmtree(target)
        path.rename(target)
    if later:
        fsync_path(aside)
        fsync_path(folder)
    return [path.name for path in later]


def go_back_to(job: JobFolder, name: str, attempt: int) -> None:
    """Let the job's next start go on from this checkpoint; what came later is set aside with its metrics.

    Raises InvalidRequestError for a checkpoint that is not there, ConflictError for a job that has its result.
    """
    if job.result.exists():
        raise ConflictError(
            "The job has its result already",
            value=job.root.name,
            next_step="start a job of another name; `tuneway train replay` runs the same one again",
        )
    check_chosen(job.checkpoints, name)
    label = set_aside_label(attempt)
    if job.metrics.exists():
        kept = job.checkpoints / SET_ASIDE / label / job.metrics.name
        if not kept.exists():
            write_text_atomically(kept, job.metrics.read_text(encoding="utf-8"))
    moved = set_aside_after(job.checkpoints, step_of(name), label)
    log.info("going on from %s; set aside: %s", name, ", ".join(moved) or "nothing")


def set_aside_label(attempt: int) -> str:
    """Where an attempt that goes back sets aside what came later."""
    return f"attempt-{attempt}"


def remove_set_aside(folder: Path, older_than: timedelta) -> list[str]:
    """Remove what was set aside longer ago than that; its labels. A kill in between leaves the rest for the next time.

    The label's folder was last changed when the last checkpoint was moved into it.
    """
    removed = []
    for path in sorted((folder / SET_ASIDE).glob("*")):
        if path.name.startswith("."):  # a removal that was killed
            shutil.rmtree(path)
            continue
        if utc_now().timestamp() - path.stat().st_mtime > older_than.total_seconds():
            doomed = path.with_name(f".{path.name}.removed")
            path.rename(doomed)
            shutil.rmtree(doomed)
            removed.append(path.name)
    return removed


def checkpoint_names(folder: Path) -> frozenset[tuple[str, int]]:
    """Name and time of each checkpoint: another set where one was saved, replaced or removed."""
    found = set()
    for path in folder.glob(f"{PREFIX}*"):
        try:
            found.add((path.name, path.stat().st_mtime_ns))
        except FileNotFoundError:
            continue
    return frozenset(found)


def newest_saved_step(folder: Path) -> int | None:
    """The step of the newest checkpoint with a manifest; None where there is none. Its files are not read."""
    steps = [manifest.step for path in folder.glob(f"{PREFIX}*") if (manifest := read_manifest(path))]
    return max(steps, default=None)


def checkpoint_records(folder: Path) -> list[CheckpointRecord]:
    """The checkpoints there are, by step."""
    records = []
    for path in sorted(folder.glob(f"{PREFIX}*"), key=_step_of):
        manifest = read_manifest(path)
        if manifest is not None:
            size = _size_of(path)
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


def step_of(name: str) -> int:
    """The step in a checkpoint's name; -1 where there is none."""
    number = name.removeprefix(PREFIX)
    return int(number) if number.isdigit() else -1


def _step_of(path: Path) -> int:
    return step_of(path.name)


def _is_whole(path: Path, digest: str) -> bool:
    try:
        return sha256_of_stored(path) == digest
    except (FileNotFoundError, DamagedFileError):
        return False


def _size_of(path: Path) -> int:
    """Bytes of the folder's files; those that vanish meanwhile do not count."""
    sizes = []
    for file in path.rglob("*"):
        with suppress(FileNotFoundError):
            sizes.append(file.stat().st_size)
    return sum(sizes)
