"""The gate for model folders: weights and plain data only, before any library opens them.

What may be there is listed; everything else is refused, so a format that runs code when it is read (pickle, Python
modules, archives) need not be recognised.
"""

import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.errors import InvalidDataError, InvalidRequestError
from security.safetensors_header import TensorPlace, read_safetensors_header, unique_keys

INDEX_SUFFIX = ".safetensors.index.json"
ALLOWED_SUFFIXES = frozenset({".safetensors", ".json", ".jinja", ".txt", ".md", ".model"})
ALLOWED_NAMES = frozenset({"LICENSE", "LICENCE", "NOTICE", "USE_POLICY", ".gitattributes", "model.sig"})
ALLOWED = "*.safetensors, *.json, *.jinja, *.txt, *.md, *.model, LICENSE, NOTICE"
PLAIN_NAME = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._+ -]{0,254}")
VOCABULARIES = frozenset({"tokenizer.json", "vocab.json", "added_tokens.json"})
"""Their keys are words of the model, not settings."""
MAX_SETTINGS_BYTES = 64 << 20
MAX_FILES = 4096
CODE_KEYS = frozenset({"auto_map", "trust_remote_code", "custom_pipelines", "custom_generate"})
"""Each names Python code that a library would import; false or null says that there is none."""
IMPORTING_KEYS = frozenset({"auto_mapping", "megatron_config"})
"""With a value, PEFT imports the module that stands in it (or beside it)."""
ATTENTION_KEYS = frozenset({"attn_implementation", "_attn_implementation", "_attn_implementation_internal"})
"""A value with a slash is a kernel on the hub."""


@dataclass(frozen=True, slots=True)
class CheckedModel:
    """What the gate saw."""

    folder: Path
    files: tuple[str, ...]
    tensors: int
    size_bytes: int
    """Of the weights."""


def check_model_folder(folder: Path, *, subfolders: Sequence[str] = ()) -> CheckedModel:
    """Look at every file of a model's or an adapter's folder; only headers of weights are read.

    `subfolders` may be there, and are not looked into. Raises InvalidDataError naming the first file that must not be
    there or is not what its name says.
    """
    names = sorted(_plain_files(folder, frozenset(subfolders)))
    weights = {name: read_safetensors_header(folder / name) for name in names if name.endswith(".safetensors")}
    if not weights:
        raise _refused(folder, "it has no weights in safetensors", "no *.safetensors")
    for name in names:
        if name.endswith(".json"):
            _check_settings(folder / name)
    _check_index(folder, [name for name in names if name.endswith(INDEX_SUFFIX)], weights)
    return CheckedModel(
        folder=folder,
        files=tuple(names),
        tensors=sum(map(len, weights.values())),
        size_bytes=sum(place.size_bytes for places in weights.values() for place in places),
    )


def check_model_path(given: str, roots: Sequence[Path]) -> Path:
    """The folder itself, without links in its path, below one of the roots. Raises InvalidRequestError."""
    if "://" in given or given.startswith("hf:"):
        raise InvalidRequestError(
            "A model is never fetched from an address",
            value=given,
            allowed="a folder of this machine",
            next_step="copy the model's folder to this machine, then give its name",
        )
    folder = Path(given).resolve()
    places = [root.resolve() for root in roots]
    if not any(folder.is_relative_to(place) for place in places):
        raise InvalidRequestError(
            "The model's folder is outside the folders in which models may be",
            value=f"{given} ({folder})",
            allowed=", ".join(map(str, places)),
            next_step="move the folder below one of these, or name its own in TUNEWAY_MODEL_ROOTS",
        )
    return folder


def _plain_files(folder: Path, subfolders: frozenset[str]) -> Iterator[str]:
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise _refused(folder, "it cannot be listed", error.strerror) from error
    if len(entries) > MAX_FILES:
        raise _refused(folder, "it holds too many files", f"{len(entries)}, at most {MAX_FILES}")
    for entry in entries:
        if entry.is_symlink():
            raise _refused(folder, "a symbolic link leads out of what was checked", entry.name)
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            if entry.name not in subfolders:
                raise _refused(folder, "a folder inside it is not part of a model", entry.name)
            continue
        if not stat.S_ISREG(mode):
            raise _refused(folder, "an entry is no plain file", entry.name)
        if not PLAIN_NAME.fullmatch(entry.name):
            raise _refused(folder, "a file's name has other letters than a model's files", repr(entry.name))
        if Path(entry.name).suffix not in ALLOWED_SUFFIXES and entry.name not in ALLOWED_NAMES:
            raise _refused(folder, "a file may hold code, or nobody reads it", entry.name)
        yield entry.name


def _check_settings(path: Path) -> None:
    """Every JSON file is an object (or a list) with each key once, and points to no code."""
    if path.name in VOCABULARIES:
        return
    size = path.stat().st_size
    if size > MAX_SETTINGS_BYTES:
        raise _refused(path.parent, f"{path.name} is too large for settings", f"{size} bytes")
    try:
        value = json.loads(path.read_bytes().decode("utf-8"), object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as error:
        raise _refused(path.parent, f"{path.name} is no JSON with every key once", str(error)[:200]) from error
    for key, setting in _settings_in(value):
        if (key in CODE_KEYS or key in IMPORTING_KEYS) and setting not in (None, False, {}, []):
            raise _refused(path.parent, f"{path.name} wants code of its own to be run ({key})", str(setting)[:100])
        if key in ATTENTION_KEYS and isinstance(setting, str) and "/" in setting:
            raise _refused(path.parent, f"{path.name} wants code from elsewhere to be run ({key})", setting[:100])


def _settings_in(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, however deep."""
    waiting = [value]
    while waiting:
        present = waiting.pop()
        if isinstance(present, dict):
            yield from present.items()
            waiting.extend(present.values())
        elif isinstance(present, list):
            waiting.extend(present)


def _check_index(folder: Path, indexes: list[str], weights: dict[str, list[TensorPlace]]) -> None:
    """Every tensor stands in one file, and in the one that the index names."""
    homes: dict[str, str] = {}
    for file, places in weights.items():
        for place in places:
            if place.name in homes:
                raise _refused(folder, f"{homes[place.name]} and {file} both hold a tensor", place.name)
            homes[place.name] = file
    if len(weights) == 1 and not indexes:
        return
    if len(indexes) != 1:
        what = "it has several weights files and no index" if not indexes else "it has several indexes"
        raise _refused(folder, what, ", ".join(indexes or weights))
    index = json.loads((folder / indexes[0]).read_text(encoding="utf-8"))
    named = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(named, dict) or not all(isinstance(file, str) for file in named.values()):
        raise _refused(folder, "its index has no weight_map of names and files", indexes[0])
    for name, file in named.items():
        if homes.get(name) != file:
            raise _refused(folder, f"its index says that {name[:100]} is in {file[:100]}", homes.get(name, "nowhere"))
    unnamed = next((name for name in homes if name not in named), None)
    if unnamed is not None:
        raise _refused(folder, f"{homes[unnamed]} holds a tensor that its index does not name", unnamed)


def _refused(folder: Path, why: str, value: object) -> InvalidDataError:
    return InvalidDataError(
        f"The model's folder is refused: {why}",
        value=f"{value} in {folder}",
        allowed=f"plain files: {ALLOWED}; no links, no folders, no code",
        next_step="remove what does not belong there, or take the model from where it can be trusted",
    )
