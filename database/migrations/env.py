"""Alembic's entry: runs the migrations over a given URL, one process at a time, never waiting long for a lock."""

from alembic import context
from sqlalchemy import create_engine, text

from database.models import Base


def run_migrations() -> None:
    """Upgrade or downgrade in one transaction."""
    engine = create_engine(context.config.attributes["url"])
    with engine.begin() as connection:
        # a migration that cannot get its lock fails instead of blocking the traffic behind it
        connection.execute(text("SET lock_timeout = '10s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('tuneway_migrations'))"))
        context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
        context.run_migrations()
    engine.dispose()


run_migrations()
