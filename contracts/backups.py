"""What a backup holds, and what became of making, checking and restoring one."""

from enum import StrEnum

from pydantic import AwareDatetime

from contracts.record import Record


class BackupContents(StrEnum):
    """What a snapshot was taken of. The two never lie in one repository: together they can be read by whoever has the key."""

    DATA = "data"
    """Databases and the data folder, without the keys of what is encrypted there."""
    KEYS = "keys"
    """Secrets and keyring."""


class EntryKind(StrEnum):
    """What stands at a path."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"


class BackupEntry(Record):
    """One path below the data folder."""

    path: str
    """Relative, with slashes."""
    kind: EntryKind
    mode: int
    """Permission bits."""
    size: int = 0
    """Bytes."""
    modified_ns: int = 0
    """Nanoseconds since 1970."""
    inode: int = 0
    changed_ns: int = 0
    """ctime: with size, time and inode it tells that a file is still the one that was read."""
    target: str | None = None
    """Of a link."""
    chunks: list[str] = []
    """Names of the objects that hold the content, in order."""


class DatabaseDump(Record):
    """One database as `pg_dump --format=custom` wrote it."""

    name: str
    size: int
    """Bytes."""
    chunks: list[str]


class BackupSnapshot(Record):
    """Everything as it was at one time."""

    snapshot_id: str
    contents: BackupContents
    made_at: AwareDatetime
    data_dir: str
    """Rows and manifests name files by their path: a restore goes to the same one."""
    schema_revision: str | None = None
    """Of the platform's own database."""
    entries: list[BackupEntry]
    databases: list[DatabaseDump] = []
    vanished: list[str] = []
    """Files that were removed or became unreadable between being listed and being read."""

    @property
    def size(self) -> int:
        """Bytes that a restore writes."""
        return sum(entry.size for entry in self.entries) + sum(dump.size for dump in self.databases)


class BackupReport(Record):
    """What was put into a repository."""

    snapshot_id: str
    contents: BackupContents
    repository: str
    files: int
    unchanged_files: int
    """Not read again: as the snapshot before knew them."""
    size: int
    """Bytes that a restore would write."""
    written: int
    """Bytes that the repository grew by."""
    databases: list[str]
    vanished: int
    removed_snapshots: list[str]
    seconds: float


class SnapshotCheck(Record):
    """Whether a snapshot could be restored."""

    snapshot_id: str
    contents: BackupContents
    made_at: AwareDatetime
    size: int
    is_whole: bool
    damaged: list[str]
    """Paths and databases of which a part is missing or is not what was written."""


class RepositoryCheck(Record):
    """What became of reading a repository through."""

    repository: str
    snapshots: list[SnapshotCheck]
    unreadable_snapshots: list[str]
    """Snapshots that are themselves damaged."""
    objects: int
    damaged_objects: int
    set_aside: int
    """Damaged objects that were taken out, so that the next backup writes them again."""
    seconds: float

    @property
    def is_whole(self) -> bool:
        """Every snapshot could be restored."""
        return not self.unreadable_snapshots and all(snapshot.is_whole for snapshot in self.snapshots)


class RestoreReport(Record):
    """What was brought back."""

    snapshot_id: str
    keys_snapshot_id: str
    data_dir: str
    files: int
    size: int
    databases: list[str]
    audit_entries: int
    """Of the audit trail, which was verified."""
    audit_is_whole: bool
    """The verification found nothing."""
    seconds: float
