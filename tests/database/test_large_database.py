"""Migrations of a database with a million answers, forward and back, beside traffic, and while somebody holds a lock."""

import threading
import time

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from database import migrate

ROWS = 1_000_000
FIRST = "0001"
SUM = "SELECT count(*), sum(hashtext(request_id || query || response || user_rating)::bigint) FROM ab_test_logs"
FILL = f"""
INSERT INTO ab_test_logs (request_id, session_id, variant, query, response, response_time_ms, user_rating, user_key)
SELECT 'request-' || n, 'session-' || n % 50000, CASE WHEN n % 2 = 0 THEN 'a' ELSE 'b' END,
       repeat('질문 ', 20) || n, repeat('답변 ', 40) || n, n % 3000, n % 5 + 1, 'user-' || n % 50000
FROM generate_series(1, {ROWS}) AS n
"""
ANSWER = "INSERT INTO ab_test_logs (request_id, query, response) VALUES (%s, '질문', '답변')"


class Traffic(threading.Thread):
    """An answer is stored and one is read, again and again; the longest wait of each."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self._address = address
        self.ending = threading.Event()
        self.waits: list[float] = []
        self.stored = 0

    def run(self) -> None:
        with psycopg.connect(self._address, autocommit=True) as connection:
            while not self.ending.is_set():
                began = time.monotonic()
                connection.execute(ANSWER, (f"traffic-{self.stored}",))
                connection.execute("SELECT response FROM ab_test_logs WHERE request_id = 'request-777'").fetchone()
                self.waits.append(time.monotonic() - began)
                self.stored += 1
                time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.deep
def test_a_million_answers_go_through_every_migration_and_back_beside_traffic(database_url):
    address = database_url.replace("+psycopg", "")
    migrate.downgrade(database_url, FIRST)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(FILL)
        before = connection.execute(SUM).fetchone()
        size = connection.execute("SELECT pg_total_relation_size('ab_test_logs')").fetchone()
        assert before is not None
        assert size is not None
        assert before[0] == ROWS

        # a long report holds a lock: the migration that needs the table gives up soon, those before it stay
        with psycopg.connect(address) as report:
            report.execute("LOCK TABLE ab_test_logs IN ACCESS SHARE MODE")
            began = time.monotonic()
            with pytest.raises(OperationalError, match="lock timeout"):
                migrate.upgrade(database_url)
            given_up = time.monotonic() - began
        assert given_up < 30
        assert migrate.current(database_url) == "0006"

        for name, move in (
            ("forward", lambda: migrate.upgrade(database_url)),
            ("back", lambda: migrate.downgrade(database_url, FIRST)),
            ("forward again", lambda: migrate.upgrade(database_url)),
        ):
            traffic = Traffic(address)
            traffic.start()
            time.sleep(0.5)
            began = time.monotonic()
            move()
            seconds = time.monotonic() - began
            traffic.ending.set()
            traffic.join(timeout=60)
            assert not traffic.is_alive()
            print(f"{name}: {seconds:.1f} s, longest wait {max(traffic.waits):.2f} s, {traffic.stored} answers stored")
            # what was acknowledged is there, and what was there is as it was
            assert connection.execute(
                "SELECT count(*) FROM ab_test_logs WHERE request_id LIKE 'traffic-%'"
            ).fetchone() == (traffic.stored,)
            connection.execute("DELETE FROM ab_test_logs WHERE request_id LIKE 'traffic-%'")
            assert connection.execute(SUM).fetchone() == before
            # nobody waited longer than the statement that needs the lock itself
            assert max(traffic.waits) < seconds + 5
        print(f"given up after {given_up:.1f} s; {size[0] / 1e6:.0f} MB")
    migrate.check(database_url)
