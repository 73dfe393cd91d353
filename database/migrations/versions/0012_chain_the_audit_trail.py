"""Chain the audit trail: entries that can only be added, each bound to the one before."""

import hashlib
import json
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0012'
down_revision = '0011'
branch_labels = None
depends_on = None

ROLE = "tuneway_audit"

# docs/security/audit.md has the formula; security/audit/chain.py computes the same for the check
APPEND = """
CREATE FUNCTION audit_append() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    head record;
    event jsonb := new.entry::jsonb;
BEGIN
    -- one writer at a time from here to its commit, so that the order of entries is the order of commits
    PERFORM pg_advisory_xact_lock(hashtext('tuneway_audit'));
    SELECT id, hash INTO head FROM audit_logs ORDER BY id DESC LIMIT 1;
    IF head.id IS NULL THEN
        SELECT through_id AS id, through_hash AS hash INTO head FROM audit_checkpoints ORDER BY through_id DESC LIMIT 1;
    END IF;
    new.id := coalesce(head.id, 0) + 1;
    new.previous_hash := coalesce(head.hash, sha256('tuneway.audit.genesis.v1'));
    new.recorded_at := clock_timestamp();
    new.hash := sha256(
        'tuneway.audit.entry.v1\\000'::bytea || new.previous_hash || int8send(new.id)
        || int8send((extract(epoch FROM new.recorded_at) * 1000000)::bigint) || convert_to(new.entry, 'UTF8'));
    new.event_id := event->>'event_id';
    new.at := (event->>'at')::timestamptz;
    new.actor := event->>'actor';
    new.origin := event->>'origin';
    new.action := event->>'action';
    new.subject := event->>'subject';
    new.category := event->>'category';
    new.purpose := event->>'purpose';
    new.result := event->>'result';
    new.details := event->'details';
    RETURN new;
END $$
"""

REFUSE = """
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF tg_op = 'DELETE' AND current_setting('tuneway.audit_retires', true) = 'on'
        AND current_user = (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = tg_relid) THEN
        RETURN old;
    END IF;
    RAISE EXCEPTION 'the audit trail is append-only: % is refused on %', tg_op, tg_table_name
        USING ERRCODE = 'insufficient_privilege';
END $$
"""

RETIRE = """
CREATE FUNCTION audit_retire(last_id bigint, signed_head text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    last record;
    removed bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('tuneway_audit'));
    SELECT id, hash INTO STRICT last FROM audit_logs WHERE id = last_id;
    IF EXISTS (SELECT FROM audit_logs WHERE id <= last_id AND recorded_at > now() - interval '365 days') THEN
        RAISE EXCEPTION 'entries of the last 365 days are kept' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO audit_checkpoints (through_id, through_hash, signed_head) VALUES (last.id, last.hash, signed_head);
    PERFORM set_config('tuneway.audit_retires', 'on', true);
    DELETE FROM audit_logs WHERE id <= last_id;
    GET DIAGNOSTICS removed = ROW_COUNT;
    PERFORM set_config('tuneway.audit_retires', 'off', true);
    RETURN removed;
END $$
"""

# a site's user may lack CREATEROLE: the trail then has its triggers only, and `tuneway audit verify` says so
OWN_ROLE = """
DO $$
BEGIN
    BEGIN
        CREATE ROLE tuneway_audit NOLOGIN;
    EXCEPTION
        WHEN duplicate_object OR unique_violation THEN NULL;
        WHEN insufficient_privilege THEN RAISE NOTICE 'may not create the role tuneway_audit';
    END;
    BEGIN
        BEGIN
            IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
                EXECUTE format('GRANT tuneway_audit TO %I', current_user);
            END IF;
        EXCEPTION
            -- the site's administrator may have given it already
            WHEN insufficient_privilege THEN NULL;
        END;
        EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO tuneway_audit', current_schema());
        ALTER TABLE audit_logs OWNER TO tuneway_audit;
        ALTER TABLE audit_checkpoints OWNER TO tuneway_audit;
        ALTER FUNCTION audit_append() OWNER TO tuneway_audit;
        ALTER FUNCTION audit_refuse() OWNER TO tuneway_audit;
        ALTER FUNCTION audit_retire(bigint, text) OWNER TO tuneway_audit;
        EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM tuneway_audit', current_schema());
        EXECUTE format('GRANT SELECT, INSERT (entry) ON audit_logs TO %I', current_user);
        EXECUTE format('GRANT SELECT ON audit_checkpoints TO %I', current_user);
        EXECUTE format('GRANT EXECUTE ON FUNCTION audit_retire(bigint, text) TO %I', current_user);
        IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
            EXECUTE format('REVOKE tuneway_audit FROM %I', current_user);
        END IF;
    EXCEPTION
        WHEN insufficient_privilege OR undefined_object THEN
            RAISE NOTICE 'the audit trail has no role of its own: %', sqlerrm;
    END;
END $$
"""

