"""Temporary folders of attempts that were killed."""

import shutil
import time
from datetime import timedelta
from pathlib import Path

ABANDONED_AFTER = timedelta(hours=24)
"""Longer than any attempt takes: a younger folder may belong to one that still writes."""


def remove_abandoned_folders(parent: Path, older_than: timedelta = ABANDONED_AFTER) -> int:
    """Remove what `folder_written_whole` could not, because its process was killed. Returns how many."""
    removed = 0
    for folder in parent.glob(".*.tmp"):
        try:
            newest = max(entry.stat().st_mtime for entry in [folder, *folder.rglob("*")])
        except FileNotFoundError:
            # another attempt is at work there, or has just ended
            continue
        if folder.is_dir() and time.time() - newest > older_than.total_seconds():
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed
