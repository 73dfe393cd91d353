"""The audit trail checked, exported, signed and shortened, in a real PostgreSQL that its owner tampers with."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from cli.secret_files import ensure_secrets
from contracts.audit import AuditEvent, AuditFilter, AuditProtection
from contracts.errors import ConflictError, InvalidRequestError, UnavailableError
from contracts.record import utc_now
from database.unit_of_work import engine_for
from security.audit.export import ExportFormat
from serving_api.audit_keeper import AuditKeeper
from stages.audit import (
    export_audit,
    heads_file,
    record_action,
    retire_audit,
    search_audit,
    sign_audit_head,
    verify_audit,
)
from stages.audit_waiting import record_or_keep, store_waiting
from stages.services import Services


@pytest.fixture
def trail(services):
    """An installation with six entries, the first five signed."""
    ensure_secrets(services.settings)
    for number in range(1, 6):
        record_action(services, "kim", "thing.done", f"thing/{number}")
    sign_audit_head(services)
    record_action(services, "kim", "thing.done", "thing/6")
    return services


@contextmanager
def behind_the_triggers(services) -> Iterator[Connection]:
    """What whoever owns the database can do."""
    with engine_for(services.settings.resolved_database_url).begin() as connection:
        connection.execute(text("ALTER TABLE audit_logs DISABLE TRIGGER ALL"))
        connection.execute(text("ALTER TABLE audit_checkpoints DISABLE TRIGGER ALL"))
        yield connection
        connection.execute(text("ALTER TABLE audit_logs ENABLE TRIGGER ALL"))
        connection.execute(text("ALTER TABLE audit_checkpoints ENABLE TRIGGER ALL"))


def findings(services) -> list[tuple[str, int, int]]:
    check = verify_audit(services)
    assert check.is_whole == (not check.chain.problems)
    return [(problem.kind.value, problem.first, problem.last) for problem in check.chain.problems]


def test_a_trail_that_nobody_touched_is_whole(trail):
    check = verify_audit(trail)
    assert check.is_whole
    assert (check.chain.entries, check.chain.heads_checked, check.chain.unsigned_entries) == (6, 1, 1)
    assert check.protection is AuditProtection.SUPERUSER


TAMPERINGS = {
    "UPDATE audit_logs SET entry = replace(entry, 'kim', 'lee') WHERE id = 3": ("edited", 3, 3),
    "UPDATE audit_logs SET actor = 'lee' WHERE id = 3": ("column_edited", 3, 3),
    "UPDATE audit_logs SET details = '{\"a\": 1}' WHERE id = 6": ("column_edited", 6, 6),
    "UPDATE audit_logs SET at = at + interval '1 us' WHERE id = 2": ("column_edited", 2, 2),
    "DELETE FROM audit_logs WHERE id IN (2, 3)": ("deleted", 2, 3),
    "DELETE FROM audit_logs WHERE id < 3": ("beginning_cut", 1, 2),
    "DELETE FROM audit_logs WHERE id > 3": ("tail_cut", 4, 5),
    "DELETE FROM audit_logs": ("tail_cut", 1, 5),
}


def test_what_was_done_behind_the_triggers_is_told(trail):
    with behind_the_triggers(trail) as connection:
        connection.execute(text("CREATE TABLE kept AS TABLE audit_logs"))
    for statement, expected in TAMPERINGS.items():
        with behind_the_triggers(trail) as connection:
            connection.execute(text(statement))
        assert findings(trail) == [expected], statement
        with behind_the_triggers(trail) as connection:
            connection.execute(text("DELETE FROM audit_logs"))
            connection.execute(text("INSERT INTO audit_logs SELECT * FROM kept"))
    assert findings(trail) == []


def test_heads_that_were_tampered_with_are_told(trail):
    path = heads_file(trail.settings)
    path.write_text(path.read_text().replace('"id":5', '"id":4'))
    check = verify_audit(trail)
    assert (check.is_whole, check.refused_head_lines) == (False, [1])


def test_a_copy_of_the_heads_shows_what_the_lost_ones_cannot(trail, tmp_path):
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(heads_file(trail.settings).read_bytes())
    heads_file(trail.settings).unlink()
    with behind_the_triggers(trail) as connection:
        connection.execute(text("DELETE FROM audit_logs WHERE id > 3"))
    assert verify_audit(trail).is_whole
    assert [problem.kind.value for problem in verify_audit(trail, heads=copy).chain.problems] == ["tail_cut"]
    with pytest.raises(InvalidRequestError, match="no such file"):
        verify_audit(trail, heads=tmp_path / "other")


def test_an_export_is_an_entry_with_its_purpose(trail, tmp_path):
    path = tmp_path / "out" / "trail.jsonl"
    wanted = AuditFilter(subject="thing/*")
    done = export_audit(wanted, path, ExportFormat.JSONL, trail, actor="lee", purpose="정기 감사")
    subjects = [json.loads(line)["subject"] for line in path.read_text().splitlines()]
    assert (done.entries, subjects) == (6, [f"thing/{number}" for number in range(1, 7)])
    (entry,) = search_audit(AuditFilter(action="audit.exported"), trail)
    assert (entry.actor, entry.purpose, entry.details["file"]) == ("lee", "정기 감사", "trail.jsonl")
    for wrong in ({"purpose": " "}, {"purpose": "again"}):
        with pytest.raises(InvalidRequestError):
            export_audit(wanted, path, ExportFormat.JSONL, trail, actor="lee", **wrong)


@contextmanager
def three_years_ago(services) -> Iterator[None]:
    """Entries written within the block carry a time three years back in the chain."""
    url = services.settings.resolved_database_url
    with engine_for(url).begin() as connection:
        source = connection.execute(text("SELECT pg_get_functiondef('audit_append()'::regprocedure)")).scalar_one()
        aged = source.replace("clock_timestamp()", "clock_timestamp() - interval '3 years'")
        assert aged != source
        connection.execute(text(aged.replace("%", "%%")))
    yield
    with engine_for(url).begin() as connection:
        connection.execute(text(source))


def test_old_entries_are_retired_with_a_signed_checkpoint_and_not_as_a_hole(services):
    ensure_secrets(services.settings)
    assert retire_audit(services, actor="lee").entries == 0
    with three_years_ago(services):
        for number in range(1, 4):
            record_action(services, "kim", "thing.done", f"thing/{number}")
    record_action(services, "kim", "thing.done", "thing/4")
    sign_audit_head(services)
    # not before their time: the setting's, and the year that PostgreSQL itself insists on
    assert retire_audit(services, actor="lee", now=utc_now() - timedelta(days=1000)).entries == 0

    retired = retire_audit(services, actor="lee")
    assert (retired.entries, retired.through) == (3, 3)
    assert retired.archive is not None
    with Path(retired.archive).open(encoding="utf-8") as archive:
        assert [json.loads(line)["subject"] for line in archive] == ["thing/1", "thing/2", "thing/3"]
    check = verify_audit(services)
    assert (check.is_whole, check.checkpoint, check.chain.first_id) == (True, 3, 4)
    (entry,) = search_audit(AuditFilter(action="audit.retired"), services)
    assert entry.details["sha256"] == retired.sha256
    assert retire_audit(services, actor="lee").entries == 0

    with behind_the_triggers(services) as connection:
        connection.execute(text("DELETE FROM audit_logs WHERE id = 4"))
    assert findings(services) == [("beginning_cut", 4, 4)]
    with behind_the_triggers(services) as connection:
        connection.execute(text("UPDATE audit_checkpoints SET through_id = 4"))
    assert [kind for kind, _, _ in findings(services)] == ["forged_signature", "beginning_cut"]


def test_a_trail_that_was_tampered_with_is_not_shortened(services):
    ensure_secrets(services.settings)
    with three_years_ago(services):
        record_action(services, "kim", "thing.done", "thing/1")
    with behind_the_triggers(services) as connection:
        connection.execute(text("UPDATE audit_logs SET actor = 'lee'"))
    with pytest.raises(ConflictError, match="tampered"):
        retire_audit(services, actor="lee")


def test_an_event_waits_on_disk_while_postgresql_is_away_and_is_stored_once(services):
    away = Services(services.settings.model_copy(update={"database_url": "postgresql+psycopg://x:x@127.0.0.1:1/x"}))
    events = [AuditEvent(actor="kim", action="job.stopped", subject=f"job/{number}") for number in range(3)]
    for event in events:
        record_or_keep(event, away)
    with pytest.raises(UnavailableError):
        store_waiting(away)
    waiting = services.settings.audit_dir / "waiting.jsonl"
    content = waiting.read_bytes()
    # killed in the middle of a fourth one
    waiting.write_bytes(content + b'{"event_id": "')
    assert store_waiting(services) == 3
    # killed between the commit and the removal
    waiting.write_bytes(content)
    assert store_waiting(services) == 3
    assert store_waiting(services) == 0
    stored = search_audit(AuditFilter(), services)
    assert [entry.event_id for entry in stored][::-1] == [event.event_id for event in events]


def test_the_keeper_signs_and_stores_what_waits(services):
    ensure_secrets(services.settings)
    services.settings.audit_dir.mkdir(parents=True)
    event = AuditEvent(actor="kim", action="job.stopped", subject="job/1")
    (services.settings.audit_dir / "waiting.jsonl").write_text(event.model_dump_json() + "\n")
    keeper = AuditKeeper(services, period_seconds=0.05)
    keeper.start()
    deadline = time.monotonic() + 60
    while not heads_file(services.settings).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    keeper.close()
    check = verify_audit(services)
    assert (check.chain.entries, check.chain.heads_checked, check.chain.unsigned_entries) == (1, 1, 0)
