"""A commit: the parts of a version, the commits before it, and what was done. Written last, so that it means "whole"."""

import json
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path

from pydantic import AwareDatetime

from contracts.data_policy import DataPolicy
from contracts.datasets import DATASET_NAME_PATTERN, ImportedDataset, PrepareRequest, SourceFile
from contracts.errors import NotFoundError
from contracts.record import JsonObject, Record
from data_prep.preparation.steps import StepRecord
from data_prep.versions.names import CONTENT_FILES, MANIFEST_FILE
from data_prep.versions.parts import Part
from storage.files import read_json, sha256_of_file

PREPARATION_RULES = "2"
"""Raise when the same rows would give another version: earlier ones are then not taken for the same."""

REFERENCE_PATTERN = DATASET_NAME_PATTERN
"""Names of branches and tags."""
MAIN = "main"
"""The branch of a dataset unless another one is named."""
SHORT = 12
"""Digits of a commit in the name of its folder."""


class Recipe(Record):
    """What was done, so that it can be done again."""

    operation: str
    """`prepare`, `merge` or `split`."""
    request: JsonObject = {}
    policy: JsonObject = {}
    rules: str = PREPARATION_RULES
    code_revision: str = ""
    """Hash of the source code of the data preparation."""


class Erasure(Record):
    """Rows of a person that were taken out after the version was made."""

    erasure_id: str
    erased_at: AwareDatetime
    rows: int


class VersionManifest(Record):
    """Everything known of a version without its rows; its existence means that the folder is whole."""

    name: str
    commit: str
    """Hash of the content, the parents and the recipe: the version's identity."""
    content_hash: str
    """Hash of the parts and of what was removed and masked: equal for equal rows, however they came about."""
    parents: list[str]
    branch: str
    """The branch on which the commit was made."""
    message: str = ""
    created_at: str
    """When the folder was written; no part of the hashes."""
    recipe: Recipe
    parts: dict[str, list[Part]]
    """By Split, in the order of the rows."""
    request_key: str
    """Hash of the request, the import, the policy, the test suites and the rules: the same key, the same version."""
    request: PrepareRequest
    sources: list[SourceFile]
    test_suites: dict[str, str]
    """SHA-256 by path, as they were when the rows were compared with them."""
    total_samples: int
    samples: dict[str, int]
    """Rows by Split."""
    removed: dict[str, int]
    masked: dict[str, int]
    quality_score: float
    categories: dict[str, int]
    steps: list[StepRecord]
    files: dict[str, str]
    """SHA-256 by file name; `train.parquet/00000.parquet` where a side has several parts."""
    erasures: list[Erasure] = []
    """With one, parts, counts and digests are of what is left; `commit` and `content_hash` name what once was."""

    @property
    def short(self) -> str:
        """The commit as people write it."""
        return self.commit[:SHORT]


def content_hash(parts: Mapping[str, list[Part]], files: Mapping[str, str]) -> str:
    """Equal for versions with the same parts, index, removed and masked rows."""
    content = {
        "parts": {split: [part.sha256 for part in of_split] for split, of_split in parts.items()},
        "files": {name: files[name] for name in CONTENT_FILES if name in files},
    }
    return _hash(content)


def commit_hash(content: str, parents: list[str], recipe: Recipe, samples: Mapping[str, int]) -> str:
    """The identity of a commit."""
    return _hash(
        {
            "content": content,
            "parents": parents,
            "recipe": recipe.model_dump(mode="json"),
            "samples": dict(samples),
        }
    )


def request_key(
    request: PrepareRequest, imported: ImportedDataset, test_suites: Mapping[str, str], policy: DataPolicy
) -> str:
    """Equal for requests that must give the same version."""
    return _hash(
        {
            "rules": PREPARATION_RULES,
            "request": request.model_dump(mode="json", exclude={"test_suites", "policy", "tokenizer"}),
            "policy": policy.model_dump(mode="json"),
            "files": [[source.path, source.sha256] for source in imported.files],
            "test_suites": sorted(test_suites.values()),
        }
    )


@cache
def code_revision() -> str:
    """Hash of the source code of the data preparation, and of the weights and lists that it carries."""
    package = Path(__file__).resolve().parents[1]
    digest = sha256()
    for path in sorted(path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        digest.update(f"{path.relative_to(package)}\0{sha256_of_file(path)}\n".encode())
    return digest.hexdigest()[:16]


def read_manifest(folder: Path) -> VersionManifest | None:
    """The manifest of the folder; None when there is none of this kind."""
    found = read_json(folder / MANIFEST_FILE)
    return None if found is None or "commit" not in found else VersionManifest.model_validate(found)


def load_manifest(folder: Path) -> VersionManifest:
    """The version's manifest. Raises NotFoundError when the folder is gone or not whole."""
    manifest = read_manifest(folder)
    if manifest is None:
        raise NotFoundError(
            "The dataset version's folder is missing or has no manifest",
            value=folder,
            next_step="prepare the dataset again; the same request makes the same version",
        )
    missing = sorted(name for name in manifest.files if not (folder / name).is_file())
    if missing:
        raise NotFoundError(
            "Files of the dataset version are missing",
            value=f"{folder}: {', '.join(missing)}",
            next_step="restore them from the backup, or remove the folder and prepare the dataset again",
        )
    return manifest


def _hash(content: object) -> str:
    return sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
