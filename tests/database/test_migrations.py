"""The schema, as the migrations make it, on a real PostgreSQL."""

import re
from pathlib import Path

import psycopg
import pytest

from database import migrate
from database.models import Base
from tests.conftest import REPOSITORY_ROOT


def columns_of(database_url: str) -> dict[str, set[str]]:
    """Every table of the public schema with its columns."""
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        rows = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        ).fetchall()
    tables: dict[str, set[str]] = {}
    for table, column in rows:
        tables.setdefault(table, set()).add(column)
    return tables


def customer_columns(schema: Path) -> dict[str, set[str]]:
    """Tables and columns of the customer's schema file."""
    tables = {}
    for name, body in re.findall(r"CREATE TABLE (\w+) \((.*?)\n\);", schema.read_text(encoding="utf-8"), re.DOTALL):
        lines = [line.strip() for line in body.splitlines()]
        tables[name] = {line.split()[0] for line in lines if line and not line.startswith(("--", "UNIQUE", "PRIMARY"))}
    return tables


def test_models_and_migrations_describe_the_same_schema(database_url):
    migrate.check(database_url)


def test_downgrade_leaves_nothing_and_upgrade_brings_it_all_back(database_url):
    before = columns_of(database_url)
    assert set(before) - {"alembic_version"} == set(Base.metadata.tables)

    migrate.downgrade(database_url)
    assert set(columns_of(database_url)) <= {"alembic_version"}
    assert migrate.current(database_url) is None

    migrate.upgrade(database_url)
    assert columns_of(database_url) == before


def test_upgrading_twice_changes_nothing(database_url):
    before = columns_of(database_url)
    migrate.upgrade(database_url)
    assert columns_of(database_url) == before


def test_every_column_of_the_customers_schema_is_there(database_url):
    schema = REPOSITORY_ROOT.parent / "shared" / "design" / "schema.sql"
    if not schema.exists():
        pytest.skip("needs the customer's schema in ../shared/design/schema.sql beside the checkout")
    wanted = customer_columns(schema)
    present = columns_of(database_url)
    assert len(wanted) == 10
    missing = {table: columns - present.get(table, set()) for table, columns in wanted.items()}
    assert {table: columns for table, columns in missing.items() if columns} == {}
