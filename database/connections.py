"""Plain connections, for what is no matter of the schema."""

import psycopg
from sqlalchemy.engine import make_url


def connect(url: str, *, timeout_seconds: int = 5) -> psycopg.Connection:
    """A plain connection to a database given by its SQLAlchemy URL."""
    parts = make_url(url)
    return psycopg.connect(
        host=parts.host,
        port=parts.port,
        user=parts.username,
        password=parts.password,
        dbname=parts.database,
        connect_timeout=timeout_seconds,
        autocommit=True,
    )
