"""One Airflow over several hosts by Celery: the whole pipeline crosses them, and one is killed while it trains."""

import json
import os
import secrets
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distributions
from pathlib import Path

import pytest

from database.embedded import EmbeddedPostgres
from settings import Settings
from storage.files import read_json
from storage.job_folder import JobFolder
from storage.job_state import host_of, job_view
from tests.conftest import REPOSITORY_ROOT
from tests.e2e.hosts import NETWORK, Host, Switch

REDIS_PORT, POSTGRES_PORT = 6379, 5432
RUN = "two-hosts"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.deep,
    pytest.mark.e2e,
    pytest.mark.timeout(5400),
    pytest.mark.skipif(
        not list(distributions(name="apache-airflow-providers-celery")),
        reason="needs requirements-celery.txt installed",
    ),
    pytest.mark.skipif(
        os.geteuid() != 0 or any(shutil.which(program) is None for program in ("redis-server", "ip", "nsenter")),
        reason="needs root, redis-server, iproute2 and nsenter",
    ),
]


class Site:
    """A control host with PostgreSQL, Redis, Airflow, MLflow and the router, and two GPU hosts with a runner and a worker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings(data_dir=folder / "data")
        self.password = secrets.token_urlsafe(24)
        self.switch = Switch()
        self.postgres = EmbeddedPostgres(folder / "postgres", f"{NETWORK}.1", POSTGRES_PORT, self.password)
        self.control = self._host("control", 1, ["default", "serving"], [
            "cerbos", "mlflow", "airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer",
            "airflow-worker", "serving-api",
        ])  # fmt: skip
        self.gpu_hosts = [
            self._host(f"gpu-{n}", n + 1, ["gpu"], ["cerbos", "runner", "airflow-worker"]) for n in (1, 2)
        ]

    def _host(self, name: str, number: int, queues: list[str], programs: list[str]) -> Host:
        control = f"http://{NETWORK}.1"
        database = f"{self.password}@{NETWORK}.1:{POSTGRES_PORT}"
        elsewhere = {
            "TUNEWAY_MLFLOW_TRACKING_URL": f"{control}:18050",
            "TUNEWAY_AIRFLOW_URL": f"{control}:18080",
            "TUNEWAY_SERVING_URL": f"{control}:18001",
        }
        variables = {
            "TUNEWAY_DATA_DIR": str(self.settings.data_dir),
            "TUNEWAY_LOCAL_DIR": str(self.folder / name),
            "TUNEWAY_HOST": f"{NETWORK}.{number}",
            "TUNEWAY_PROGRAMS": json.dumps(programs),
            "TUNEWAY_WORKER_QUEUES": json.dumps(queues),
            "TUNEWAY_WORKER_CONCURRENCY": "2",
            "TUNEWAY_AIRFLOW_EXECUTOR": "CeleryExecutor",
            "TUNEWAY_CELERY_BROKER_URL": f"redis://:{self.password}@{NETWORK}.1:{REDIS_PORT}/0",
            "TUNEWAY_DATABASE_URL": f"postgresql+psycopg://tuneway:{database}/tuneway",
            "TUNEWAY_AIRFLOW_DATABASE_URL": f"postgresql+psycopg2://tuneway:{database}/airflow",
            "TUNEWAY_MLFLOW_DATABASE_URL": f"postgresql+psycopg2://tuneway:{database}/mlflow",
            "TUNEWAY_GPU_SLOTS": "1",
            "TUNEWAY_GPU_POOL_SLOTS": "2",
            "TUNEWAY_MODEL_SERVER_BACKEND": "embedded",
            "TUNEWAY_MIN_FREE_DISK_GB": "1",
            "TUNEWAY_LANGUAGE": "en",
            **({"TUNEWAY_RUNNER_URL": f"http://{NETWORK}.2:18070"} if name == "control" else elsewhere),
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / name),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(REPOSITORY_ROOT),
            "OMP_NUM_THREADS": "1",
        }
        (self.folder / name).mkdir()
        return Host(name, number, self.switch, variables)

    def start_services(self) -> None:
        """The site's PostgreSQL and Redis, for the network of the hosts."""
        self.postgres.initialise()
        with (self.postgres.folder / "pg_hba.conf").open("a", encoding="utf-8") as rules:
            rules.write(f"host all all {NETWORK}.0/24 scram-sha-256\n")
        self.control.begin(*self.postgres.command(), output=self.folder / "postgres.log")
        configuration = self.folder / "redis.conf"
        configuration.write_text(
            f"bind {NETWORK}.1\nport {REDIS_PORT}\nrequirepass {self.password}\ndir {self.folder}\nsave ''\n".replace(
                "''", '""'
            ),
            encoding="utf-8",
        )
        self.control.begin("redis-server", str(configuration), output=self.folder / "redis.log")
        make = (
            "import sys, time, psycopg\n"
            "from pathlib import Path\n"
            "from database.embedded import EmbeddedPostgres\n"
            f"server = EmbeddedPostgres(Path({str(self.postgres.folder)!r}), {self.postgres.host!r}, {POSTGRES_PORT}, {self.password!r})\n"
            "server.wait_until_ready()\n"
            "for name in ('tuneway', 'airflow', 'mlflow'): server.create_database(name)\n"
        )
        made = self.control.run("python", "-c", make)
        assert made.returncode == 0, made.stderr

    def close(self) -> None:
        for host in (self.control, *self.gpu_hosts):
            if hasattr(host, "process") and host.process.poll() is None:
                host.kill()
        self.switch.close()


