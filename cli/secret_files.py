"""The secret files of an installation: made once, random, readable by their owner only."""

import base64
import secrets

from contracts.errors import InvalidRequestError
from settings import SecretName, Settings
from storage.files import write_text_atomically

AIRFLOW_DATABASE_URL_FILE = "airflow_database_url"
CELERY_BROKER_URL_FILE = "celery_broker_url"
CELERY_RESULTS_URL_FILE = "celery_results_url"


def _new_secret(name: SecretName) -> str:
    if name is SecretName.AIRFLOW_FERNET_KEY:
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    if name is SecretName.TOKEN_KEY:
        # an Ed25519 seed
        return secrets.token_urlsafe(32)
    if name is SecretName.AUDIT_SIGNING_KEY:
        from security.audit.keys import new_signing_key

        return new_signing_key()
    # URL-safe: the PostgreSQL password stands in connection URLs
    return secrets.token_urlsafe(48)


def ensure_secrets(settings: Settings) -> list[SecretName]:
    """Make the secrets that are missing and close the folder to others; return the new ones."""
    folder = settings.secrets_dir
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    made = []
    for name in SecretName:
        path = folder / name.value
        if not path.exists():
            write_text_atomically(path, _new_secret(name), mode=0o600)
            made.append(name)
        path.chmod(0o600)
    return made


def write_airflow_urls(settings: Settings) -> None:
    """Put Airflow's addresses with passwords where its processes read them from: database, and Celery's broker and results.

    Raises InvalidRequestError where the executor needs a broker and none is named.
    """
    urls = {AIRFLOW_DATABASE_URL_FILE: settings.resolved_airflow_database_url}
    if settings.airflow_executor == "CeleryExecutor":
        if settings.celery_broker_url is None:
            raise InvalidRequestError(
                "The CeleryExecutor needs a broker",
                value="TUNEWAY_CELERY_BROKER_URL is not set",
                allowed="redis://:password@host:6379/0",
                next_step="set it to the site's Redis, on every host alike",
            )
        urls[CELERY_BROKER_URL_FILE] = settings.celery_broker_url.get_secret_value()
        # Celery speaks to PostgreSQL through SQLAlchemy: the same database by its prefix
        urls[CELERY_RESULTS_URL_FILE] = f"db+{settings.resolved_airflow_database_url}"
    for name, url in urls.items():
        write_text_atomically(settings.secrets_dir / name, url, mode=0o600)
