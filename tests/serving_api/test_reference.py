"""The page of the API is the API, and its examples are calls that the API takes."""

import pytest
from fastapi.routing import APIRoute

from serving_api.app import create_app
from serving_api.reference import page_of
from tests.conftest import REPOSITORY_ROOT
from tests.serving_api.running import make_secrets

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    from settings import Settings
    from stages.services import Services

    folder = tmp_path_factory.mktemp("installation")
    settings = Settings(data_dir=folder, database_url="postgresql+psycopg://nobody@127.0.0.1:1/none")
    make_secrets(settings.secrets_dir)
    return create_app(Services(settings))


def test_the_committed_page_is_what_the_service_says_of_itself(app):
    committed = (REPOSITORY_ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert committed == page_of(app), "write it anew: python -m serving_api.reference > docs/api.md"


def test_every_call_has_an_example_that_its_own_schema_allows(app):
    openapi = app.openapi()
    routes = [route for route in app.routes if isinstance(route, APIRoute) and route.include_in_schema]
    assert len(routes) > 40
    wrong = []
    for route in routes:
        for method in route.methods:
            operation = openapi["paths"][route.path_format][method.lower()]
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if route.body_field is not None and body is not None:
                _, errors = route.body_field.validate(body["example"], {}, loc=("body",))
                wrong += [(method, route.path, error["loc"], error["msg"]) for error in errors or []]
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path" and "example" not in parameter:
                    wrong.append((method, route.path, parameter["name"], "no example"))
            for status, answer in operation["responses"].items():
                content = answer.get("content", {}).get("application/json")
                if status.startswith("2") and content and content.get("schema") and "example" not in content:
                    wrong.append((method, route.path, status, "no example"))
    assert wrong == []
