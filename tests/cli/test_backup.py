"""The drill: back up under load, destroy everything, restore, compare. With the real PostgreSQL and the real commands."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest

from cli.databases import EMBEDDED_DATABASES
from cli.lifecycle import make_folders
from cli.secret_files import ensure_secrets
from database.embedded import embedded_postgres
from database.migrate import upgrade
from database.unit_of_work import engine_for
from settings import load_settings
from settings.encryption import use_encryption
from stages.audit import record_action, verify_audit
from stages.backups.mark import MARK
from stages.services import open_services
from storage.stored_files import create_stored, open_stored
from tests.cli.command_line import ROOT, tuneway
from tests.ports import free_port_base

pytestmark = pytest.mark.slow


@pytest.fixture
def installation(tmp_path, monkeypatch):
    """The data folder of a platform of which PostgreSQL runs."""
    monkeypatch.setenv("TUNEWAY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TUNEWAY_PORT_BASE", str(free_port_base()))
    monkeypatch.setenv("TUNEWAY_MIN_FREE_DISK_GB", "0.1")
    tmp_path.chmod(0o755)
    settings = load_settings()
    make_folders(settings)
    ensure_secrets(settings)
    start_postgres(settings)
    server = embedded_postgres(settings)
    for name in EMBEDDED_DATABASES:
        server.create_database(name)
        with psycopg.connect(server.connection_string(name)) as connection:
            connection.execute("CREATE TABLE told (what text)")
            connection.execute("INSERT INTO told VALUES (%s)", (f"한국도로공사 {name}",))
    upgrade(settings.resolved_database_url)
    yield settings
    engine_for(settings.resolved_database_url).dispose()
    embedded_postgres(settings).stop()


def start_postgres(settings):
    server = embedded_postgres(settings)
    server.initialise()
    subprocess.Popen(server.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server.wait_until_ready()


def fill(settings):
    """Files as the platform writes them: encrypted, plain, large, linked, closed to writing."""
    use_encryption(settings)
    version = settings.datasets_dir / "versions" / "tolls" / "v1"
    version.mkdir(parents=True)
    with create_stored(version / "rows.jsonl.zst") as stream:
        stream.write("통행료는 얼마입니까?".encode())
    weights = settings.models_dir / "tuned" / "weights.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(os.urandom(3_000_000))
    weights.chmod(0o444)
    (settings.models_dir / "current").symlink_to("tuned")
    (settings.data_dir / "cache").mkdir(exist_ok=True)
    (settings.data_dir / "cache" / "again").write_text("made again when needed")
    (settings.run_dir / "programs.d" / "model-server-tolls.conf").write_text("[program:model-server-tolls]")
    (weights.parent / ".unfinished.tmp").write_text("half")
    return version / "rows.jsonl.zst"


def hashes(folder, names):
    """SHA-256 of every file below these folders."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for name in names
        for path in sorted((folder / name).rglob("*"))
        if path.is_file() and path.suffix != ".tmp"
    }


class Load:
    """Writes rows and files all the time, and knows which were acknowledged."""

    def __init__(self, services) -> None:
        self.acknowledged: list[str] = []
        self._services = services
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> "Load":
        self._thread.start()
        while len(self.acknowledged) < 20:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _write(self):
        journal = self._services.settings.jobs_dir / "train-1" / "metrics.jsonl"
        journal.parent.mkdir(parents=True)
        while not self._ended.is_set():
            number = len(self.acknowledged)
            record_action(self._services, "kim", "thing.done", f"thing/{number}")
            with journal.open("a") as stream:
                stream.write(json.dumps({"step": number}) + "\n")
            replaced = journal.with_name(f"state-{number % 3}.json")
            replaced.with_suffix(".tmp").write_text(str(number))
            replaced.with_suffix(".tmp").replace(replaced)
            self.acknowledged.append(f"thing/{number}")


