"""What a run was made of: enough to run it again and to say what differs.

Written to the job folder before the first step of the first attempt. Its *inputs* are never to change while the job goes
on; its *environment* may, and then the last bits may too.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import InvalidDataError
from contracts.record import utc_now
from contracts.training import Difference, RunManifest
from storage.files import read_json, sha256_of_file, sha256_of_folder, write_json_atomically
from storage.split_files import sha256_of_split, split_files
from training.recipe import Recipe

if TYPE_CHECKING:
    from pydantic import JsonValue

    from storage.job_folder import JobFolder
    from training.plan import TrainingPlan

LIBRARIES = (
    "torch", "transformers", "trl", "peft", "accelerate", "datasets", "tokenizers", "safetensors", "numpy",
    "bitsandbytes", "deepspeed", "liger-kernel",
)  # fmt: skip
"""Those that numbers of a run pass through."""
INPUTS = (
    "dataset_files", "tokenized_sha256", "base_model_sha256", "teacher_sha256", "recipe", "seed", "num_gpus", "num_nodes",
)  # fmt: skip
ENVIRONMENT = (
    "code_revision", "code_changed", "code_sha256", "libraries", "python", "hardware",
)  # fmt: skip
BASE_MODEL_FILES = ("*.json", "*.safetensors", "*.jinja", "*.txt", "*.model")

log = logging.getLogger("training")


def make_manifest(plan: TrainingPlan, train_rows: Any, validation_rows: Any) -> RunManifest:
    """The manifest of a run that begins now, in this process, with these rows."""
    revision, changed = code_revision()
    cache = None if plan.cache_dir is None else Path(plan.cache_dir)
    return RunManifest(
        job_id=plan.job_id,
        job_name=plan.job_name,
        dataset_version=plan.tags.get("tuneway.dataset_version", ""),
        dataset_hash=plan.tags.get("tuneway.dataset_hash", ""),
        dataset_files=dataset_files(Path(plan.dataset_path)),
        tokenized_sha256=rows_sha256(train_rows, validation_rows),
        base_model=plan.base_model,
        base_model_sha256=base_model_sha256(Path(plan.base_model_path), cache),
        teacher_sha256=None if plan.teacher_path is None else base_model_sha256(Path(plan.teacher_path), cache),
        recipe_name=plan.recipe_name,
        recipe=plan.recipe.model_dump(mode="json"),
        seed=plan.seed,
        num_gpus=plan.num_gpus,
        num_nodes=plan.num_nodes,
        code_revision=revision,
        code_changed=changed,
        code_sha256=sha256_of_folder(Path(__file__).parent, "*.py"),
        libraries=library_versions(),
        python=platform.python_version(),
        hardware=hardware(),
        started_at=utc_now(),
    )


def keep_manifest(manifest: RunManifest, folder: JobFolder) -> RunManifest:
    """Write it, or compare it with the one that an earlier attempt wrote; the one that stays.

    Raises InvalidDataError where an input is another one than at the beginning: the job would end as neither.
    """
    present = read_manifest(folder)
    if present is None:
        write_json_atomically(folder.manifest, manifest.model_dump(mode="json"))
        return manifest
    changed = differences(present, manifest, INPUTS)
    if changed:
        raise InvalidDataError(
            "What the job learns from has changed since it began",
            value="; ".join(f"{part.name}: {part.before} before, {part.after} now" for part in changed),
            next_step="bring it back as it was, or start a job of another name",
        )
    for part in differences(present, manifest, ENVIRONMENT):
        log.warning(
            "goes on with another %s (%s before, %s now): last bits may differ", part.name, part.before, part.after
        )
    return present


def read_manifest(folder: JobFolder) -> RunManifest | None:
    """The job's manifest; None before its first step."""
    found = read_json(folder.manifest)
    if found is None:
        return None
    manifest = RunManifest.model_validate(found)
    # options that recipes did not have yet when the job began: they do what they do where nobody sets them
    defaults = {name: field.default for name, field in Recipe.model_fields.items() if not field.is_required()}
    return manifest.model_copy(update={"recipe": {**defaults, **manifest.recipe}})


def differences(before: RunManifest, after: RunManifest, fields: tuple[str, ...]) -> list[Difference]:
    """Where two manifests differ, mappings entry by entry."""
    found = []
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    for field in fields:
        if isinstance(old[field], dict) and isinstance(new[field], dict):
            names = sorted(old[field].keys() | new[field].keys())
            pairs = [(f"{field}.{name}", old[field].get(name), new[field].get(name)) for name in names]
        else:
            pairs = [(field, old[field], new[field])]
        found += [Difference(name=name, before=str(a), after=str(b)) for name, a, b in pairs if a != b]
    return found


def dataset_files(folder: Path) -> dict[str, str]:
    """Digest of each side that a run reads; a side without a file is left out."""
    sides = {side: folder / f"{side}.parquet" for side in ("train", "validation")}
    return {side: sha256_of_split(path) for side, path in sides.items() if split_files(path)}


def rows_sha256(*row_sets: Any) -> str:
    """Digest over the numbers of the rows as the trainer takes them, column by column; None is a set without rows."""
    import numpy as np
    import pyarrow as pa

    digest = hashlib.sha256()
    for rows in row_sets:
        digest.update(b"rows\0")
        if rows is None:
            continue
        table = rows.with_format("arrow")[:]
        for name in sorted(table.column_names):
            column = table[name].combine_chunks()
            digest.update(f"{name}\0{len(column)}\0".encode())
            if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
                digest.update(np.asarray(column.value_lengths(), dtype="<i8").tobytes())
                column = column.flatten()
            if pa.types.is_integer(column.type):
                digest.update(np.asarray(column, dtype="<i8").tobytes())
            else:
                digest.update(json.dumps(column.to_pylist(), ensure_ascii=False).encode())
    return digest.hexdigest()


def base_model_sha256(folder: Path, cache_dir: Path | None, besides: frozenset[str] = frozenset()) -> str:
    """Digest over weights, configuration and tokenizer; files named in `besides` left out.

    Remembered in the cache by the files' names, sizes and times: 64 GB take a minute to read.
    """
    files = sorted(
        path
        for pattern in BASE_MODEL_FILES
        for path in folder.glob(pattern)
        if path.is_file() and path.name not in besides
    )
    stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    known = hashlib.sha256(json.dumps([str(folder.resolve()), stats]).encode()).hexdigest()
    remembered = None if cache_dir is None else cache_dir / "base_models" / f"{known}.json"
    if remembered is not None and (found := read_json(remembered)) is not None:
        return str(found["sha256"])
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name}\0{sha256_of_file(path)}\n".encode())
    if remembered is not None:
        write_json_atomically(remembered, {"sha256": digest.hexdigest(), "folder": str(folder)})
    return digest.hexdigest()


def library_versions() -> dict[str, str]:
    """Versions of the libraries that are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, JsonValue]:
    """The processor, and the cards this process sees."""
    import torch

    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    cards: list[JsonValue] = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "machine": platform.machine(),
        "cpu": model,
        "threads": torch.get_num_threads(),
        "gpus": cards,
        "cuda": torch.version.cuda if cards else None,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "cublas_workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG") if cards else None,
    }


def code_revision() -> tuple[str, bool]:
    """The commit of the checkout, `unknown` where it is none, and whether its files differ from it."""
    root = Path(__file__).resolve().parent.parent
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return "unknown", False

    def ask(*arguments: str) -> str | None:
        done = subprocess.run([git, "-C", str(root), *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    return ask("rev-parse", "HEAD") or "unknown", bool(ask("status", "--porcelain", "--untracked-files=no"))
