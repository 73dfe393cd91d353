"""Makes the archive: wheels, Cerbos, the project's files, a bill of materials, checksums and a signature, in one tar file."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.bundles import Bundle, BundleReport
from contracts.errors import CapacityError, ConflictError, InvalidRequestError, NotFoundError
from security.signing import sign_bytes
from security.software_bill import Part, software_bill
from settings.model import REPOSITORY_ROOT
from setup import install
from stages.bundles.wheels import (
    Wheel,
    collect,
    installed_bytes,
    listed,
    metadata_of,
    needed_glibc,
    require_complete,
    resolved,
    wheels_in,
)
from storage.files import (
    fsync_path,
    sha256_of_file,
    write_bytes_atomically,
    write_json_atomically,
    write_text_atomically,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data_prep.rows import OnProgress

FETCHED_BYTES = {True: 5_000_000_000, False: 3_000_000_000}
"""Room for the wheels before they are known; measured with vLLM's environment and without: see docs/air_gap.md."""
CHECKSUMS = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.sig"
FIRST = ("install.sh", "bundle.json", CHECKSUMS, SIGNATURE)
"""Of the archive: what a half one must have, to say what it lacks."""
LOCKS = ("requirements.txt", "requirements-dev.txt", *(f"requirements-{name}.txt" for name in install.EXTRAS))
"""Of the platform's environment with all extras, whose wheels are a hundredth of it."""
VLLM_LOCK = "requirements-vllm.txt"


@dataclass(frozen=True, slots=True)
class Checkout:
    """The project's files as they are handed on."""

    root: Path
    files: tuple[str, ...]
    revision: str
    made_at: datetime
    is_changed: bool

    @property
    def bundle_id(self) -> str:
        """Names the archive."""
        return self.revision[:12] + ("-changed" if self.is_changed else "")


def make_bundle(
    target: Path,
    private_key: Path,
    *,
    with_vllm: bool = True,
    uncommitted: bool = False,
    glibc: str | None = None,
    root: Path = REPOSITORY_ROOT,
    on_progress: OnProgress,
) -> BundleReport:
    """Write `tuneway-<commit>.tar` into the folder `target`, and its SHA-256 beside it.

    Killed at any instant it leaves no archive of that name; what was fetched is found again by the next call.
    Raises InvalidRequestError, NotFoundError, ConflictError (uncommitted changes, another call at work), CapacityError and
    UnavailableError.
    """
    began = time.monotonic()
    # a wrong key is told before an hour of work
    sign_bytes(b"", private_key)
    checkout = read_checkout(root)
    if checkout.is_changed and not uncommitted:
        raise ConflictError(
            "Files differ from the commit that the archive would name",
            value=checkout.revision[:12],
            next_step="commit them, or bundle them as they are with --uncommitted",
        )
    work = root / "build" / "bundle"
    with _only_one(work):
        require_room(work, FETCHED_BYTES[with_vllm], "the packages")
        wheels = _collect_all(root, work, with_vllm=with_vllm, glibc=glibc, on_progress=on_progress)
        cerbos = _fetch_cerbos(root, work)
        members = _members(checkout, wheels, cerbos)
        bundle = Bundle(
            bundle_id=checkout.bundle_id,
            revision=checkout.revision,
            made_at=checkout.made_at,
            python=f"{sys.version_info.major}.{sys.version_info.minor}",
            machine=platform.machine(),
            glibc=needed_glibc(wheels),
            torch=next((wheel.version for wheel in wheels if wheel.name == "torch"), ""),
            with_vllm=with_vllm,
            extras=install.EXTRAS,
            installed_bytes=installed_bytes(wheels) + (cerbos.stat().st_size if cerbos else 0),
        )
        folder = work / "contents"
        digests = _write_contents(folder, bundle, members, wheels, cerbos, on_progress)
        signer = _sign(folder, digests, private_key)
        members |= {path.name: path for path in folder.iterdir()}
        archive = target / f"tuneway-{bundle.bundle_id}.tar"
        total = sum(path.stat().st_size for path in members.values())
        require_room(target, total + 1024 * len(members), "the archive")
        sha256 = _write_archive(archive, members, total, bundle, on_progress)
    return BundleReport(
        archive=str(archive),
        size=archive.stat().st_size,
        sha256=sha256,
        bundle=bundle,
        signer=signer,
        files=len(members),
        wheels=len(wheels),
        seconds=time.monotonic() - began,
    )


