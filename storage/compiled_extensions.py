"""What torch compiles for a job while it runs, such as DeepSpeed's exchange between processes; kept for later jobs."""

from importlib import metadata
from pathlib import Path

LOCK = "lock"
"""torch.utils.file_baton: whoever makes the file compiles, and all others wait until it is gone, for ever if need be."""


def extensions_folder(cache_dir: Path) -> Path:
    """The folder for this torch, without the locks of compilations that were killed."""
    folder = cache_dir / "torch_extensions" / f"torch-{metadata.version('torch')}"
    folder.mkdir(parents=True, exist_ok=True)
    remove_abandoned_locks(folder)
    return folder


def remove_abandoned_locks(folder: Path) -> list[Path]:
    """Remove each extension's lock that no process of this account has open, as the one that compiles has."""
    locks = list(folder.glob(f"*/{LOCK}"))
    held = open_files() if locks else set()
    abandoned = [lock for lock in locks if lock.resolve() not in held]
    for lock in abandoned:
        lock.unlink(missing_ok=True)
    return abandoned


def open_files() -> set[Path]:
    """Files that the processes of this account have open."""
    found = set()
    for descriptors in Path("/proc").glob("[0-9]*/fd"):
        try:
            for descriptor in descriptors.iterdir():
                found.add(descriptor.readlink())
        except OSError:
            continue  # ended meanwhile, or another account's
    return found
