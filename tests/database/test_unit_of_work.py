"""What a transaction says where PostgreSQL refuses it."""

import pytest

from contracts.errors import InvalidRequestError, SchemaMissingError, UnavailableError
from database.unit_of_work import unit_of_work
from tests.ports import free_port


def test_a_number_that_no_row_can_have_is_a_mistake_of_the_request(database_url):
    with pytest.raises(InvalidRequestError, match="larger than any"), unit_of_work(database_url) as uow:
        uow.models.get(2**40)


def test_missing_tables_and_a_database_that_is_away_are_told_apart(postgres_server):
    with pytest.raises(SchemaMissingError), unit_of_work(postgres_server.url("postgres")) as uow:
        uow.users.has_admin()
    away = f"postgresql+psycopg://tuneway:x@127.0.0.1:{free_port()}/tuneway"
    with pytest.raises(UnavailableError) as refused, unit_of_work(away) as uow:
        uow.users.has_admin()
    assert not isinstance(refused.value, SchemaMissingError)
