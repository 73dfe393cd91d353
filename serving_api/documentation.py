"""The API's own pages. FastAPI's take their scripts from the internet; these have them on disk."""

from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse

SCRIPT = Path("js") / "swagger-ui-bundle.js"
STYLE = Path("css") / "swagger" / "swagger-ui.css"
NO_ICON = "data:,"


def install_documentation(app: FastAPI) -> None:
    """Serve /docs with the Swagger UI that Airflow's FAB provider brings along; /openapi.json is there in any case."""
    spec = find_spec("flask_appbuilder")
    if spec is None or spec.origin is None:
        return
    assets = Path(spec.origin).parent / "static" / "appbuilder"

    @app.get("/docs/swagger-ui.js", include_in_schema=False)
    def script() -> FileResponse:
        return FileResponse(assets / SCRIPT, media_type="text/javascript")

    @app.get("/docs/swagger-ui.css", include_in_schema=False)
    def style() -> FileResponse:
        return FileResponse(assets / STYLE, media_type="text/css")

    @app.get("/docs", include_in_schema=False)
    def page() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="Tuneway API",
            swagger_js_url="/docs/swagger-ui.js",
            swagger_css_url="/docs/swagger-ui.css",
            swagger_favicon_url=NO_ICON,
        )