DISOWN = """
DO $$
BEGIN
    IF (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'audit_logs'::regclass) = 'tuneway_audit' THEN
        BEGIN
            IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
                EXECUTE format('GRANT tuneway_audit TO %I', current_user);
            END IF;
        EXCEPTION
            -- the site's administrator may have given it already
            WHEN insufficient_privilege THEN NULL;
        END;
        EXECUTE format('ALTER TABLE audit_logs OWNER TO %I', current_user);
        EXECUTE format('ALTER TABLE audit_checkpoints OWNER TO %I', current_user);
        EXECUTE format('ALTER FUNCTION audit_append() OWNER TO %I', current_user);
        EXECUTE format('ALTER FUNCTION audit_refuse() OWNER TO %I', current_user);
        EXECUTE format('ALTER FUNCTION audit_retire(bigint, text) OWNER TO %I', current_user);
        IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
            EXECUTE format('REVOKE tuneway_audit FROM %I', current_user);
        END IF;
    END IF;
END $$
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        'audit_checkpoints',
        sa.Column('through_id', sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column('through_hash', sa.LargeBinary(), nullable=False),
        sa.Column('signed_head', sa.Text(), nullable=False),
        sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.PrimaryKeyConstraint('through_id', name=op.f('pk_audit_checkpoints')),
    )
    op.execute("LOCK TABLE audit_logs IN ACCESS EXCLUSIVE MODE")
    for name in ('actor', 'action', 'subject'):
        op.alter_column('audit_logs', name, type_=sa.Text())
    op.alter_column('audit_logs', 'at', server_default=None)
    op.alter_column('audit_logs', 'details', server_default=None)
    op.execute("ALTER TABLE audit_logs ALTER id DROP DEFAULT")
    op.execute("DROP SEQUENCE IF EXISTS audit_logs_id_seq")
    added = (
        ('recorded_at', sa.DateTime(timezone=True)),
        ('event_id', sa.Text()),
        ('origin', sa.Text()),
        ('category', sa.Text()),
        ('purpose', sa.Text()),
        ('result', sa.Text()),
        ('entry', sa.Text()),
        ('previous_hash', sa.LargeBinary()),
        ('hash', sa.LargeBinary()),
    )
    for name, kind in added:
        op.add_column('audit_logs', sa.Column(name, kind, nullable=True))
    _chain_what_is_there()
    for name, _ in added:
        if name not in ('category', 'purpose'):
            op.alter_column('audit_logs', name, nullable=False)
    op.create_unique_constraint(op.f('uq_audit_logs_event_id'), 'audit_logs', ['event_id'])
    op.create_index('ix_audit_logs_at', 'audit_logs', ['at'])
    op.create_index('ix_audit_logs_actor_id', 'audit_logs', ['actor', 'id'])
    op.create_index('ix_audit_logs_subject_id', 'audit_logs', ['subject', 'id'])
    for function in (APPEND, REFUSE, RETIRE):
        op.execute(function)
    op.execute("REVOKE ALL ON FUNCTION audit_retire(bigint, text) FROM PUBLIC")
    op.execute("CREATE TRIGGER audit_append BEFORE INSERT ON audit_logs FOR EACH ROW EXECUTE FUNCTION audit_append()")
    op.execute(
        "CREATE TRIGGER audit_refuse BEFORE UPDATE OR DELETE ON audit_logs FOR EACH ROW EXECUTE FUNCTION audit_refuse()"
    )
    op.execute(
        "CREATE TRIGGER audit_refuse BEFORE UPDATE OR DELETE ON audit_checkpoints"
        " FOR EACH ROW EXECUTE FUNCTION audit_refuse()"
    )
    for table in ('audit_logs', 'audit_checkpoints'):
        op.execute(
            f"CREATE TRIGGER audit_refuse_truncate BEFORE TRUNCATE ON {table} EXECUTE FUNCTION audit_refuse()"
        )
    op.execute(OWN_ROLE)


def _chain_what_is_there() -> None:
    """Give the entries of earlier versions their place in the chain, in the order in which they were written."""
    connection = op.get_bind()
    rows = connection.execute(sa.text("SELECT id, at, actor, action, subject, details FROM audit_logs ORDER BY id"))
    previous = hashlib.sha256(b"tuneway.audit.genesis.v1").digest()
    now = datetime.now(UTC)
    micros = (now - datetime(1970, 1, 1, tzinfo=UTC)) // (datetime.resolution)
    for position, row in enumerate(rows.all(), start=1):
        event = {
            "event_id": f"before-the-chain-{position}",
            "at": row.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "actor": row.actor,
            "origin": "unknown",
            "action": row.action,
            "subject": row.subject,
            "category": None,
            "purpose": None,
            "result": "succeeded",
            "details": row.details,
        }
        entry = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        digest = hashlib.sha256(
            b"tuneway.audit.entry.v1\0"
            + previous
            + position.to_bytes(8, "big", signed=True)
            + micros.to_bytes(8, "big", signed=True)
            + entry.encode()
        ).digest()
        connection.execute(
            sa.text(
                "UPDATE audit_logs SET id = :position, recorded_at = :now, event_id = :event_id, origin = 'unknown',"
                " result = 'succeeded', entry = :entry, previous_hash = :previous, hash = :digest WHERE id = :id"
            ),
            {
                "position": position,
                "now": now,
                "event_id": event["event_id"],
                "entry": entry,
                "previous": previous,
                "digest": digest,
                "id": row.id,
            },
        )
        previous = digest


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(DISOWN)
    for table in ('audit_logs', 'audit_checkpoints'):
        for trigger in ('audit_refuse', 'audit_refuse_truncate'):
            op.execute(f"DROP TRIGGER {trigger} ON {table}")
    op.execute("DROP TRIGGER audit_append ON audit_logs")
    op.execute("DROP FUNCTION audit_append()")
    op.execute("DROP FUNCTION audit_refuse()")
    op.execute("DROP FUNCTION audit_retire(bigint, text)")
    op.drop_table('audit_checkpoints')
    for index in ('ix_audit_logs_at', 'ix_audit_logs_actor_id', 'ix_audit_logs_subject_id'):
        op.drop_index(index, 'audit_logs')
    op.drop_constraint(op.f('uq_audit_logs_event_id'), 'audit_logs')
    for name in (
        'recorded_at', 'event_id', 'origin', 'category', 'purpose', 'result', 'entry', 'previous_hash', 'hash'
    ):
        op.drop_column('audit_logs', name)
    # the longer texts of a chained entry do not fit the older columns
    op.execute("ALTER TABLE audit_logs ALTER actor TYPE varchar(255) USING left(actor, 255)")
    op.execute("ALTER TABLE audit_logs ALTER action TYPE varchar(100) USING left(action, 100)")
    op.execute("ALTER TABLE audit_logs ALTER subject TYPE varchar(500) USING left(subject, 500)")
    op.alter_column('audit_logs', 'at', server_default=sa.text('now()'))
    op.alter_column(
        'audit_logs', 'details', existing_type=postgresql.JSONB(), server_default=sa.text("'{}'::jsonb")
    )
    op.execute("CREATE SEQUENCE audit_logs_id_seq OWNED BY audit_logs.id")
    op.execute("SELECT setval('audit_logs_id_seq', coalesce((SELECT max(id) FROM audit_logs), 0) + 1, false)")
    op.execute("ALTER TABLE audit_logs ALTER id SET DEFAULT nextval('audit_logs_id_seq')")
