"""Secrets are files of mode 0600 in one folder, made at first start; never defaults, never in the environment's dump."""

import os
from enum import StrEnum
from pathlib import Path

from contracts.errors import InvalidRequestError, NotFoundError

SHORTEST_SECRET = 32
FEWEST_DISTINCT = 12
"""32 random characters of base64 have fewer with a probability below 1e-6."""


class SecretName(StrEnum):
    """The secrets of one installation."""

    POSTGRES_PASSWORD = "postgres_password"  # noqa: S105 - the secret's name
    AIRFLOW_PLATFORM_PASSWORD = "airflow_platform_password"  # noqa: S105
    """With it the platform itself triggers DAGs; nobody else has a password of Airflow's own."""
    AIRFLOW_JWT_SECRET = "airflow_jwt_secret"  # noqa: S105
    AIRFLOW_API_SECRET = "airflow_api_secret"  # noqa: S105
    AIRFLOW_FERNET_KEY = "airflow_fernet_key"
    RUNNER_TOKEN = "runner_token"  # noqa: S105
    TOKEN_KEY = "token_key"  # noqa: S105
    ASSIGNMENT_KEY = "assignment_key"
    AUDIT_SIGNING_KEY = "audit_signing_key"
    """Ed25519, PEM: signs the audit trail's heads."""


def read_secret(folder: Path, name: SecretName) -> str:
    """The secret's text. Raises NotFoundError before the first `tuneway up`."""
    path = folder / name.value
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        raise NotFoundError(
            f"The secret {name.value} has not been made yet", value=path, next_step="run `tuneway up` once"
        ) from error


def refuse_weak_secrets(folder: Path, *, may_be_new: bool = False) -> None:
    """Raise InvalidRequestError for a secret that is missing, weak, or readable by others; for production.

    `may_be_new`: a folder without any of them passes, they are about to be made.
    """
    paths = [folder / name.value for name in SecretName]
    if may_be_new and not any(path.exists() for path in paths):
        return
    faults = {path.name: fault for path in paths if (fault := _fault_of(path)) is not None}
    if faults:
        raise InvalidRequestError(
            "In production mode the platform does not run on such secrets",
            value=", ".join(f"{name}: {fault}" for name, fault in faults.items()),
            allowed=f"files of mode 0600 with {SHORTEST_SECRET} random characters or more",
            next_step=f"put them back into {folder} from the backup, or have new ones made: remove the weak ones and run "
            "`tuneway migrate`",
        )


def _fault_of(path: Path) -> str | None:
    """What is wrong with a secret's file, without its text."""
    if not path.exists():
        return "missing"
    text = path.read_text(encoding="utf-8").strip()
    if len(text) < SHORTEST_SECRET:
        return f"{len(text)} characters"
    if len(set(text)) < FEWEST_DISTINCT:
        return f"{len(set(text))} different characters"
    return "readable by others" if path.stat().st_mode & 0o077 else None


def read_given_secret(source: str) -> str:
    """A secret that a command line points to: a file's text, or the value of the environment variable of that name.

    Never the secret itself, which every user of the machine would see in the list of processes.
    """
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8") if path.is_file() else os.environ.get(source, "")
    except OSError as error:
        raise InvalidRequestError(
            f"The secret cannot be read: {error.strerror}", value=source, next_step="check the file's permissions"
        ) from error
    if not text.strip():
        raise InvalidRequestError(
            "There is no secret at the place given",
            # not repeated here: what was given may be the secret itself, by mistake
            value=f"{len(source)} characters that name neither",
            allowed="a file, or the name of an environment variable",
            next_step="write the secret into a file of mode 0600 and give its path",
        )
    return text.strip()
