"""Policy files: the house rules of data preparation, those that ship and an organisation's own."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError

from contracts.data_policy import DataPolicy
from contracts.errors import InvalidRequestError
from data_prep.imports.input_files import resolve_input_file

POLICIES_DIR = Path(__file__).parent
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_MAX_BYTES = 1_000_000


def policy_names() -> list[str]:
    """The policies that ship."""
    return sorted(path.stem for path in POLICIES_DIR.glob("*.yaml"))


def load_policy(name_or_path: str, *, relative_to: Path, allowed_roots: Sequence[Path] = ()) -> DataPolicy:
    """The policy that ships under this name, or that of a YAML file in one of the allowed folders.

    Raises InvalidRequestError naming what is wrong: the name, the place of the file, or a key in it.
    """
    if _NAME.fullmatch(name_or_path):
        names = policy_names()
        if name_or_path in names:
            return read_policy(POLICIES_DIR / f"{name_or_path}.yaml")
        raise InvalidRequestError(
            "There is no such policy",
            value=name_or_path,
            allowed=f"{', '.join(names)}, or the path of a .yaml file",
            next_step=_did_you_mean(name_or_path, names) or "choose one of these",
        )
    path = resolve_input_file(name_or_path, relative_to=relative_to, allowed_roots=allowed_roots)
    if path.suffix.lower() not in {".yaml", ".yml"}:
        raise InvalidRequestError(
            "A policy is a YAML file", value=name_or_path, allowed=".yaml, .yml", next_step="name the policy's file"
        )
    return read_policy(path)


def read_policy(path: Path) -> DataPolicy:
    """The policy in a file; what it does not say is as in the default. An empty file is the default.

    Raises InvalidRequestError naming the key that is wrong.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InvalidRequestError(
                "The policy file is too large",
                value=f"{path.name}, {path.stat().st_size:,} bytes",
                allowed=f"{_MAX_BYTES:,} bytes",
                next_step="name a policy file, not a data file",
            )
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise InvalidRequestError(
            "The policy cannot be read", value=path.name, allowed="YAML in UTF-8", next_step=_one_line(error)
        ) from error
    try:
        return DataPolicy.model_validate({} if content is None else content)
    except ValidationError as error:
        # A misspelt key is also a missing one: name the misspelling.
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        place = [str(part) for part in first["loc"]]
        if first["type"] == "extra_forbidden":
            known = _keys_beside(place)
            raise InvalidRequestError(
                f"The policy {path.name} has an unknown key",
                value=".".join(place),
                allowed=", ".join(known),
                next_step=_did_you_mean(place[-1], known) or f"correct {path.name}",
            ) from error
        raise InvalidRequestError(
            f"The policy {path.name}: {first['msg'].removeprefix('Value error, ')}",
            value=f"{'.'.join(place)} = {first.get('input')!r:.80}",
            next_step=f"correct {path.name}",
        ) from error


class _StrictLoader(yaml.SafeLoader):
    """A SafeLoader to which a key that stands twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is not None and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key} stands twice", key_node.start_mark)
            seen.add(key)
        mapping: dict[object, object] = super().construct_mapping(node, deep)
        return mapping


def _keys_beside(place: Sequence[str]) -> list[str]:
    """The keys that are known where the unknown one stands."""
    model: type[BaseModel] = DataPolicy
    for part in place[:-1]:
        inner = model.model_fields[part].annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            break
        model = inner
    return sorted(model.model_fields)


def _did_you_mean(given: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(given, known, n=1)
    return f"did you mean {close[0]}?" if close else ""


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
