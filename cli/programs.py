"""The processes of one machine's platform: what is started, in which order, and when it counts as ready."""

import shlex
import sys
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from cli.secret_files import AIRFLOW_DATABASE_URL_FILE, CELERY_BROKER_URL_FILE, CELERY_RESULTS_URL_FILE
from contracts.errors import NotFoundError
from database.embedded import embedded_postgres
from settings import SecretName, Settings


class ProgramName(StrEnum):
    """The platform's own processes; model servers come and go beside them."""

    POSTGRES = "postgres"
    CERBOS = "cerbos"
    MLFLOW = "mlflow"
    AIRFLOW_API_SERVER = "airflow-api-server"
    AIRFLOW_SCHEDULER = "airflow-scheduler"
    AIRFLOW_DAG_PROCESSOR = "airflow-dag-processor"
    AIRFLOW_TRIGGERER = "airflow-triggerer"
    AIRFLOW_WORKER = "airflow-worker"
    RUNNER = "runner"
    SERVING_API = "serving-api"
    DASHBOARD = "dashboard"


class Health(StrEnum):
    """How readiness is asked."""

    POSTGRES = "postgres"
    HTTP = "http"
    AIRFLOW_HEARTBEAT = "airflow_heartbeat"
    POOL = "pool"
    """It has no door to ask at, and starts its processes once it has reached its broker."""


