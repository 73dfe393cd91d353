"""The audit trail in PostgreSQL: one unbroken chain, whoever writes and whatever is killed, that nothing changes."""

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from contracts.audit import AuditEvent, AuditFilter, AuditProtection, AuditResult, SubjectCategory, acting_from
from database import migrate
from database.unit_of_work import engine_for, unit_of_work
from tests.conftest import REPOSITORY_ROOT

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)


def append(url: str, *subjects: str, **fields: object) -> None:
    """One entry a subject, in one transaction."""
    with unit_of_work(url) as uow:
        uow.audit.append_events(
            [AuditEvent(actor="kim", action="thing.done", subject=subject, **fields) for subject in subjects]
        )


def chain_of(url: str) -> list[tuple[int, str]]:
    """Places and events, checked to be one chain."""
    with unit_of_work(url) as uow:
        rows = list(uow.audit.read_through())
    assert [row.id for row in rows] == list(range(1, len(rows) + 1))
    assert all(after.previous_hash == before.hash for before, after in pairwise(rows))
    return [(row.id, row.columns[5]) for row in rows]


def test_an_entry_is_stored_with_its_action_or_not_at_all(database_url):
    with pytest.raises(RuntimeError), unit_of_work(database_url) as uow:
        uow.audit.append("kim", "thing.done", "thing/1")
        raise RuntimeError
    assert chain_of(database_url) == []
    append(database_url, "thing/2")
    assert chain_of(database_url) == [(1, "thing/2")]


def test_an_action_whose_entry_cannot_be_written_does_not_happen(database_url):
    with engine_for(database_url).begin() as connection:
        connection.execute(text("ALTER TABLE audit_logs ADD CONSTRAINT full_disk CHECK (id < 0) NOT VALID"))
    with pytest.raises(DBAPIError), unit_of_work(database_url) as uow:
        uow.session.execute(text("INSERT INTO users (username) VALUES ('new')"))
        uow.audit.append("kim", "user.added", "user/new")
    with unit_of_work(database_url) as uow:
        assert uow.session.execute(text("SELECT count(*) FROM users WHERE username = 'new'")).scalar_one() == 0


def test_an_entry_says_who_when_from_where_what_whose_why_and_how_it_ended(database_url):
    with acting_from("10.1.2.3"), unit_of_work(database_url) as uow:
        uow.audit.append(
            "김철수", "dataset.exported", "dataset/4", {"rows": 3},
            category=SubjectCategory.TRAINING_DATA, purpose="외부 감사 대응", result=AuditResult.REFUSED,
        )  # fmt: skip
    with unit_of_work(database_url) as uow:
        (entry,) = uow.audit.search(AuditFilter(), limit=5)
    assert (entry.actor, entry.origin, entry.action, entry.subject) == (
        "김철수", "10.1.2.3", "dataset.exported", "dataset/4",
    )  # fmt: skip
    assert (entry.category, entry.purpose, entry.result) == ("training_data", "외부 감사 대응", "refused")
    assert entry.details == {"rows": 3}
    assert abs(entry.recorded_at - entry.at) < timedelta(minutes=5)


def test_no_text_keeps_an_event_out_of_the_trail(database_url):
    append(database_url, "a\x00b\ud800", "x" * 5000, details={"n": float("nan"), "\x00": ["\ud800", 1e300]})
    with unit_of_work(database_url) as uow:
        newest, oldest = uow.audit.search(AuditFilter(), limit=5)
    assert oldest.subject == "a\ufffdb?"
    assert len(newest.subject) == 5000


def test_the_same_event_twice_is_one_entry(database_url):
    event = AuditEvent(actor="kim", action="thing.done", subject="thing/1")
    for _ in range(2):
        with unit_of_work(database_url) as uow:
            uow.audit.append_events([event, event])
    append(database_url, "thing/2")
    assert chain_of(database_url) == [(1, "thing/1"), (2, "thing/2")]


def test_the_trail_is_searched_by_everything_it_says(database_url):
    append(database_url, "model/a", at=NOW, category=SubjectCategory.STAFF, details={"why": "다섯 100%"})
    append(database_url, "model/b", at=NOW + timedelta(days=1), result=AuditResult.FAILED)
    append(database_url, "dataset/100%", at=NOW + timedelta(days=2))

    def found(**wanted: object) -> list[str]:
        with unit_of_work(database_url) as uow:
            newest = [entry.subject for entry in uow.audit.search(AuditFilter(**wanted), limit=10)]
            assert newest[::-1] == [entry.subject for entry in uow.audit.matching(AuditFilter(**wanted))]
        return newest

    assert found() == ["dataset/100%", "model/b", "model/a"]
    assert found(subject="model/*") == ["model/b", "model/a"]
    assert found(subject="model/a") == ["model/a"]
    assert found(subject="dataset/1__*") == []
    assert found(action="thing.*", result="failed") == ["model/b"]
    assert found(since=NOW + timedelta(days=1), until=NOW + timedelta(days=2)) == ["model/b"]
    assert found(category="staff", actor="kim", text="다섯 100%") == ["model/a"]
    with unit_of_work(database_url) as uow:
        assert [entry.id for entry in uow.audit.search(AuditFilter(), limit=1, before=3)] == [2]


