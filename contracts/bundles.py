"""What an archive for a site without internet holds."""

from pydantic import AwareDatetime

from contracts.record import Record

BUNDLE_FORMAT = 1
"""Raised when `install.sh` of an earlier format could not read what is written now."""


class Bundle(Record):
    """`bundle.json`: what `install.sh` must know before it begins."""

    format: int = BUNDLE_FORMAT
    bundle_id: str
    """The commit, shortened; with `-changed` where files differed from it."""
    revision: str
    made_at: AwareDatetime
    """Time of the commit: the same commit and the same wheels give the same archive, but for the signature."""
    python: str
    """`3.11`: the interpreter that the wheels are for."""
    machine: str
    """`x86_64`"""
    glibc: str
    """The oldest GNU C library on which every wheel runs, from the wheels' names."""
    torch: str
    """With its local version, which tells the CPU build."""
    with_vllm: bool
    extras: tuple[str, ...] = ()
    """What can be installed beside, by the name that `install.sh --with` takes."""
    installed_bytes: int
    """What the installation takes beside the archive's own content."""


class BundleReport(Record):
    """What became of making an archive."""

    archive: str
    size: int
    sha256: str
    bundle: Bundle
    signer: str
    """SHA-256 of the public key."""
    files: int
    wheels: int
    seconds: float