def read_checkout(root: Path) -> Checkout:
    """What git keeps there. Raises NotFoundError outside a checkout."""

    def git(*arguments: str) -> str:
        ended = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
        if ended.returncode != 0:
            raise NotFoundError(
                "An archive is made from a git checkout with a commit",
                value=f"{root}: {ended.stderr.strip()}",
                next_step="clone the project and run `make setup` and `tuneway bundle` there",
            )
        return ended.stdout

    names = [name for name in git("ls-files", "-z").split("\0") if name]
    return Checkout(
        root=root,
        files=tuple(sorted(name for name in names if (root / name).is_file())),
        revision=git("rev-parse", "HEAD").strip(),
        made_at=datetime.fromtimestamp(int(git("log", "-1", "--format=%ct").strip()), UTC),
        is_changed=bool(git("status", "--porcelain", "--untracked-files=no").strip()),
    )


def require_room(folder: Path, needed: int, what: str) -> None:
    """Raise CapacityError where the folder's disk has less than that left."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise CapacityError(
            f"The disk has no room for {what}",
            value=f"{free / 1e9:.1f} GB free in {folder}",
            allowed=f"at least {needed / 1e9:.1f} GB",
            next_step="make room, or name another folder with --to",
        )


@contextmanager
def _only_one(work: Path) -> Iterator[None]:
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConflictError(
                "Another `tuneway bundle` of this checkout is at work", value=work, next_step="wait until it has ended"
            ) from error
        yield


def _collect_all(root: Path, work: Path, *, with_vllm: bool, glibc: str | None, on_progress: OnProgress) -> list[Wheel]:
    uv = install.find_uv()
    if uv is None:
        raise NotFoundError("uv is needed to bundle", next_step="run `make setup` where pip reaches its index")
    version = install.run([str(uv), "--version"]).stdout.split()[1]
    sources = install.package_sources(Path(sys.executable)).as_options()
    locks = [root / name for name in LOCKS]
    folders = {"wheels": [*resolved(uv, locks, sources), f"uv=={version}"]}
    if with_vllm:
        folders["wheels-vllm"] = listed((root / VLLM_LOCK).read_text(encoding="utf-8"))
    for name, requirements in folders.items():
        collect(requirements, work / name, name, on_progress, glibc=glibc)
    require_complete(uv, locks, [work / "wheels"], dependencies=True)
    if with_vllm:
        require_complete(uv, [root / VLLM_LOCK], [work / "wheels-vllm"], dependencies=False)
    return [wheel for name in folders for wheel in wheels_in(work / name)]


def _fetch_cerbos(root: Path, work: Path) -> Path | None:
    """The binary of this environment, if it is the very file that was tried; a toy project has none."""
    listing = root / "setup" / "cerbos.sha256"
    if not listing.exists():
        return None
    wanted, _ = listing.read_text(encoding="utf-8").split()
    target = work / "cerbos"
    if target.exists() and sha256_of_file(target) == wanted:
        return target
    source = root / ".venv" / "bin" / "cerbos"
    if not source.exists():
        raise NotFoundError("Cerbos is not here", value=source, next_step="run `make setup`, which fetches it from npm")
    with source.open("rb") as stream:
        try:
            install.place_checked(stream, target, wanted)
        except install.InstallError as error:
            raise InvalidRequestError("Cerbos cannot be bundled", value=error, next_step="run `make setup`") from error
    return target


def _members(checkout: Checkout, wheels: list[Wheel], cerbos: Path | None) -> dict[str, Path]:
    """Every file of the archive by its name there, but for those that are made."""
    members = {f"project/{name}": checkout.root / name for name in checkout.files}
    members |= {f"{wheel.path.parent.name}/{wheel.path.name}": wheel.path for wheel in wheels}
    if cerbos is not None:
        members["cerbos"] = cerbos
    return members


def _write_contents(
    folder: Path,
    bundle: Bundle,
    members: dict[str, Path],
    wheels: list[Wheel],
    cerbos: Path | None,
    on_progress: OnProgress,
) -> dict[str, str]:
    """Write what is made anew for each archive; the SHA-256 of every file by its name."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copyfile(install.ROOT / "setup" / "install_bundle.sh", folder / "install.sh")
    (folder / "install.sh").chmod(0o755)
    write_json_atomically(folder / "bundle.json", bundle.model_dump(mode="json"))
    digests: dict[str, str] = {}
    total = sum(path.stat().st_size for path in members.values())
    done = 0
    for name, path in sorted(members.items()):
        digests[name] = sha256_of_file(path)
        done += path.stat().st_size
        on_progress("checksums", done, total)
    parts = [
        Part(
            kind="library",
            ecosystem="pypi",
            name=wheel.name,
            version=wheel.version,
            sha256=digests[f"{wheel.path.parent.name}/{wheel.path.name}"],
            file=f"{wheel.path.parent.name}/{wheel.path.name}",
            metadata=metadata_of(wheel),
        )
        for wheel in wheels
    ]
    if cerbos is not None:
        parts.append(Part("application", "npm", "cerbos", install.CERBOS_VERSION, digests["cerbos"], "cerbos"))
    bill = software_bill("tuneway", bundle.bundle_id, bundle.made_at.isoformat(), parts)
    write_json_atomically(folder / "sbom.json", bill)
    return digests | {path.name: sha256_of_file(path) for path in sorted(folder.iterdir())}


