"""docs/api.md, made from the service itself: `python -m serving_api.reference > docs/api.md`; a test compares the two."""

import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import yaml
from fastapi import FastAPI
from fastapi.routing import APIRoute

from contracts.access import ResourceKind
from serving_api.app import create_app
from serving_api.examples import sample
from serving_api.permissions import OWN, PUBLIC, Permission, permissions_of
from serving_api.problems import STATUS_CODES
from settings import SecretName, Settings
from settings.model import REPOSITORY_ROOT
from stages.services import Services

POLICIES = REPOSITORY_ROOT / "security" / "policies"
DERIVED = {
    "owner": "who made it",
    "same_project": "members of a common project",
    "of_the_house": "everybody, of what nobody in particular made",
    "engineer_at_hand": "ml_engineer, of what is theirs, of a common project or of nobody in particular",
    "analyst_at_hand": "analyst, of what is theirs, of a common project or of nobody in particular",
    "independent_reviewer": "admin and analyst, of models that they did not have trained",
}
"""How people say the derived roles of `security/policies`."""
_HEAD = """# API

Every call of the FastAPI service but `/v1/*` ([serving](serving.md)). This page is made by `python -m serving_api.reference` from the service itself; `/docs` of a running service shows the same to try out,
`/openapi.json` to programs. How lists, limits and errors work: [serving](serving.md#admin-api). Who is who: [identity](identity.md), [permissions](permissions.md).

    export TUNEWAY=http://127.0.0.1:18001
    export TOKEN=$(curl -s "$TUNEWAY/api/v1/auth/login" -H 'Content-Type: application/json' -d '{"username": "admin", "password": "..."}' | jq -r .access_token)

Errors are `application/problem+json`: `type`, `title`, `status`, `detail`, and the parts `code`, `what`, `value`, `allowed`, `next_step`, `retryable`.

| status | code |
|---|---|
"""


def main() -> None:
    """Write the page to standard output."""
    sys.stdout.write(reference())