def test_everything_comes_back(installation, tmp_path):
    settings = installation
    rows = fill(settings)
    services = open_services(settings)
    places = ["--to", str(tmp_path / "backup"), "--keys-to", str(tmp_path / "elsewhere" / "keys")]
    key = ["--key", str(tmp_path / "safe" / "key")]
    with Load(services) as load:
        before = len(load.acknowledged)
        first = tuneway("backup", *places, *key, "--new-key", "--json")
        assert first.returncode == 0, first.stderr
        data, keys = json.loads(first.stdout)
        assert len(load.acknowledged) > before
    assert (data["databases"], keys["contents"]) == (["tuneway", "mlflow", "airflow"], "keys")

    # what did not change is not read again, and only what is new is added
    later = settings.models_dir / "later"
    later.write_bytes(os.urandom(10_000))
    acknowledged = list(load.acknowledged)
    second = tuneway("backup", *places, *key, "--keep", "1")
    assert second.returncode == 0, second.stderr
    assert "1 old snapshots were removed" in second.stderr
    (data_check,) = json.loads(tuneway("verify-backup", str(tmp_path / "backup"), *key, "--json").stdout)["snapshots"]
    assert data_check["is_whole"]
    stored = ("datasets", "models", "jobs", "secrets", "keyring")
    expected = hashes(settings.data_dir, stored)
    assert "models/tuned/weights.safetensors" in expected

    # everything is lost
    engine_for(settings.resolved_database_url).dispose()
    embedded_postgres(settings).stop()
    shutil.rmtree(settings.data_dir)

    sources = ["--from", str(tmp_path / "backup"), "--keys-from", str(tmp_path / "elsewhere" / "keys")]
    dry = tuneway("restore", *sources, *key, "--dry-run")
    assert "Nothing was written" in dry.stderr
    assert not settings.data_dir.exists() or not any(settings.data_dir.iterdir())
    killed_in_the_middle(sources + key, settings)
    refused = tuneway("up", "--no-wait")
    assert "is being restored" in refused.stderr
    restored = tuneway("restore", *sources, *key, "--json")
    assert restored.returncode == 0, restored.stderr
    report = json.loads(restored.stdout)
    assert report["audit_is_whole"]

    assert hashes(settings.data_dir, stored) == expected
    weights = settings.models_dir / "tuned" / "weights.safetensors"
    assert (weights.stat().st_mode & 0o777, str((settings.models_dir / "current").readlink())) == (0o444, "tuned")
    assert not (settings.data_dir / "cache").exists()
    assert [path.name for path in settings.run_dir.iterdir()] == ["programs.d"]
    assert (settings.run_dir / "programs.d" / "model-server-tolls.conf").exists()
    use_encryption(settings)
    with open_stored(rows) as stream:
        assert stream.read().decode() == "통행료는 얼마입니까?"
    start_postgres(settings)
    for name in EMBEDDED_DATABASES:
        with psycopg.connect(embedded_postgres(settings).connection_string(name)) as connection:
            assert connection.execute("SELECT what FROM told").fetchall() == [(f"한국도로공사 {name}",)]
    with open_services(settings).unit_of_work() as uow:
        entries = [json.loads(row.entry) for row in uow.audit.read_through()]
    assert set(acknowledged) <= {entry["subject"] for entry in entries}
    assert entries[-1]["action"] == "backup.restored"
    assert verify_audit(open_services(settings)).is_whole


def killed_in_the_middle(arguments, settings):
    """The restore, killed as soon as the first database is there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "restore", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    mark = settings.data_dir / MARK
    while process.poll() is None:
        if mark.exists() and "database tuneway" in mark.read_text():
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.005)
    process.wait()
    assert mark.exists()


def test_wrong_requests_say_what_to_do(installation, tmp_path):
    settings = installation
    key = tmp_path / "key"
    nowhere = tuneway("backup", "--key", str(key))
    inside = tuneway("backup", "--to", str(settings.data_dir / "backup"), "--key", str(key), "--new-key")
    beside = tuneway("backup", "--to", str(tmp_path / "b"), "--key", str(tmp_path / "b" / "key"), "--new-key")
    together = tuneway("backup", "--to", str(tmp_path / "b"), "--keys-to", str(tmp_path / "b" / "k"), "--key", str(key))
    no_key = tuneway("backup", "--to", str(tmp_path / "b"), "--key", str(key))
    for refused, said in (
        (nowhere, "--to FOLDER"),
        (inside, "does not lie in the folder that it saves"),
        (beside, "does not lie beside what it opens"),
        (together, "do not lie in one folder"),
        (no_key, "cannot be read"),
    ):
        assert refused.returncode in {1, 2}
        assert said in refused.stderr
    assert not key.exists()
    assert not (tmp_path / "b" / "key").exists()
    made = tuneway(
        "backup", "--to", str(tmp_path / "b"), "--keys-to", str(tmp_path / "k"), "--key", str(key), "--new-key"
    )
    assert made.returncode == 0, made.stderr
    full = tuneway("restore", "--from", str(tmp_path / "b"), "--keys-from", str(tmp_path / "k"), "--key", str(key))
    swapped = tuneway("restore", "--from", str(tmp_path / "k"), "--keys-from", str(tmp_path / "b"), "--key", str(key))
    assert "into an empty data folder only" in full.stderr
    assert "something else" in swapped.stderr
    sources = ["--from", str(tmp_path / "b"), "--keys-from", str(tmp_path / "k"), "--key", str(key)]
    elsewhere = tuneway("restore", *sources, DATA_DIR=str(tmp_path / "other"))
    assert f"set TUNEWAY_DATA_DIR={settings.data_dir}" in elsewhere.stderr


@pytest.mark.deep
def test_a_killed_backup_leaves_the_older_snapshot_and_its_work(installation, tmp_path):
    settings = installation
    fill(settings)
    key = tmp_path / "key"
    arguments = ["backup", "--to", str(tmp_path / "b"), "--key", str(key)]
    assert tuneway(*arguments, "--new-key").returncode == 0
    folder = settings.models_dir / "new"
    folder.mkdir()
    for number in range(60):
        (folder / str(number)).write_bytes(os.urandom(500_000))
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    stored = len(list((tmp_path / "b" / "objects").glob("*/*")))
    while process.poll() is None and len(list((tmp_path / "b" / "objects").glob("*/*"))) < stored + 20:
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    verified = tuneway("verify-backup", str(tmp_path / "b"), "--key", str(key), "--json")
    assert (verified.returncode, len(json.loads(verified.stdout)["snapshots"])) == (0, 1)
    (again,) = json.loads(tuneway(*arguments, "--json").stdout)
    assert again["written"] < 60 * 500_000
    assert not list(Path(tmp_path / "b").rglob("*.tmp"))