def test_not_even_a_superuser_changes_an_entry_in_passing(database_url):
    append(database_url, "thing/1")
    for statement in (
        "UPDATE audit_logs SET actor = 'lee'",
        "DELETE FROM audit_logs",
        "TRUNCATE audit_logs",
        "SET tuneway.audit_retires = 'on'; DELETE FROM audit_logs",
        "SELECT audit_retire(1, 'x')",
    ):
        with engine_for(database_url).connect() as connection, pytest.raises(DBAPIError, match=r"append-only|are kept"):
            connection.execute(text(statement))
    assert chain_of(database_url) == [(1, "thing/1")]


def test_places_and_hashes_cannot_be_given(database_url):
    append(database_url, "thing/1")
    event = AuditEvent(actor="kim", action="thing.done", subject="thing/2")
    with engine_for(database_url).begin() as connection:
        connection.execute(
            text("INSERT INTO audit_logs (id, entry, hash, recorded_at, actor) VALUES (77, :entry, 'x', :at, 'lee')"),
            {"entry": event.canonical(), "at": NOW},
        )
    assert chain_of(database_url) == [(1, "thing/1"), (2, "thing/2")]


WRITER = """
import sys
from contracts.audit import AuditEvent
from database.unit_of_work import unit_of_work
url, name = sys.argv[1:]
for batch in range(10**6):
    with unit_of_work(url) as uow:
        uow.audit.append_events(
            [AuditEvent(actor=name, action="a.b", subject=f"{name}/{batch}/{n}") for n in range(20)]
        )
    print(batch, flush=True)
"""


@pytest.mark.slow
def test_writers_in_many_processes_that_are_killed_leave_one_whole_chain(database_url):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY_ROOT)}
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, database_url, f"w{n}"], env=environment, stdout=subprocess.PIPE, text=True
        )
        for n in range(3)
    ]
    told = []
    for writer in writers:
        assert writer.stdout is not None
        for _ in range(5):
            writer.stdout.readline()
    for writer in writers:
        writer.send_signal(signal.SIGKILL)
    for writer in writers:
        lines = writer.communicate()[0].split()
        told.append(max((int(line) for line in lines), default=4))
    time.sleep(0.2)  # the server notices the lost connections and rolls back

    subjects = [subject for _, subject in chain_of(database_url)]
    for n, last in enumerate(told):
        own = [subject for subject in subjects if subject.startswith(f"w{n}/")]
        # all that was reported stored, in order, and nothing but whole batches
        assert own[: 20 * (last + 1)] == [f"w{n}/{batch}/{item}" for batch in range(last + 1) for item in range(20)]
        assert len(own) % 20 == 0


@pytest.fixture
def owner_url(postgres_server, _template_database) -> Iterator[str]:
    """URL of an empty database that belongs to an ordinary user, on a server that has the trail's role already."""
    user, name = f"site_{uuid.uuid4().hex[:8]}", f"site_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres_server.connection_string("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(sql.Identifier(user)))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(user)))
        url = re.sub(r"//[^@]+@", f"//{user}:x@", postgres_server.url(name))
        yield url
        engine_for(url).dispose()
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(user)))


def refusal(url: str, statement: str) -> str:
    """What PostgreSQL says to a statement that it refuses."""
    with engine_for(url).connect() as connection, pytest.raises(DBAPIError) as caught:
        connection.execute(text(statement))
    return str(caught.value.orig)


@pytest.mark.slow
def test_a_user_that_may_create_roles_can_only_add_and_read(postgres_server, owner_url):
    user = re.findall(r"//(\w+):", owner_url)[0]
    with psycopg.connect(postgres_server.connection_string("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER ROLE {} CREATEROLE").format(sql.Identifier(user)))
        # as if the user had made the role
        grant = sql.SQL("GRANT tuneway_audit TO {} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
        connection.execute(grant.format(sql.Identifier(user)))
    migrate.upgrade(owner_url)
    append(owner_url, "thing/1")
    with unit_of_work(owner_url) as uow:
        assert uow.audit.protection() is AuditProtection.ROLE
    for statement in (
        "UPDATE audit_logs SET actor = 'lee'",
        "DELETE FROM audit_logs",
        "TRUNCATE audit_logs",
        "INSERT INTO audit_logs (id, entry) VALUES (7, '{}')",
        "DELETE FROM audit_checkpoints",
        "INSERT INTO audit_checkpoints (through_id, through_hash, signed_head) VALUES (1, 'x', 'x')",
    ):
        assert "permission denied" in refusal(owner_url, statement)
    assert "must be owner" in refusal(owner_url, "ALTER TABLE audit_logs DISABLE TRIGGER ALL")
    migrate.downgrade(owner_url, "0011")


@pytest.mark.slow
def test_a_user_that_may_not_create_roles_still_has_the_triggers_and_is_told(owner_url):
    migrate.upgrade(owner_url, "0011")
    with engine_for(owner_url).begin() as connection:
        for name in ("a", "b"):
            connection.execute(
                text("INSERT INTO audit_logs (actor, action, subject, details) VALUES (:n, 'x.y', :n, :d)"),
                {"n": name, "d": '{"한글": 1.0, "a": null}'},
            )
        connection.execute(text("DELETE FROM audit_logs WHERE subject = 'a'"))
    migrate.upgrade(owner_url)
    append(owner_url, "thing/1")
    with unit_of_work(owner_url) as uow:
        assert uow.audit.protection() is AuditProtection.TRIGGER
    assert "append-only" in refusal(owner_url, "UPDATE audit_logs SET actor = 'lee'")
    assert "append-only" in refusal(owner_url, "DELETE FROM audit_logs")
    # what earlier versions wrote is in the chain
    assert chain_of(owner_url) == [(1, "b"), (2, "thing/1")]
