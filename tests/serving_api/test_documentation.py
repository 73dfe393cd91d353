"""The API's page works without a network."""

import re

from fastapi import FastAPI
from fastapi.testclient import TestClient

from serving_api.documentation import install_documentation


def test_the_page_and_everything_it_loads_come_from_this_service():
    app = FastAPI(docs_url=None, redoc_url=None)
    install_documentation(app)
    client = TestClient(app)
    page = client.get("/docs").text
    loaded = re.findall(r"""(?:src|href)=["']([^"']+)""", page)
    assert "/docs/swagger-ui.js" in loaded
    assert not [address for address in loaded if address.startswith(("http:", "https:", "//"))]
    assert "SwaggerUIBundle" in client.get("/docs/swagger-ui.js").text
    assert ".swagger-ui" in client.get("/docs/swagger-ui.css").text
    assert client.get("/openapi.json").json()["openapi"].startswith("3.")
