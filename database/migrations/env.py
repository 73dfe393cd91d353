"""Alembic's entry: runs the migrations over a given URL, one process at a time, never waiting long for a lock."""

from alembic import context
from sqlalchemy import create_engine, text

from database.models import Base

LOCK = "hashtext('tuneway_migrations')"


def run_migrations() -> None:
    """Upgrade or downgrade, each migration in a transaction of its own.

    Those of all together would hold the locks of the first until the last has ended: on a large database traffic waits for
    them meanwhile, and the two can block each other. One that fails leaves the database at the revision before it.
    """
    engine = create_engine(context.config.attributes["url"])
    with engine.connect() as connection:
        # a migration that cannot get its lock fails instead of blocking the traffic behind it
        connection.execute(text("SET lock_timeout = '10s'"))
        connection.execute(text(f"SELECT pg_advisory_lock({LOCK})"))
        connection.commit()
        try:
            context.configure(
                connection=connection, target_metadata=Base.metadata, compare_type=True, transaction_per_migration=True
            )
            with context.begin_transaction():
                context.run_migrations()
        finally:
            connection.rollback()
            connection.execute(text(f"SELECT pg_advisory_unlock({LOCK})"))
            connection.commit()
    engine.dispose()


run_migrations()
