"""The wheels of an environment: fetched by pip from the sources it is configured with, and tried by uv without any."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from contracts.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from data_prep.rows import OnProgress

AT_ONCE = 12
"""Requirements of one call of pip: what a kill loses, and the step of the progress."""
SHOWN_LINES = 12
INDEX_HINT = "bundle on a machine that reaches the package index (pip's settings say which), then run it again"
GLIBC_TAG = re.compile(r"manylinux_(\d+)_(\d+)_")
OLDEST_GLIBC = (2, 5)
OLD_GLIBC_TAGS = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}


@dataclass(frozen=True, slots=True)
class Wheel:
    """One wheel in its folder."""

    path: Path
    name: str
    version: str


def wheels_in(folder: Path) -> list[Wheel]:
    """The wheels of a folder by name."""
    found = []
    for path in sorted(folder.glob("*.whl")):
        name, version, _, _ = parse_wheel_filename(path.name)
        found.append(Wheel(path, str(name), str(version)))
    return found


def resolved(uv: Path, locks: Sequence[Path], sources: Sequence[str]) -> list[str]:
    """What the locks list and, for a build of torch that brings more (CUDA), what that asks for; `name==version` each.

    Raises UnavailableError with uv's words.
    """
    output = _run(
        [
            *(str(uv), "pip", "compile", "--quiet", "--python", sys.executable, "--no-header", "--no-annotate"),
            *(("--index-strategy", "unsafe-best-match") if "--extra-index-url" in sources else ()),
            *sources,
            *(str(lock) for lock in locks),
        ],
        "The packages could not be resolved",
    )
    return listed(output)


def listed(lock: str) -> list[str]:
    """The requirements of a lock file's text."""
    lines = (line.split("#")[0].strip().rstrip("\\").strip() for line in lock.splitlines())
    return [line for line in lines if line and not line.startswith("-")]


def collect(
    requirements: Iterable[str], folder: Path, what: str, on_progress: OnProgress, *, glibc: str | None = None
) -> None:
    """Bring the folder's wheels to the requirements: others leave it, what is there stays, a killed call goes on.

    With `glibc` (`2.28`) only wheels that run on a system with that C library count.
    Raises UnavailableError with pip's words, or with the wheel that no such system can use.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [
        one for one in (Requirement(text) for text in requirements) if one.marker is None or one.marker.evaluate()
    ]
    there = {}
    for wheel in wheels_in(folder):
        if _runs_on(glibc, wheel) and any(_satisfies(wheel, one) for one in wanted):
            there[wheel.name] = wheel
        else:
            wheel.path.unlink()
    missing = [one for one in wanted if canonicalize_name(one.name) not in there]
    done = len(wanted) - len(missing)
    on_progress(what, done, len(wanted))
    arriving = folder / ".arriving"
    for start in range(0, len(missing), AT_ONCE):
        some = missing[start : start + AT_ONCE]
        shutil.rmtree(arriving, ignore_errors=True)
        _run(
            [
                *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"),
                *("--wheel-dir", str(arriving)),
                *(f"{one.name}{_extras(one)}{one.specifier}" for one in some),
            ],
            "The wheels could not be fetched",
        )
        for wheel in wheels_in(arriving):
            if not _runs_on(glibc, wheel):
                wheel.path.unlink()
                _fetch_for(str(glibc), wheel, arriving)
        for path in arriving.glob("*.whl"):
            # whole by its name: what is in the folder was fetched to its end
            path.replace(folder / path.name)
        done += len(some)
        on_progress(what, done, len(wanted))
    shutil.rmtree(arriving, ignore_errors=True)


def require_complete(uv: Path, locks: Sequence[Path], folders: Sequence[Path], *, dependencies: bool) -> None:
    """Raise UnavailableError unless the locks can be installed from the folders alone, without a network."""
    _run(
        [
            *(str(uv), "pip", "compile", "--quiet", "--python", sys.executable, "--offline", "--no-index"),
            *("--only-binary", ":all:", "--no-header", "--no-annotate"),
            *(() if dependencies else ("--no-deps",)),
            *(part for folder in folders for part in ("--find-links", str(folder))),
            *(str(lock) for lock in locks),
        ],
        "The collected wheels are not enough for an installation",
    )


def needed_glibc(wheels: Iterable[Wheel]) -> str:
    """The oldest GNU C library on which all of them run: of each the most modest tag, of all the most demanding."""
    needed = max((_glibc_of(wheel) for wheel in wheels), default=OLDEST_GLIBC)
    return f"{needed[0]}.{needed[1]}"


def installed_bytes(wheels: Iterable[Wheel]) -> int:
    """What the wheels take when they are unpacked, with compiled modules, which are about as large as their sources."""
    total = 0
    for wheel in wheels:
        with zipfile.ZipFile(wheel.path) as archive:
            total += sum(one.file_size * (2 if one.filename.endswith(".py") else 1) for one in archive.infolist())
    return total


def metadata_of(wheel: Wheel) -> str:
    """The METADATA file. Raises UnavailableError for a wheel without one."""
    with zipfile.ZipFile(wheel.path) as archive:
        for name in archive.namelist():
            if name.count("/") == 1 and name.endswith(".dist-info/METADATA"):
                return archive.read(name).decode("utf-8", errors="replace")
    raise UnavailableError(
        "A wheel has no metadata", value=wheel.path.name, next_step="remove the file and bundle again"
    )


def _glibc_of(wheel: Wheel) -> tuple[int, int]:
    """What the wheel's name asks of the system, of several tags the most modest one."""
    found = []
    for tag in (tag.platform for tag in parse_wheel_filename(wheel.path.name)[3]):
        old = next((version for name, version in OLD_GLIBC_TAGS.items() if tag.startswith(f"{name}_")), None)
        if matched := GLIBC_TAG.match(tag):
            found.append((int(matched[1]), int(matched[2])))
        elif old is not None:
            found.append(old)
        elif tag.startswith("linux_"):
            # compiled here, against the library that is here
            found.append(_parsed(str(os.confstr("CS_GNU_LIBC_VERSION")).rpartition(" ")[2]))
    return min(found, default=OLDEST_GLIBC)


