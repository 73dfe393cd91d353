"""The limit is exact however many ask at once."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from database.unit_of_work import unit_of_work


def test_of_800_requests_over_8_connections_exactly_100_are_let_through(database_url):
    def ask(_):
        with unit_of_work(database_url) as uow:
            # an hour's limit: nothing comes back while the test runs
            return [uow.limits.hit("call:1.2.3.4", 100, 360_000.0) for _ in range(10)].count(0.0)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(80))) == 100


def test_who_waits_as_long_as_they_were_told_is_let_through_and_others_are_not_disturbed(database_url):
    with unit_of_work(database_url) as uow:
        assert [uow.limits.hit("a", 2, 60.0) for _ in range(2)] == [0.0, 0.0]
        wait = uow.limits.hit("a", 2, 60.0)
        assert 25 < wait <= 30
        assert uow.limits.hit("b", 2, 60.0) == 0.0
        uow.session.execute(text("UPDATE rate_limits SET arrival = arrival - :wait WHERE bucket = 'a'"), {"wait": wait})
        assert uow.limits.hit("a", 2, 60.0) == 0.0
        assert uow.limits.hit("a", 2, 60.0) > 25


def test_what_is_idle_is_forgotten(database_url):
    with unit_of_work(database_url) as uow:
        uow.limits.hit("a", 2, 60.0)
        uow.session.execute(text("UPDATE rate_limits SET arrival = arrival - 200"))
        uow.limits.hit("b", 2, 600.0)
        uow.limits.forget_idle()
        assert uow.session.execute(text("SELECT bucket FROM rate_limits")).scalars().all() == ["b"]
