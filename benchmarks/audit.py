"""The audit trail's rates: entries written one a transaction and in batches, and the check of the whole chain.

    python -m benchmarks.audit [--entries 1000000]

A PostgreSQL of its own. The chain is filled in batches of 500, checked entry by entry against a signed head, as
`tuneway audit verify` does, then one entry is edited behind the triggers and the check must name it.
"""

import time

from sqlalchemy import text

from benchmarks.measuring import own_folder, own_postgres, own_settings, parser, report
from cli.secret_files import ensure_secrets
from contracts.audit import AuditEvent
from database.unit_of_work import engine_for
from stages.audit import record_action, sign_audit_head, verify_audit
from stages.services import Services

BATCH, SINGLE = 500, 500
TINY = {"entries": 2_000}


def filled(services: Services, entries: int) -> float:
    """Seconds to write so many entries in batches."""
    started = time.monotonic()
    for first in range(0, entries, BATCH):
        events = [
            AuditEvent(actor="bench", action="thing.done", subject=f"thing/{number}", details={"number": number})
            for number in range(first, min(first + BATCH, entries))
        ]
        with services.unit_of_work() as uow:
            uow.audit.append_events(events)
    return time.monotonic() - started


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--entries", type=int, default=1_000_000)
    options = arguments.parse_args()
    if options.tiny:
        options.entries = TINY["entries"]
    with own_folder(), own_postgres() as (url, _):
        services = Services(own_settings(database_url=url))
        ensure_secrets(services.settings)
        started = time.monotonic()
        for number in range(SINGLE):
            record_action(services, "bench", "thing.done", f"thing/{number}")
        one_a_transaction = SINGLE / (time.monotonic() - started)
        in_batches = options.entries / filled(services, options.entries)
        sign_audit_head(services)
        started = time.monotonic()
        check = verify_audit(services)
        seconds = time.monotonic() - started
        assert check.is_whole, check
        edited = options.entries // 2
        with engine_for(url).begin() as connection:
            connection.execute(text("ALTER TABLE audit_logs DISABLE TRIGGER USER"))
            connection.execute(text("UPDATE audit_logs SET actor = 'other' WHERE id = :edited"), {"edited": edited})
        (problem,) = verify_audit(services).chain.problems
        assert problem.first == problem.last == edited, problem
        engine_for(url).dispose()
    measured = {
        "entries": check.chain.entries,
        "events_per_second": {"one a transaction": round(one_a_transaction), f"{BATCH} a batch": round(in_batches)},
        "verify_seconds": round(seconds, 2),
    }
    report(
        "audit",
        options,
        measured,
        [[check.chain.entries, round(one_a_transaction), round(in_batches), round(seconds, 1)]],
    )


if __name__ == "__main__":
    main()