def _parsed(glibc: str) -> tuple[int, int]:
    major, minor = glibc.split(".")[:2]
    return int(major), int(minor)


def _runs_on(glibc: str | None, wheel: Wheel) -> bool:
    return glibc is None or _glibc_of(wheel) <= _parsed(glibc)


def _fetch_for(glibc: str, wheel: Wheel, folder: Path) -> None:
    """Another build of the wheel's version, for a system with that C library."""
    major, minor = _parsed(glibc)
    tags = [f"manylinux_{major}_{number}" for number in range(minor, 4, -1)]
    tags += [name for name, version in OLD_GLIBC_TAGS.items() if version <= (major, minor)]
    abis = (f"cp{sys.version_info.major}{sys.version_info.minor}", "abi3", "none")
    _run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *("--only-binary", ":all:", "--implementation", "cp", "--python-version", "3.11"),
            *(part for abi in abis for part in ("--abi", abi)),
            *(part for tag in tags for part in ("--platform", f"{tag}_{platform.machine()}")),
            *("--dest", str(folder), f"{wheel.name}=={wheel.version}"),
        ],
        f"{wheel.name} {wheel.version} has no wheel for systems with the GNU C library {glibc}",
        "bundle on a machine with the site's own system, where such packages are compiled; or leave out what needs it "
        "(--without-vllm)",
    )


def _satisfies(wheel: Wheel, requirement: Requirement) -> bool:
    return wheel.name == canonicalize_name(requirement.name) and requirement.specifier.contains(
        Version(wheel.version), prereleases=True
    )


def _extras(requirement: Requirement) -> str:
    return f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""


def _run(command: list[str], what: str, next_step: str = INDEX_HINT) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if ended.returncode != 0:
        lines = (ended.stdout + ended.stderr).strip().splitlines()[-SHOWN_LINES:]
        raise UnavailableError(
            what,
            value="\n    ".join(lines),
            next_step=next_step,
        )
    return ended.stdout
