"""Too many calls, too large a body, too deep a JSON."""

import httpx
import pytest

from tests.serving_api.running import ADMIN_TOKEN, running_service

pytestmark = pytest.mark.slow

HEADERS = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


def test_every_path_counts_and_the_answer_says_when_to_come_back(services):
    with (
        running_service(services, requests_per_minute=1, logins_per_minute=1) as (url, _),
        httpx.Client(base_url=url) as client,
    ):
        # nobody believes a stranger's header
        headers = [{"X-Forwarded-For": f"9.9.9.{number}"} for number in range(4)]
        paths = ("/nowhere", "/api/v1/admin/models", "/.well-known/jwks.json", "/nowhere")
        found = [client.get(path, headers=stranger) for path, stranger in zip(paths, headers, strict=True)]
        assert [response.status_code for response in found] == [404, 429, 429, 429]
        refused = found[-1]
        assert refused.json()["code"] == "too_many_requests"
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert client.get("/health").status_code == 200
        login = {"username": "nobody", "password": "x"}
        codes = [client.post("/api/v1/auth/login", json=login).status_code for _ in range(2)]
        assert codes == [401, 429]


def test_a_body_is_neither_too_large_nor_too_deep(services):
    with running_service(services) as (url, _), httpx.Client(base_url=url, headers=HEADERS) as client:
        path = "/api/v1/admin/finetuning/plan"
        large = client.post(path, content=b" " * 1_000_001)
        assert (large.status_code, large.json()["code"]) == (413, "invalid_request")
        streamed = client.post(path, content=(b" " * 100_000 for _ in range(11)))
        assert streamed.status_code == 413
        deep = client.post(path, content=b"[" * 33 + b"]" * 33, headers={"Content-Type": "application/json"})
        assert (deep.status_code, "nested" in deep.json()["what"]) == (422, True)
        assert client.post(path, json={"recipe": "none"}).status_code == 422
        for refused in (
            client.get("/api/v1/admin/users/%00"),
            client.patch("/api/v1/admin/users/%00", json={"role": "viewer"}),
            client.get("/api/v1/admin/tokens", params={"username": "\0"}),
            client.post("/api/v1/auth/login", json={"username": "\0", "password": "x"}),
        ):
            assert (refused.status_code, "NUL" in refused.json()["what"]) == (422, True)
