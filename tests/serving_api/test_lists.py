"""Every list of the admin API is read in the same way."""

import httpx
import pytest

from tests.serving_api.running import ADMIN_TOKEN, add_admin_key, running_service

pytestmark = pytest.mark.slow

LISTS = ("training/datasets", "finetuning/jobs", "models", "ab-tests", "pipeline-runs", "users", "tokens")


def test_lists_have_one_shape_and_refuse_the_same_mistakes(services):
    add_admin_key(services)
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    with (
        running_service(services) as (url, app),
        httpx.Client(base_url=f"{url}/api/v1/admin", headers=headers) as client,
    ):
        lists = {
            path.removeprefix("/api/v1/admin/")
            for path, methods in app.control.openapi()["paths"].items()
            if any(parameter["name"] == "cursor" for parameter in methods.get("get", {}).get("parameters", []))
        }
        assert lists >= set(LISTS)
        for path in LISTS:
            page = client.get(path).json()
            assert set(page) == {"items", "total", "skip", "limit", "next_cursor"}, path
            assert (page["total"], page["skip"], page["limit"]) == (len(page["items"]), 0, 20), path
            for wrong in ({"sort": "password_hash"}, {"cursor": "x"}, {"skip": -1}, {"skip": 10**30}, {"limit": 501}):
                refused = client.get(path, params=wrong)
                assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request"), (path, wrong)
        assert client.get("users", params={"role": "viewer"}).json()["total"] == 0
        assert client.get("tokens", params={"username": "ci"}).json()["items"][0]["name"] == "test"