def _sign(folder: Path, digests: dict[str, str], private_key: Path) -> str:
    """Write the checksums and their signature; the signer's fingerprint."""
    for name in digests:
        if "\n" in name or "\\" in name:
            raise InvalidRequestError(
                "A file's name cannot be written into a list of checksums",
                value=name,
                allowed="names without a line break or a backslash",
                next_step="rename it",
            )
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    write_text_atomically(folder / CHECKSUMS, text)
    signature, fingerprint = sign_bytes(text.encode(), private_key)
    write_bytes_atomically(folder / SIGNATURE, signature)
    return fingerprint


def _write_archive(archive: Path, members: dict[str, Path], total: int, bundle: Bundle, on_progress: OnProgress) -> str:
    """Stream the files into the archive under a temporary name; its SHA-256."""
    temporary = archive.with_name(f".{archive.name}.tmp")
    top = archive.name.removesuffix(".tar")
    names = [*(name for name in FIRST if name in members), *sorted(members.keys() - set(FIRST))]
    done = 0
    with temporary.open("wb") as stream:
        hashed = _HashedStream(stream)
        # no compression: a wheel is compressed, and the rest is a hundredth of it
        with tarfile.open(fileobj=hashed, mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 20) as tar:  # type: ignore[call-overload]
            for name in names:
                entry = _entry(f"{top}/{name}", members[name], int(bundle.made_at.timestamp()))
                with members[name].open("rb") as content:
                    tar.addfile(entry, content)
                done += entry.size
                on_progress("archive", done, total)
        stream.flush()
        os.fsync(stream.fileno())
    sha256 = hashed.digest.hexdigest()
    temporary.replace(archive)
    fsync_path(archive.parent)
    write_text_atomically(archive.with_name(f"{archive.name}.sha256"), f"{sha256}  {archive.name}\n")
    return sha256


def _entry(name: str, path: Path, modified: int) -> tarfile.TarInfo:
    """Of nobody, and of the commit's time: nothing of this machine is in the archive."""
    entry = tarfile.TarInfo(name)
    status = path.stat()
    entry.size = status.st_size
    entry.mode = 0o755 if status.st_mode & 0o100 else 0o644
    entry.mtime = modified
    return entry


class _HashedStream:
    """Passes bytes on and digests them: the archive is not read a second time."""

    def __init__(self, stream: object) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def write(self, content: bytes) -> int:
        """Pass on."""
        self.digest.update(content)
        self._stream.write(content)  # type: ignore[attr-defined]
        return len(content)