@dataclass(frozen=True, slots=True)
class Program:
    """One supervised process."""

    name: ProgramName
    command: tuple[str, ...]
    health: Health
    health_target: str
    """URL for HTTP, component name in Airflow's health answer for AIRFLOW_HEARTBEAT, number of processes for POOL."""
    port: int | None = None
    url: str | None = None
    """What a person opens."""
    environment: dict[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"
    stop_seconds: int = 15
    stop_group: bool = True
    """Signals go to the whole process group; not for the runner, whose jobs outlive it."""
    run_alone: bool = True
    """What an earlier, killed process of this program left behind is ended before the new one starts."""
    priority: int = 100
    """Started from low to high, stopped from high to low."""


def common_environment(settings: Settings) -> dict[str, str]:
    """Variables of every supervised process."""
    return {
        **settings.as_environment(),
        # marks what this installation's supervisor started; `tuneway down` ends nothing without it
        "TUNEWAY_SUPERVISED": "1",
        "PYTHONPATH": str(settings.repository_root),
        "PYTHONUNBUFFERED": "1",
        # setproctitle (Airflow's workers) would otherwise overwrite the variables that mark them as ours
        "SPT_NOENV": "1",
        # default threading on shared cores was about ten times slower
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_TRACKING_URI": settings.resolved_mlflow_tracking_url,
        # a site's proxy variables must not catch the calls between our own processes
        "NO_PROXY": f"{settings.host},127.0.0.1,localhost",
        "no_proxy": f"{settings.host},127.0.0.1,localhost",
    }


def airflow_environment(settings: Settings) -> dict[str, str]:
    """What airflow.cfg leaves to the machine: folders, addresses, and commands that read the secrets."""
    secrets = settings.secrets_dir

    def read(name: str) -> str:
        return shlex.join(["cat", str(secrets / name)])

    root = settings.repository_root
    celery = {
        "AIRFLOW__CELERY__BROKER_URL_CMD": read(CELERY_BROKER_URL_FILE),
        "AIRFLOW__CELERY__RESULT_BACKEND_CMD": read(CELERY_RESULTS_URL_FILE),
    }
    return {
        **(celery if settings.airflow_executor == "CeleryExecutor" else {}),
        "AIRFLOW__CORE__EXECUTOR": settings.airflow_executor,
        "AIRFLOW_HOME": str(settings.airflow_home),
        "AIRFLOW_CONFIG": str(root / "airflow.cfg"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(root / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(root / "plugins"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{settings.resolved_airflow_url}/execution/",
        "AIRFLOW__CORE__FERNET_KEY_CMD": read(SecretName.AIRFLOW_FERNET_KEY),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD": read(AIRFLOW_DATABASE_URL_FILE),
        "AIRFLOW__API__SECRET_KEY_CMD": read(SecretName.AIRFLOW_API_SECRET),
        "AIRFLOW__LOGGING__JSON_LOGS": str(settings.log_format == "json"),
        "AIRFLOW__API__BASE_URL": settings.resolved_airflow_url,
        "AIRFLOW__API__HOST": settings.host,
        "AIRFLOW__API__PORT": str(settings.ports["airflow"]),
        "AIRFLOW__API_AUTH__JWT_SECRET_CMD": read(SecretName.AIRFLOW_JWT_SECRET),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(settings.airflow_home / "logs"),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(
            settings.airflow_home / "logs" / "dag_processor"
        ),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(settings.ports["airflow_worker_log"]),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(settings.ports["airflow_trigger_log"]),
    }


def _postgres(settings: Settings) -> Program:
    return Program(
        name=ProgramName.POSTGRES,
        command=tuple(embedded_postgres(settings).command()),
        health=Health.POSTGRES,
        health_target="",
        port=settings.ports["postgres"],
        # SIGINT: fast shutdown, which does not wait for clients; to the postmaster only, which tells the others
        stop_signal="INT",
        stop_seconds=60,
        stop_group=False,
        run_alone=False,
        priority=10,
    )


def cerbos_program(settings: Settings) -> Program:
    """The policy decision point; needs no secret."""
    root = settings.repository_root
    ports = settings.ports
    # the loopback address whatever the platform's own is: nobody else may ask who may do what
    addresses = {
        "httpListenAddr": f"127.0.0.1:{ports['cerbos']}",
        "grpcListenAddr": f"127.0.0.1:{ports['cerbos_grpc']}",
    }
    return Program(
        name=ProgramName.CERBOS,
        command=(
            str(settings.cerbos_binary),
            "server",
            f"--config={root / 'security' / 'cerbos.yaml'}",
            "--log-level=warn",
            *(f"--set=server.{name}={address}" for name, address in addresses.items()),
            f"--set=storage.disk.directory={root / 'security' / 'policies'}",
        ),
        health=Health.HTTP,
        health_target=f"{settings.policy_url}/_cerbos/health",
        port=ports["cerbos"],
        environment={"CERBOS_NO_TELEMETRY": "1"},
        priority=40,
    )


def _mlflow(settings: Settings, bin_dir: Path) -> Program:
    artifacts = settings.data_dir / "mlflow" / "artifacts"
    port = settings.ports["mlflow"]
    # names under which it may be asked; any other Host header is refused
    names = dict.fromkeys(
        [urlsplit(settings.resolved_mlflow_tracking_url).netloc, f"127.0.0.1:{port}", f"localhost:{port}"]
    )
    return Program(
        name=ProgramName.MLFLOW,
        command=(
            str(bin_dir / "mlflow"),
            "server",
            *("--host", settings.host, "--port", str(port), "--workers", "1"),
            *("--allowed-hosts", ",".join(names)),
            *("--serve-artifacts", "--artifacts-destination", str(artifacts)),
        ),
        health=Health.HTTP,
        health_target=f"{settings.resolved_mlflow_tracking_url}/health",
        port=port,
        url=settings.resolved_mlflow_tracking_url,
        environment={
            # not on the command line, where every user of the machine could read the password
            "MLFLOW_BACKEND_STORE_URI": settings.resolved_mlflow_database_url,
            # no scorer or gateway jobs here; their consumers cost 700 MB
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        },
        priority=50,
    )


def _airflow(settings: Settings, bin_dir: Path) -> list[Program]:
    airflow = str(bin_dir / "airflow")
    environment = airflow_environment(settings)
    health_url = f"{settings.resolved_airflow_url}/api/v2/monitor/health"
    return [
        Program(
            name=ProgramName.AIRFLOW_API_SERVER,
            command=(airflow, "api-server"),
            health=Health.HTTP,
            health_target=health_url,
            port=settings.ports["airflow"],
            url=settings.resolved_airflow_url,
            environment=environment,
            priority=60,
        ),
        Program(
            name=ProgramName.AIRFLOW_SCHEDULER,
            # log files are read from the shared folder; the log servers would listen on every address
            command=(airflow, "scheduler", "--skip-serve-logs"),
            health=Health.AIRFLOW_HEARTBEAT,
            health_target="scheduler",
            environment=environment,
            # LocalExecutor waits for running tasks without limit
            stop_seconds=20,
            priority=70,
        ),
        Program(
            name=ProgramName.AIRFLOW_DAG_PROCESSOR,
            command=(airflow, "dag-processor"),
            health=Health.AIRFLOW_HEARTBEAT,
            health_target="dag_processor",
            environment=environment,
            priority=70,
        ),
        Program(
            name=ProgramName.AIRFLOW_TRIGGERER,
            command=(airflow, "triggerer", "--skip-serve-logs"),
            health=Health.AIRFLOW_HEARTBEAT,
            health_target="triggerer",
            environment=environment,
            priority=70,
        ),
    ]


def _airflow_worker(settings: Settings, bin_dir: Path) -> Program:
    return Program(
        name=ProgramName.AIRFLOW_WORKER,
        command=(
            str(bin_dir / "airflow"),
            *("celery", "worker", "--skip-serve-logs", "--without-gossip", "--without-mingle"),
            *("--queues", ",".join(settings.worker_queues)),
            *("--concurrency", str(settings.worker_concurrency)),
        ),
        health=Health.POOL,
        health_target=str(settings.worker_concurrency),
        environment=airflow_environment(settings),
        # it takes nothing more and waits for what it does
        stop_seconds=60,
        stop_group=False,
        priority=75,
    )


def _runner(settings: Settings, python: str) -> Program:
    return Program(
        name=ProgramName.RUNNER,
        command=(python, "-m", "runner"),
        health=Health.HTTP,
        health_target=f"{settings.resolved_runner_url}/health",
        port=settings.ports["runner"],
        stop_group=False,
        run_alone=False,
        priority=50,
    )


def _serving_api(settings: Settings, python: str) -> Program:
    return Program(
        name=ProgramName.SERVING_API,
        command=(python, "-m", "serving_api"),
        health=Health.HTTP,
        health_target=f"{settings.resolved_serving_url}/health",
        port=settings.ports["serving"],
        url=settings.resolved_serving_url,
        priority=50,
    )


def _dashboard(settings: Settings, python: str) -> Program:
    return Program(
        name=ProgramName.DASHBOARD,
        command=(python, "-m", "dashboard"),
        health=Health.HTTP,
        health_target=f"{settings.resolved_dashboard_url}/_stcore/health",
        port=settings.ports["dashboard"],
        url=settings.resolved_dashboard_url,
        priority=80,
    )


def all_programs(settings: Settings) -> list[Program]:
    """Every program of the platform, wherever it runs."""
    python = sys.executable
    bin_dir = Path(python).parent
    embedded = [_postgres(settings)] if settings.uses_embedded_postgres else []
    workers = [_airflow_worker(settings, bin_dir)] if settings.airflow_executor == "CeleryExecutor" else []
    return [
        *embedded,
        cerbos_program(settings),
        _mlflow(settings, bin_dir),
        *_airflow(settings, bin_dir),
        *workers,
        _runner(settings, python),
        _serving_api(settings, python),
        _dashboard(settings, python),
    ]


def platform_programs(settings: Settings) -> list[Program]:
    """The programs this installation starts itself; a service whose address is set to the site's own is left out.

    Where the setting `programs` names them, those and no others. Raises NotFoundError for an unknown name.
    """
    if settings.programs:
        every = all_programs(settings)
        return [program for program in every if program in [program_named(name, every) for name in settings.programs]]
    elsewhere: set[str] = set()
    if not settings.cerbos_binary.exists():
        # the rest of the platform works without it; the admin API refuses every call, and `tuneway doctor` says why
        elsewhere.add(ProgramName.CERBOS)
    if settings.mlflow_tracking_url is not None:
        elsewhere.add(ProgramName.MLFLOW)
    if settings.airflow_url is not None:
        elsewhere |= {
            name for name in ProgramName if name.startswith("airflow-") and name != ProgramName.AIRFLOW_WORKER
        }
    if settings.runner_url is not None:
        elsewhere.add(ProgramName.RUNNER)
    if settings.serving_url is not None:
        elsewhere.add(ProgramName.SERVING_API)
    return [program for program in all_programs(settings) if program.name not in elsewhere]


def program_named(name: str, programs: list[Program]) -> Program:
    """The program of that name. Raises NotFoundError listing the names there are."""
    for program in programs:
        if program.name.value == name:
            return program
    raise NotFoundError(
        "There is no such process",
        value=name,
        allowed=", ".join(program.name.value for program in programs),
        next_step="see `tuneway status`",
    )
