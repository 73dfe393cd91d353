"""Examples in the OpenAPI: a request and an answer of every call, made from its schema, so that none can be forgotten.

A field's own `examples` come first, then the names that mean the same everywhere, then its default, then its type.
"""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from pydantic import JsonValue

from contracts.record import JsonObject

NAMED: dict[str, JsonValue] = {
    "arm": "b",
    "base_model": "Qwen3-0.6B",
    "checkpoint": "checkpoint-500",
    "dag_id": "finetune_pipeline",
    "description": "Questions on tolls, November",
    "display_name": "Kim Hana",
    "experiment_name": "tolls-2026-11",
    "file_name": "tolls.jsonl",
    "job_name": "tolls-2026-11",
    "model_name": "tolls",
    "name": "tolls",
    "new_password": "a longer password than before",
    "password": "the password that was shown once",
    "prefix": "0123456789ab",
    "reason": "the service desk asked for it",
    "recipe": "demo-lora",
    "refresh_token": "twr_0123456789",
    "run_id": "manual__2026-11-28T09:00:00+00:00",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "size_bytes": 200_000_000,
    "sort": "-created_at",
    "token": "an access token",
    "upload_id": "5f2b6c0d9e8a4b7c8d9e0f1a2b3c4d5e",
    "user": "user-17",
    "username": "hana",
    "version": "v1.0",
    "other_id": 2,
    "winner": "b",
    "model_a_id": 1,
    "model_b_id": 2,
}
"""What a field or a parameter of that name shows."""
ALSO_SHOWN = frozenset({"model_a_id", "model_b_id"})
"""Fields that may be left out, in favour of others, and are shown nevertheless."""
_DEEPEST = 8
_TEXTS = {"date-time": "2026-11-28T09:00:00Z", "date": "2026-11-28", "binary": "..."}


def install_examples(app: FastAPI) -> None:
    """From now on the application's OpenAPI has them."""
    plain: Callable[[], dict[str, Any]] = app.openapi

    def with_examples() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = add_examples(plain())
        return app.openapi_schema

    app.openapi = with_examples  # type: ignore[method-assign]


def add_examples(openapi: dict[str, Any]) -> dict[str, Any]:
    """The document with examples of requests, of answers, and of the parameters in paths."""
    for methods in openapi["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", []):
                if "example" not in parameter and parameter["in"] == "path":
                    parameter["example"] = sample(parameter["schema"], openapi, parameter["name"])
            contents = [
                operation.get("requestBody", {}),
                *(answer for status, answer in operation.get("responses", {}).items() if status.startswith("2")),
            ]
            for content in contents:
                found = content.get("content", {}).get("application/json")
                if found and found.get("schema") and "example" not in found:
                    found["example"] = sample(found["schema"], openapi)
    return openapi


def sample(schema: dict[str, Any], openapi: dict[str, Any], name: str = "", depth: int = 0) -> JsonValue:
    """A value that the schema allows."""
    if "$ref" in schema:
        target = openapi["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return sample(
            {**target, **{key: value for key, value in schema.items() if key != "$ref"}}, openapi, name, depth
        )
    if schema.get("examples"):
        first: JsonValue = schema["examples"][0]
        return first
    if schema.get("default") is not None:
        default: JsonValue = schema["default"]
        return default
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return sample(next((one for one in choices if one.get("type") != "null"), choices[0]), openapi, name, depth)
    if "allOf" in schema:
        return sample(schema["allOf"][0], openapi, name, depth)
    if "const" in schema or schema.get("enum"):
        fixed: JsonValue = schema.get("const", (schema.get("enum") or [None])[0])
        return fixed
    kind = schema.get("type")
    if name in NAMED and isinstance(NAMED[name], str) == (kind == "string"):
        return NAMED[name]
    if kind == "object":
        return _object(schema, openapi, depth)
    if kind == "array":
        return [] if depth > _DEEPEST or "items" not in schema else [sample(schema["items"], openapi, name, depth + 1)]
    return _scalar(schema, kind, name)


def _object(schema: dict[str, Any], openapi: dict[str, Any], depth: int) -> JsonObject:
    """The required fields, and those that have a plain default."""
    if depth > _DEEPEST:
        return {}
    required = schema.get("required", [])
    return {
        name: sample(field, openapi, name, depth + 1)
        for name, field in schema.get("properties", {}).items()
        if name in required or name in ALSO_SHOWN or isinstance(field.get("default"), str | int | float)
    }


def _scalar(schema: dict[str, Any], kind: str | None, name: str) -> JsonValue:
    if kind == "boolean":
        return True
    if kind in {"integer", "number"}:
        lowest = schema.get("minimum", schema.get("exclusiveMinimum"))
        if kind == "integer":
            return max(1, int(lowest or 0) + ("exclusiveMinimum" in schema))
        highest = schema.get("maximum", schema.get("exclusiveMaximum"))
        return 0.5 if highest is not None and highest <= 1 else float(max(1, lowest or 0))
    if kind == "string":
        return _TEXTS.get(schema.get("format", ""), name or "text")
    return None
