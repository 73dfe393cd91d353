"""An archive of a small project: what is in it, and what `install.sh` takes and refuses."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from contracts.errors import CapacityError, ConflictError, InvalidRequestError, NotFoundError, UnavailableError
from security.signing import make_key_pair
from setup import install
from stages.bundles import making
from stages.bundles.making import make_bundle, require_room
from stages.bundles.wheels import Wheel, collect, needed_glibc, wheels_in

ROOT = Path(__file__).resolve().parent.parent.parent
UV = install.find_uv()


def write_wheel(folder: Path, name: str, version: str, tag: str = "py3-none-any", needs: str = "") -> Path:
    path = folder / f"{name}-{version}-{tag}.whl"
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nLicense-Expression: MIT\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/__init__.py", f"VERSION = {version!r}\n")
        archive.writestr(f"{info}/METADATA", metadata + (f"Requires-Dist: {needs}\n" if needs else ""))
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def git(folder: Path, *arguments: str) -> None:
    names = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    subprocess.run(["git", "-C", str(folder), *names, *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """All the packages of the small world."""
    assert UV is not None
    folder = tmp_path_factory.mktemp("sources")
    write_wheel(folder, "toy", "1.0", needs="toypart")
    write_wheel(folder, "toypart", "2.0")
    write_wheel(folder, "toyqueue", "1.5")
    # the installer's own package, without the program: the installation falls back to pip
    write_wheel(folder, "uv", install.run([str(UV), "--version"]).stdout.split()[1])
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A checkout with the setup of this one."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "setup", folder / "setup", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "setup" / "cerbos.sha256").unlink()
    shutil.copy(ROOT / "tuneway", folder)
    (folder / "requirements.txt").write_text("toy==1.0\ntoypart==2.0\n", encoding="utf-8")
    (folder / "requirements-celery.txt").write_text("toypart==2.0\ntoyqueue==1.5\n", encoding="utf-8")
    for name in ("dev", "cluster", "kubernetes"):
        (folder / f"requirements-{name}.txt").write_text("# nothing more\n", encoding="utf-8")
    (folder / "문서.md").write_text("# 안내\n", encoding="utf-8")
    (folder / ".gitignore").write_text("/build/\n__pycache__/\n", encoding="utf-8")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    for name in ("site", "other"):
        make_key_pair(folder / f"{name}.pem", folder / f"{name}.pub.pem")
    return folder


@pytest.fixture(autouse=True, scope="module")
def local_packages_only(sources):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(sources))
        patch.setenv("PIP_CONFIG_FILE", os.devnull)
        yield


@pytest.fixture(scope="module")
def archive(project, keys, tmp_path_factory):
    """The archive, and what was told of it."""
    told = []
    report = make_bundle(
        tmp_path_factory.mktemp("dist"),
        keys / "site.pem",
        with_vllm=False,
        root=project,
        on_progress=lambda what, done, total: told.append((what, done, total)),
    )
    assert {what for what, _, _ in told} == {"wheels", "checksums", "archive"}
    assert all(done <= total for _, done, total in told)
    return report


@pytest.fixture
def unpacked(archive, tmp_path):
    with tarfile.open(archive.archive) as tar:
        tar.extractall(tmp_path, filter="data")
    return tmp_path / f"tuneway-{archive.bundle.bundle_id}"


def run_install(unpacked: Path, *arguments: object, language: str = "en") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(unpacked / "install.sh"), *(str(one) for one in arguments)],
        env={**os.environ, "TUNEWAY_LANGUAGE": language, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_archive_holds_project_wheels_bill_checksums_and_signature_and_says_what_it_needs(archive, unpacked, keys):
    names = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    assert {"install.sh", "bundle.json", "sbom.json", "SHA256SUMS", "SHA256SUMS.sig"} <= names
    assert {"project/문서.md", "project/tuneway", "project/setup/install.py"} <= names
    wheels = {"toy-1.0", "toypart-2.0", "toyqueue-1.5"}
    assert {f"wheels/{wheel}-py3-none-any.whl" for wheel in wheels} <= names
    assert not any("__pycache__" in name or "build/" in name for name in names)
    assert archive.files == len(names)
    # checked by a program that is not ours
    verified = subprocess.run(
        [
            "openssl",
            "dgst",
            "-sha256",
            "-verify",
            str(keys / "site.pub.pem"),
            "-signature",
            "SHA256SUMS.sig",
            "SHA256SUMS",
        ],
        cwd=unpacked,
        capture_output=True,
        check=False,
    )
    assert verified.returncode == 0
    assert subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=unpacked, check=False).returncode == 0
    bill = json.loads((unpacked / "sbom.json").read_text(encoding="utf-8"))
    purls = {part["purl"]: part for part in bill["components"]}
    assert {"pkg:pypi/toy@1.0", "pkg:pypi/toypart@2.0", "pkg:pypi/toyqueue@1.5"} < purls.keys()
    assert purls["pkg:pypi/toy@1.0"]["licenses"] == [{"expression": "MIT"}]
    listed = dict(reversed(line.split("  ")) for line in (unpacked / "SHA256SUMS").read_text().splitlines())
    assert purls["pkg:pypi/toy@1.0"]["hashes"][0]["content"] == listed["wheels/toy-1.0-py3-none-any.whl"]


def test_the_same_commit_and_wheels_give_the_same_bytes_but_for_the_signature(archive, project, keys, tmp_path):
    again = make_bundle(tmp_path, keys / "site.pem", with_vllm=False, root=project, on_progress=lambda *_: None)

    def contents(path):
        with tarfile.open(path) as tar:
            return [
                (one.name, one.mode, one.mtime, one.uid, (tar.extractfile(one) or io.BytesIO()).read())
                for one in tar
                if not one.name.endswith(".sig")
            ]

    assert contents(again.archive) == contents(archive.archive)


def test_a_dry_run_verifies_all_and_writes_nothing(unpacked, keys, tmp_path):
    ended = run_install(unpacked, "--public-key", keys / "site.pub.pem", "--to", tmp_path / "opt", "--dry-run")
    assert ended.returncode == 0, ended.stderr
    assert "Nothing was written" in ended.stdout
    assert not (tmp_path / "opt").exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda folder: (folder / "wheels" / "toy-1.0-py3-none-any.whl").write_bytes(b"!"),
            "wheels/toy-1.0-py3-none-any.whl",
        ),
        (lambda folder: (folder / "project" / "문서.md").unlink(), "1 files are missing, the first is project/문서.md"),
        (lambda folder: (folder / "wheels" / "toy-1.0-1-py3-none-any.whl").touch(), "not signed: wheels/toy-1.0-1-py3"),
        (lambda folder: (folder / "SHA256SUMS").unlink(), "Missing: SHA256SUMS"),
        (lambda folder: (folder / "SHA256SUMS").write_bytes(b""), "The signature does not fit"),
        (lambda folder: (folder / "wheels" / "x.whl").symlink_to("/etc/hostname"), "not signed: wheels/x.whl"),
    ],
    ids=["damaged", "missing", "added", "no_checksums", "other_checksums", "link"],
)
def test_what_is_not_as_it_was_signed_is_named_and_nothing_is_installed(unpacked, keys, tmp_path, damage, message):
    damage(unpacked)
    ended = run_install(unpacked, "--public-key", keys / "site.pub.pem", "--to", tmp_path / "opt")
    assert ended.returncode == 3
    assert message in ended.stderr
    assert not (tmp_path / "opt").exists()


def test_an_archive_signed_by_somebody_else_is_refused_in_both_languages(unpacked, keys, tmp_path):
    arguments = ("--public-key", keys / "other.pub.pem", "--to", tmp_path / "opt")
    ended = run_install(unpacked, *arguments)
    assert (ended.returncode, "The signature does not fit" in ended.stderr) == (3, True)
    assert "서명이 맞지 않습니다" in run_install(unpacked, *arguments, language="ko").stderr


@pytest.mark.parametrize("wrong", ["dask", "celery,dask", "vllm", "*", "cel"])
def test_an_extra_that_the_archive_lacks_is_named_with_those_it_has_and_nothing_is_installed(
    unpacked, keys, tmp_path, wrong
):
    arguments = ("--public-key", keys / "site.pub.pem", "--to", tmp_path / "opt", "--with", wrong)
    ended = run_install(unpacked, *arguments)
    assert ended.returncode == 2
    message = f"there is no {wrong.removeprefix('celery,')}. This archive has: celery cluster kubernetes"
    assert message in ended.stderr
    assert "쓸 수 없는 이름입니다" in run_install(unpacked, *arguments, language="ko").stderr
    assert not (tmp_path / "opt").exists()


def test_extras_without_names_are_no_extras_asked_for(unpacked, keys, tmp_path):
    ended = run_install(unpacked, "--public-key", keys / "site.pub.pem", "--to", tmp_path / "opt", "--with", "")
    assert (ended.returncode, "--with needs a value" in ended.stderr) == (2, True)


@pytest.mark.slow
def test_extras_are_installed_from_the_archive_alone_and_an_update_keeps_them(unpacked, keys, tmp_path):
    target = tmp_path / "opt"
    arguments = ("--public-key", keys / "site.pub.pem", "--to", target)
    for options, is_there in (((), False), (("--with", "celery,cluster"), True), ((), True)):
        ended = run_install(unpacked, *arguments, *options)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        shown = subprocess.run(
            [target / ".venv" / "bin" / "python", "-c", "import toyqueue"], capture_output=True, check=False
        )
        assert (shown.returncode == 0) == is_there
    assert ".venv is up to date" in ended.stdout
    assert (target / ".make" / "extras").read_text(encoding="utf-8").split() == ["celery", "cluster"]


def test_half_an_archive_is_told_by_what_it_lacks(archive, keys, tmp_path):
    half = tmp_path / "half.tar"
    content = Path(archive.archive).read_bytes()
    half.write_bytes(content[: len(content) * 2 // 3])
    subprocess.run(["tar", "xf", half.name], cwd=tmp_path, check=False, capture_output=True)
    (folder,) = tmp_path.glob("tuneway-*")
    ended = run_install(folder, "--public-key", keys / "site.pub.pem", "--to", tmp_path / "opt")
    assert ended.returncode == 3
    assert "The archive is not whole" in ended.stderr


def test_a_folder_with_something_else_in_it_is_left_alone(unpacked, keys, tmp_path):
    (tmp_path / "opt").mkdir()
    (tmp_path / "opt" / "letter.txt").write_text("mine", encoding="utf-8")
    ended = run_install(unpacked, "--public-key", keys / "site.pub.pem", "--to", tmp_path / "opt")
    assert ended.returncode == 2
    assert "neither empty nor installed by this script" in ended.stderr
    assert [path.name for path in (tmp_path / "opt").iterdir()] == ["letter.txt"]


def test_an_old_c_library_is_told_before_anything_is_written(unpacked, keys, tmp_path):
    (tmp_path / "getconf").write_text("#!/bin/sh\necho glibc 2.4\n", encoding="utf-8")
    (tmp_path / "getconf").chmod(0o755)
    ended = subprocess.run(
        ["sh", unpacked / "install.sh", "--public-key", keys / "site.pub.pem", "--to", tmp_path / "opt"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "TUNEWAY_LANGUAGE": "en"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "too old, 2.5 is needed" in ended.stderr


@pytest.mark.slow
@pytest.mark.deep
def test_an_installation_that_was_killed_is_completed_by_the_next_and_an_update_removes_what_is_gone(
    unpacked, archive, project, keys, tmp_path
):
    target = tmp_path / "opt"
    arguments = ("--public-key", keys / "site.pub.pem", "--to", target)
    for seconds in (0.3, 1.5, 4):
        process = subprocess.Popen(
            ["/bin/sh", str(unpacked / "install.sh"), *(str(one) for one in arguments)],
            env={**os.environ, "PYTHON": sys.executable},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        # nobody starts half of an installation
        assert not (target / "tuneway").exists()
    ended = run_install(unpacked, *arguments)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    python = target / ".venv" / "bin" / "python"
    shown = subprocess.run(
        [python, "-c", "import toy, toypart; print(toypart.VERSION)"], capture_output=True, text=True
    )
    assert shown.stdout.strip() == "2.0"
    assert (target / ".tuneway-bundle").read_text().strip() == f"installed {archive.bundle.bundle_id}"
    (target / "var").mkdir()
    (target / "var" / "kept").touch()
    again = run_install(unpacked, *arguments)
    assert ".venv is up to date" in again.stdout

    newer = tmp_path / "newer"
    shutil.copytree(project, newer)
    (newer / "문서.md").unlink()
    (newer / "new.md").write_text("new\n", encoding="utf-8")
    git(newer, "add", "--all")
    git(newer, "commit", "--quiet", "--message", "second")
    report = make_bundle(tmp_path, keys / "site.pem", with_vllm=False, root=newer, on_progress=lambda *_: None)
    with tarfile.open(report.archive) as tar:
        tar.extractall(tmp_path, filter="data")
    updated = run_install(tmp_path / f"tuneway-{report.bundle.bundle_id}", *arguments)
    assert updated.returncode == 0, updated.stderr
    assert not (target / "문서.md").exists()
    assert (target / "new.md").exists()
    assert (target / "var" / "kept").exists()


def test_changes_that_are_not_committed_are_not_bundled_unless_told(project, keys, tmp_path):
    changed = tmp_path / "changed"
    shutil.copytree(project, changed)
    (changed / "tuneway").write_text("#!/bin/sh\n", encoding="utf-8")
    with pytest.raises(ConflictError, match="differ from the commit"):
        make_bundle(tmp_path, keys / "site.pem", with_vllm=False, root=changed, on_progress=lambda *_: None)
    report = make_bundle(
        tmp_path, keys / "site.pem", with_vllm=False, uncommitted=True, root=changed, on_progress=lambda *_: None
    )
    assert report.archive.endswith("-changed.tar")


def test_no_checkout_and_no_key_and_no_room_are_told_at_once(project, keys, tmp_path):
    def bundle(root, key):
        make_bundle(tmp_path, key, with_vllm=False, root=root, on_progress=lambda *_: None)

    with pytest.raises(NotFoundError, match="git checkout"):
        bundle(tmp_path, keys / "site.pem")
    with pytest.raises(InvalidRequestError, match="no private key"):
        bundle(project, keys / "site.pub.pem")
    with pytest.raises(CapacityError, match="has no room for the archive"):
        require_room(tmp_path, 10**18, "the archive")
    with making._only_one(project / "build" / "bundle"), pytest.raises(ConflictError, match="at work"):
        bundle(project, keys / "site.pem")


def test_a_package_that_cannot_be_had_is_named(tmp_path):
    with pytest.raises(UnavailableError, match="nowhere"):
        collect(["nowhere==1.0"], tmp_path, "wheels", lambda *_: None)


def test_wheels_of_other_versions_leave_the_folder_and_those_that_fit_stay(tmp_path):
    write_wheel(tmp_path, "toy", "0.9")
    kept = write_wheel(tmp_path, "toypart", "2.0+cpu").stat().st_mtime_ns
    collect(["toy==1.0", "toypart==2.0", "never==1; sys_platform == 'win32'"], tmp_path, "wheels", lambda *_: None)
    assert [(wheel.name, wheel.version) for wheel in wheels_in(tmp_path)] == [("toy", "1.0"), ("toypart", "2.0+cpu")]
    assert (tmp_path / "toypart-2.0+cpu-py3-none-any.whl").stat().st_mtime_ns == kept


@pytest.mark.deep
@pytest.mark.slow
def test_for_an_older_c_library_another_build_of_the_same_version_is_taken(tmp_path, monkeypatch):
    sources, folder = tmp_path / "sources", tmp_path / "wheels"
    sources.mkdir()
    for tag in ("manylinux_2_17_x86_64", "manylinux_2_34_x86_64"):
        write_wheel(sources, "fast", "3.0", f"cp311-abi3-{tag}")
    write_wheel(sources, "slow", "1.0", "cp311-abi3-manylinux_2_34_x86_64")
    monkeypatch.setenv("PIP_FIND_LINKS", str(sources))
    collect(["fast==3.0"], folder, "wheels", lambda *_: None)
    assert needed_glibc(wheels_in(folder)) == "2.34"
    collect(["fast==3.0"], folder, "wheels", lambda *_: None, glibc="2.28")
    assert needed_glibc(wheels_in(folder)) == "2.17"
    with pytest.raises(UnavailableError, match=r"slow 1\.0 has no wheel for systems with the GNU C library 2\.28"):
        collect(["slow==1.0"], folder, "wheels", lambda *_: None, glibc="2.28")


@pytest.mark.parametrize(
    ("tags", "needed"),
    [
        (["py3-none-any"], "2.5"),
        (["cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64"], "2.17"),
        (["cp311-cp311-manylinux_2_28_x86_64", "cp311-cp311-manylinux2014_x86_64"], "2.28"),
        (["cp311-cp311-manylinux_2_34_x86_64.manylinux_2_17_x86_64"], "2.17"),
    ],
)
def test_the_c_library_that_is_needed_is_that_of_the_most_demanding_wheel(tags, needed):
    assert (
        needed_glibc(Wheel(Path(f"toy{number}-1-{tag}.whl"), "toy", "1") for number, tag in enumerate(tags)) == needed
    )