def up(host: Host) -> None:
    """`tuneway up` there."""
    done = host.tuneway("up", "--timeout", "600", timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def site(demo_base_model):
    folder = Path(tempfile.mkdtemp(prefix="tuneway-hosts-"))
    folder.chmod(0o755)  # PostgreSQL runs as another account
    shutil.copytree(demo_base_model, folder / "data" / "models" / "base" / "demo-base")
    made = Site(folder)
    try:
        for host in (made.control, *made.gpu_hosts):
            host.start()
        made.start_services()
        began = time.monotonic()
        up(made.control)
        print(f"control host up after {time.monotonic() - began:.0f} s")
        with ThreadPoolExecutor() as pool:
            list(pool.map(up, made.gpu_hosts))
        print(f"GPU hosts up after {time.monotonic() - began:.0f} s")
        yield made
    finally:
        made.close()
        if os.environ.get("KEEP_HOSTS") is None:
            shutil.rmtree(folder, ignore_errors=True)


def training_in(site, step, seconds=1500):
    """The training job's folder, once it has passed the step and saved a checkpoint."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for submission in site.settings.jobs_dir.glob("train-*/submission.json"):
            folder = JobFolder(submission.parent)
            progress = read_json(folder.progress) or {}
            saved = list(folder.checkpoints.glob("checkpoint-*/manifest.json"))
            if int(str(progress.get("step", 0))) >= step and progress.get("stage") == "training" and saved:
                return folder
        time.sleep(0.2)
    raise AssertionError("nothing trains")


def test_a_host_that_is_killed_while_it_trains_costs_the_run_time_and_nothing_else(site):
    request = site.folder / "request.json"
    conf = json.loads((REPOSITORY_ROOT / "demo" / "request.json").read_text(encoding="utf-8"))
    request.write_text(json.dumps(conf, ensure_ascii=False), encoding="utf-8")
    began = time.monotonic()
    waiting = site.control.begin(
        *("python", "-m", "cli.main", "pipeline", "trigger", "finetune_pipeline", "--conf", str(request)),
        *("--run-id", RUN, "--wait", "--json", "--timeout", "3600"),
    )
    folder = training_in(site, 20)
    victim = next(host for host in site.gpu_hosts if host.name == host_of(folder, 1))
    survivor = next(host for host in site.gpu_hosts if host is not victim)
    step = int(str((read_json(folder.progress) or {})["step"]))
    victim.kill()
    killed = time.monotonic()
    print(f"killed {victim.name} at step {step}, {killed - began:.0f} s after the start")

    while not folder.attempt(1).exit.exists():
        assert time.monotonic() - killed < 120, "nobody gave the dead host's attempt up"
        time.sleep(0.2)
    print(f"given up after {time.monotonic() - killed:.0f} s")
    while not folder.attempt(2).launcher.exists():
        assert time.monotonic() - killed < 300, "no other host took the job"
        time.sleep(0.2)
    print(f"trains again on {host_of(folder, 2)} after {time.monotonic() - killed:.0f} s")

    out, err = waiting.communicate(timeout=3600)
    print(f"run ended after {time.monotonic() - began:.0f} s")
    assert waiting.returncode == 0, out + err
    end = read_json(folder.attempt(1).exit) or {}
    assert (end["state"], end["declared_by"]) == ("lost", survivor.name)
    assert host_of(folder, 2) == survivor.name
    view = job_view(folder)
    assert (view.attempt, view.state.value) == (2, "succeeded")
    assert int(str((read_json(folder.result) or {})["resumed_from_step"])) > 0
    summary = json.loads(site.control.tuneway("summary", RUN, "--json").stdout)
    assert summary["finished"]
    assert summary["gate"] == "pass"
    assert summary["accuracy_tuned"]["value"] >= 0.90
    evaluation = next(site.settings.jobs_dir.glob("evaluate-*"))
    assert host_of(JobFolder(evaluation), 1) == survivor.name
    leases = site.control.run("python", "-c", LEASES)
    assert leases.stdout.split() == ["0"], leases.stderr

    # it comes back, and leaves what was taken from it alone
    before = folder.attempt(1).exit.read_bytes()
    victim.start()
    up(victim)
    time.sleep(10)
    assert folder.attempt(1).exit.read_bytes() == before
    assert job_view(folder) == view


LEASES = """
from stages.services import open_services
with open_services().unit_of_work() as uow:
    print(len([lease for lease in uow.leases.all() if lease.kind.value != "serving"]))
"""