def reference() -> str:
    """The page."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), database_url="postgresql+psycopg://nobody@127.0.0.1:1/none")
        settings.secrets_dir.mkdir()
        for name, value in ((SecretName.TOKEN_KEY, token_urlsafe(32)), (SecretName.ASSIGNMENT_KEY, token_urlsafe(32))):
            (settings.secrets_dir / name.value).write_text(value, encoding="utf-8")
        return page_of(create_app(Services(settings)))


def page_of(app: FastAPI) -> str:
    """The page of an application."""
    openapi = app.openapi()
    routes = {
        (method.lower(), route.path_format): route
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    by_tag: dict[str, list[str]] = defaultdict(list)
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            tag = (operation.get("tags") or ["control"])[0]
            by_tag[tag].append("\n".join(_call(method, path, operation, routes[method, path], openapi)))
    codes = "".join(f"| {status} | `{kind.code}` |\n" for kind, status in sorted(STATUS_CODES.items(), key=_by_status))
    parts = [f"## {tag.capitalize()}\n\n" + "\n".join(calls) for tag, calls in by_tag.items()]
    return _HEAD + codes + "\n" + "\n".join(parts)


def _by_status(item: tuple[type, int]) -> tuple[int, str]:
    return item[1], item[0].__name__


def _call(method: str, path: str, operation: dict[str, Any], route: APIRoute, openapi: dict[str, Any]) -> Iterator[str]:
    yield f"### {method.upper()} {path}\n"
    yield f"{operation.get('description', '')}\n"
    yield f"Who: {_who(route)}\n"
    rows = [*_parameters(operation, openapi), *_fields(operation, openapi)]
    if rows:
        yield "| parameter | in | what | |\n|---|---|---|---|"
        yield "\n".join(rows) + "\n"
    statuses = ", ".join(sorted(operation["responses"], key=str))
    yield f"Answers: {statuses}\n"
    yield f"    {_curl(method, path, operation, route, openapi)}\n"


def _who(route: APIRoute) -> str:
    if route.path in PUBLIC:
        return "everybody, without a token"
    if route.path in OWN:
        return "everybody who is logged in, for themselves"
    asked = []
    for permission in permissions_of(route):
        action = permission.action if isinstance(permission, Permission) else "read"
        is_list = not isinstance(permission, Permission)
        told = f"`{permission.kind.value}:{action}`" + (" of each row" if is_list else "")
        asked.append(f"{told} ({'; '.join(_allowed(permission.kind, action))})")
    return ", and ".join(dict.fromkeys(asked))


def _allowed(kind: ResourceKind, action: str) -> list[str]:
    policy = yaml.safe_load((POLICIES / f"resource_{kind.value}_policy.yaml").read_text(encoding="utf-8"))
    rules = [rule for rule in policy["resourcePolicy"]["rules"] if action in rule["actions"]]
    roles = [role for rule in rules for role in rule.get("roles", [])]
    derived = [DERIVED[role] for rule in rules for role in rule.get("derivedRoles", [])]
    return [", ".join(dict.fromkeys(roles)), *dict.fromkeys(derived)] if roles else list(dict.fromkeys(derived))


def _parameters(operation: dict[str, Any], openapi: dict[str, Any]) -> Iterator[str]:
    for parameter in operation.get("parameters", []):
        yield _row(
            parameter["name"], parameter["in"], parameter["schema"], parameter.get("required", False),
            parameter.get("description", ""), openapi,
        )  # fmt: skip


def _fields(operation: dict[str, Any], openapi: dict[str, Any]) -> Iterator[str]:
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = _resolved(content["schema"], openapi)
        for name, field in schema.get("properties", {}).items():
            place = "form" if media == "multipart/form-data" else "body"
            yield _row(name, place, field, name in schema.get("required", []), field.get("description", ""), openapi)
        if media == "application/octet-stream":
            yield "| | body | the part's bytes | |"


def _resolved(schema: dict[str, Any], openapi: dict[str, Any]) -> dict[str, Any]:
    """The schema behind a reference, and that of what is not null."""
    if "$ref" in schema:
        return _resolved(openapi["components"]["schemas"][schema["$ref"].rpartition("/")[2]], openapi)
    choices = [one for one in schema.get("anyOf", []) if one.get("type") != "null"]
    return _resolved(choices[0], openapi) if choices else schema


def _row(
    name: str, place: str, schema: dict[str, Any], is_required: bool, description: str, openapi: dict[str, Any]
) -> str:
    found = _resolved(schema, openapi)
    values = schema.get("enum") or found.get("enum")
    kind = ", ".join(f"`{value}`" for value in values) if values else str(found.get("type", "object"))
    bounds = [
        f"{sign} {int(bound) if bound == int(bound) else bound}"
        for limit, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if isinstance(bound := found.get(limit), int | float)
    ]
    default = schema.get("default")
    state = "required" if is_required else "" if default is None else f"`{json.dumps(default, ensure_ascii=False)}`"
    text = " ".join(str(description).split()).replace("|", "\\|")
    return f"| `{name}` | {place} | {' '.join([kind, *bounds])}{', ' + state if state else ''} | {text} |"


def _curl(method: str, path: str, operation: dict[str, Any], route: APIRoute, openapi: dict[str, Any]) -> str:
    query = []
    parts = ["curl -s"] if method == "get" else [f"curl -s -X {method.upper()}"]
    headers = [] if route.path in PUBLIC else ['-H "Authorization: Bearer $TOKEN"']
    for parameter in operation.get("parameters", []):
        value = sample(parameter["schema"], openapi, parameter["name"])
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(parameter.get("example", value)))
        elif parameter.get("required"):
            if parameter["in"] == "query":
                query.append(f"{parameter['name']}={value}")
            else:
                headers.append(f"-H '{parameter['name']}: {0 if parameter['name'] == 'Upload-Offset' else value}'")
    path = path.replace("+", "%2B")
    parts.append(f'"$TUNEWAY{path}{"?" + "&".join(query) if query else ""}"')
    parts += headers
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        example = json.dumps(content["application/json"]["example"], ensure_ascii=False).replace("'", "'\\''")
        parts.append(f"-H 'Content-Type: application/json' -d '{example}'")
    elif "multipart/form-data" in content:
        parts.append("-F name=tolls -F file=@tolls.jsonl")
    elif "application/octet-stream" in content:
        parts.append("-H 'Content-Type: application/octet-stream' --data-binary @part")
    return " ".join(parts)


if __name__ == "__main__":
    main()
