"""One line a call, and the id that leads from it to what it caused."""

import logging

import httpx
import pytest
from fastapi import FastAPI

from stages.call_log import CallLog
from storage.log_lines import request_id


def application(**options):
    app = FastAPI()
    app.add_middleware(CallLog, **options)

    @app.get("/about")
    def about() -> dict[str, str | None]:
        return {"request_id": request_id()}

    @app.post("/broken")
    def broken() -> None:
        raise RuntimeError

    return app


async def call(app, method, path, **arguments):
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.request(method, path, **arguments)


async def test_the_callers_id_is_kept_known_within_and_answered():
    answer = await call(application(), "GET", "/about", headers={"X-Request-Id": "proxy-00000001"})
    assert answer.json() == {"request_id": "proxy-00000001"}
    assert answer.headers["x-request-id"] == "proxy-00000001"


@pytest.mark.parametrize("given", ["short", "with blank 1234", "x" * 65, 'quote"12345'])
async def test_what_is_no_id_is_replaced(given):
    answer = await call(application(), "GET", "/about", headers={"X-Request-Id": given})
    assert answer.json()["request_id"] == answer.headers["x-request-id"] != given
    assert len(answer.headers["x-request-id"]) == 32


async def test_one_line_a_call_without_its_query(caplog):
    caplog.set_level(logging.INFO, logger="stages.call_log")
    await call(application(), "GET", "/about?name=someone")
    await call(application(), "POST", "/broken")
    told = [record.getMessage() for record in caplog.records if record.name == "stages.call_log"]
    assert [line.rsplit(" ", 2)[0] for line in told] == ["GET /about 200", "POST /broken 500"]


async def test_reads_that_succeed_can_be_left_out(caplog):
    caplog.set_level(logging.INFO, logger="stages.call_log")
    app = application(reads=False)
    await call(app, "GET", "/about")
    await call(app, "GET", "/nowhere")
    told = [record.getMessage() for record in caplog.records if record.name == "stages.call_log"]
    assert [line.rsplit(" ", 2)[0] for line in told] == ["GET /nowhere 404"]
