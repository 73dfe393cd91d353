"""The mark in a data folder that is being restored."""

from pathlib import Path

from contracts.errors import ConflictError

MARK = ".restoring.json"
"""Which snapshots, and which databases are done. `tuneway up` refuses the folder; the same restore goes on with it."""


def require_restored(data_dir: Path) -> None:
    """Raise ConflictError for a data folder whose restore has not come to its end."""
    if (data_dir / MARK).exists():
        raise ConflictError(
            "This data folder is being restored",
            value=data_dir,
            next_step="run the same `tuneway restore` again: it goes on where it was interrupted",
        )
