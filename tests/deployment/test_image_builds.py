"""The images, built by buildah over small stand-ins of their bases: every line of the Dockerfiles, without the Python packages.

Neither a container engine nor a registry is needed; Debian's packages are, and root. docs/containers.md tells how whole images are
built in the same way.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
CERBOS = ROOT / ".venv" / "bin" / "cerbos"
DNF = """#!/bin/sh
[ "$1" = install ] || exit 0
shift
names=
for name in "$@"; do
    case $name in
    -y) ;;
    python3.11-pip) names="$names python3.11-venv" ;;
    python3.11-devel) names="$names python3.11-dev" ;;
    gcc-c++) names="$names g++" ;;
    libgomp) names="$names libgomp1" ;;
    *) names="$names $name" ;;
    esac
done
apt-get update -qq && exec apt-get install -qq -y --no-install-recommends $names
"""
"""What images/trainer.Dockerfile calls on Rocky Linux, by Debian's names."""
pytestmark = [pytest.mark.deep, pytest.mark.timeout(2400)]


@dataclass(frozen=True)
class Builder:
    """Buildah with a store of its own."""

    store: Path

    def __call__(self, *arguments: str) -> str:
        """The output of one command. Fails the test with the end of what it said."""
        options = ["--root", str(self.store / "graph"), "--runroot", str(self.store / "run"), "--storage-driver", "vfs"]
        environment = {**os.environ, "BUILDAH_ISOLATION": "chroot", "TMPDIR": str(self.store)}
        done = subprocess.run(
            ["buildah", *options, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, "\n".join((done.stdout + done.stderr).splitlines()[-40:])
        return done.stdout.strip()


@pytest.fixture(scope="module")
def builder(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("building without an engine needs root")
    lacking = [name for name in ("buildah", "debootstrap") if shutil.which(name) is None]
    if lacking or not CERBOS.exists():
        pytest.skip(f"needs {', '.join(lacking) or CERBOS}: apt-get install buildah debootstrap, make setup")
    store = tmp_path_factory.mktemp("images")
    yield Builder(store)
    shutil.rmtree(store, ignore_errors=True)


@pytest.fixture(scope="module")
def bases(builder):
    """A Debian with Python 3.11 for each base; the trainer's has a `dnf`."""
    system = builder.store / "system"
    made = subprocess.run(
        [
            *(
                "debootstrap",
                "--variant=minbase",
                "--include=python3.11,python3.11-venv,python3-distutils,ca-certificates",
            ),
            *("bookworm", str(system)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.skip(f"Debian's packages cannot be had: {made.stdout.strip().splitlines()[-1:]}")
    (system / "etc" / "dpkg" / "dpkg.cfg.d" / "unsafe-io").write_text("force-unsafe-io\n", encoding="utf-8")
    _image_of(builder, system, "base")
    dnf = system / "usr" / "local" / "bin" / "dnf"
    dnf.write_text(DNF, encoding="utf-8")
    dnf.chmod(0o755)
    _image_of(builder, system, "base-dnf")
    shutil.rmtree(system)
    return {"BASE_IMAGE": "localhost/base", "CUDA_IMAGE": "localhost/base-dnf", "VLLM_IMAGE": "localhost/base"}


def _image_of(builder: Builder, system: Path, name: str) -> None:
    container = builder("from", "scratch")
    builder("copy", "--quiet", container, str(system), "/")
    builder("config", "--env", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", container)
    builder("commit", "--quiet", "--rm", container, f"localhost/{name}")


@pytest.fixture(scope="module")
def clone(builder):
    """The files of the repository without packages to install, as an account with the umask 077 has them."""
    folder = builder.store / "clone"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.strip("\0").split("\0"):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    for lock in folder.glob("requirements*.txt"):
        lock.write_text("# nothing\n", encoding="utf-8")
    # what must not come in
    (folder / "secrets").mkdir()
    (folder / "secrets" / "postgres_password").write_text("secret", encoding="utf-8")
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o700 if path.stat().st_mode & 0o100 else 0o600)
    return folder


@pytest.fixture(scope="module")
def archive(builder):
    """What an unpacked archive of `tuneway bundle` has for a build: wheels (none) and Cerbos."""
    folder = builder.store / "archive"
    (folder / "wheels").mkdir(parents=True)
    shutil.copy(CERBOS, folder / "cerbos")
    return folder


@pytest.fixture(scope="module")
def build(builder, bases, clone, archive) -> Callable[[str, str], Callable[[str], str]]:
    """Build one Dockerfile over a base; gives a function that runs a shell command in it as its own account."""

    def run(path: str, base: str) -> Callable[[str], str]:
        name = f"localhost/{path.lower().replace('/', '-')}"
        arguments = ["--build-arg", f"{base}={bases[base]}", "--build-context", f"bundle={archive}"]
        builder(
            "build", "--pull-never", "--format", "docker", "-f", str(clone / path), "-t", name, *arguments, str(clone)
        )
        container = builder("from", "--pull-never", name)
        return lambda command: builder("run", container, "--", "sh", "-c", command)

    return run


@pytest.mark.parametrize(("path", "base"), [("Dockerfile", "BASE_IMAGE"), ("images/trainer.Dockerfile", "CUDA_IMAGE")])
def test_an_image_of_the_platform_is_built_and_its_account_reads_all_of_it_and_writes_none(build, path, base):
    inside = build(path, base)
    assert inside("id -u; id -g") == "10001\n10001"
    assert inside("find /app ! -readable; find /app ! -type l -writable") == ""
    assert inside("find /app ! -user root | head -n 1") == ""
    assert inside("ls -A /app | grep -x -e tests -e secrets -e .git -e .make -e .env || true") == ""
    assert inside("stat -c %U /data") == "tuneway"
    assert inside("python -c 'import sys; print(sys.prefix)'") == "/app/.venv"
    assert inside("/app/.venv/bin/cerbos --version | head -n 1")
    assert inside("g++ --version | head -n 1 && command -v setpriv")


def test_the_image_of_a_model_server_is_built_and_has_a_folder_that_its_account_writes(build):
    inside = build("images/server.Dockerfile", "VLLM_IMAGE")
    assert inside("id -u && touch /cache/one && stat -c %U /cache/one") == "10001\ntuneway"
