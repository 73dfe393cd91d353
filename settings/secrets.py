"""Secrets are files of mode 0600 in one folder, made at first start; never defaults, never in the environment's dump."""

import os
from enum import StrEnum
from pathlib import Path

from contracts.errors import InvalidRequestError, NotFoundError


class SecretName(StrEnum):
    """The secrets of one installation."""

    POSTGRES_PASSWORD = "postgres_password"  # noqa: S105 - the secret's name
    AIRFLOW_ADMIN_PASSWORD = "airflow_admin_password"  # noqa: S105
    AIRFLOW_JWT_SECRET = "airflow_jwt_secret"  # noqa: S105
    AIRFLOW_API_SECRET = "airflow_api_secret"  # noqa: S105
    AIRFLOW_FERNET_KEY = "airflow_fernet_key"
    RUNNER_TOKEN = "runner_token"  # noqa: S105
    TOKEN_KEY = "token_key"  # noqa: S105
    ASSIGNMENT_KEY = "assignment_key"


def read_secret(folder: Path, name: SecretName) -> str:
    """The secret's text. Raises NotFoundError before the first `tuneway up`."""
    path = folder / name.value
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        raise NotFoundError(
            f"The secret {name.value} has not been made yet", value=path, next_step="run `tuneway up` once"
        ) from error


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
