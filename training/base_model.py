"""Base models: local folders, looked up by name, checked before a job takes a GPU."""

from collections.abc import Sequence
from pathlib import Path

from contracts.errors import InvalidRequestError

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
NAME_DEPTH = 2
"""Names have at most an organisation and a model: Qwen/Qwen3-32B."""


def find_base_model(name: str, roots: Sequence[Path]) -> Path:
    """Folder of the model: an absolute path, or a name below one of the roots. Raises InvalidRequestError."""
    path = Path(name)
    if ".." in path.parts:
        raise InvalidRequestError(
            "A base model's path must not climb", value=name, allowed=_models_there(roots), next_step="give its name"
        )
    candidates = [path] if path.is_absolute() else [root / path for root in roots]
    for folder in candidates:
        if folder.is_dir():
            _check_files(folder, name)
            return folder.resolve()
    raise InvalidRequestError(
        "There is no such base model",
        value=name,
        allowed=_models_there(roots),
        next_step=f"choose one of these, or copy the model's folder below {roots[0]}",
    )


def models_below(roots: Sequence[Path]) -> list[str]:
    """Names of the models there are."""
    patterns = ["/".join(["*"] * depth) + "/config.json" for depth in range(1, NAME_DEPTH + 1)]
    found = {
        path.parent.relative_to(root).as_posix()
        for root in roots
        if root.is_dir()
        for pattern in patterns
        for path in root.glob(pattern)
    }
    return sorted(found)


def check_architecture(folder: Path) -> None:
    """The installed libraries know the model and its tokenizer. Raises InvalidRequestError. Imports transformers."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (ValueError, OSError, KeyError) as error:
        raise InvalidRequestError(
            "The base model's config.json cannot be used",
            value=folder,
            allowed="architectures of the installed transformers library, without code of their own",
            next_step=str(error).splitlines()[0],
        ) from error
    # The table of model classes would say it too, and import torch with it.
    if not any("ForCausalLM" in name for name in config.architectures or []):
        raise InvalidRequestError(
            "The base model does not write text",
            value=f"{folder}: architectures {config.architectures}",
            allowed="causal language models, for example Qwen3ForCausalLM",
            next_step="choose another base model",
        )


def _check_files(folder: Path, name: str) -> None:
    missing = [] if (folder / "config.json").is_file() else ["config.json"]
    if not any((folder / file).is_file() for file in TOKENIZER_FILES):
        missing.append("tokenizer.json")
    if not any(folder.glob("*.safetensors")):
        missing.append("*.safetensors (weights in other formats can run code when they are read)")
    if missing:
        raise InvalidRequestError(
            "The base model's folder is not whole",
            value=f"{name} ({folder})",
            allowed="config.json, a tokenizer and *.safetensors",
            next_step="copy what is missing: " + ", ".join(missing),
        )


def _models_there(roots: Sequence[Path]) -> str:
    return ", ".join(models_below(roots)) or f"none yet below {', '.join(str(root) for root in roots)}"
