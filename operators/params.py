"""The trigger form of a DAG, made from its request record: one description of a field serves form, API and check."""

from __future__ import annotations

from difflib import get_close_matches
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.sdk import Param
from pydantic import ValidationError

from contracts.errors import InvalidRequestError
from contracts.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

AnyRecord = TypeVar("AnyRecord", bound=Record)

SECTIONS: dict[str, tuple[str, ...]] = {
    "데이터": (
        "dataset_name", "dataset_id", "input_files", "columns", "max_rows", "train_ratio", "val_ratio", "test_ratio",
        "split_unit", "policy", "near_duplicate_threshold", "min_quality_score", "min_answer_characters", "branch",
    ),
    "생성": (
        "documents", "qdrant", "model", "endpoint_url", "templates", "samples_per_chunk", "sample_system_prompt",
        "max_chunks", "concurrency",
    ),
    "압축": (
        "job_name", "parent_job_id", "compression", "group_size", "sparsity", "two_of_four", "calibration_rows",
        "student", "student_layers", "temperature", "teacher_weight", "speed_seconds",
    ),
    "모델": ("base_model", "method", "recipe", "model_name", "model_id", "job_id", "checkpoint"),
    "학습": (
        "lora_rank", "lora_alpha", "learning_rate", "batch_size", "gradient_accumulation_steps", "num_epochs",
        "warmup_steps", "max_seq_length", "num_gpus", "project", "priority", "seed",
    ),
    "탐색": (
        "sweep_name", "search_space", "objectives", "trials", "sampler", "pruner", "evaluations_per_trial",
        "budget_hours",
    ),
    "평가": (
        "test_suite", "extra_suites", "max_cases", "accuracy_bar", "metric", "judge_url", "judge_model",
        "contamination_override",
    ),
    "배포": ("deploy", "config", "approval_needed", "traffic_to_new"),
    "A/B 테스트": (
        "experiment_id", "challenger", "questions", "suite", "system_prompt", "margin", "max_answer_tokens", "again",
    ),
}  # fmt: skip
"""Groups of the form, in order, and the fields in each."""

DEMO_VALUES: dict[str, Any] = {
    "input_files": [
        "demo/data/regulations.jsonl",
        "demo/data/base_replay.jsonl",
        "demo/data/consultations.json",
        "demo/data/consultations.csv",
        "demo/data/consultations.parquet",
    ],
    "split_unit": "question",
    "documents": ["demo/documents"],
    "test_suite": "demo/test_cases/regulations.jsonl",
    "extra_suites": ["demo/test_cases/unseen_forms.jsonl", "demo/test_cases/base_knowledge.jsonl"],
    "search_space": {
        "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
        "lora_rank": {"choices": [8, 16, 32]},
    },
    "dataset_id": 1,
    "job_id": 1,
    "model_id": 1,
    "experiment_id": 1,
    "parent_job_id": 1,
    "job_name": "regulations-int8",
}
"""What the form starts with, where the record's own default would not start a run."""

KEPT_KEYWORDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "pattern", "minLength", "maxLength",
                 "minItems", "maxItems", "items", "properties", "additionalProperties")  # fmt: skip


def form_params(
    request: type[Record], fields: Iterable[str] | None = None, *, demo: Iterable[str] = ()
) -> dict[str, Param]:
    """One Param a field, grouped by section.

    `fields` limits the form to some of the record's fields; `demo` names those that start with a value of the demo.
    """
    schema = request.model_json_schema()
    chosen = set(schema["properties"]) if fields is None else set(fields)
    demo_fields = set(demo)
    params: dict[str, Param] = {}
    for section, names in SECTIONS.items():
        for name in names:
            if name not in chosen:
                continue
            field_schema = _resolved(schema["properties"][name], schema.get("$defs", {}))
            default = DEMO_VALUES[name] if name in demo_fields else _default(request, name)
            params[name] = Param(
                default,
                title=field_schema["title"],
                description_md=field_schema["description"],
                section=section,
                **_form_schema(field_schema),
            )
    assert set(params) == chosen, f"no section for {chosen - set(params)}"
    return params


def _default(request: type[Record], name: str) -> Any:
    default = request.model_fields[name].get_default(call_default_factory=True)
    if isinstance(default, StrEnum):
        return default.value
    return default.model_dump(mode="json") if isinstance(default, Record) else default


def _resolved(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """The schema with every reference replaced by what it refers to; the place's own words win."""
    if isinstance(schema, list):
        return [_resolved(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    own = {key: _resolved(part, definitions) for key, part in schema.items() if key != "$ref"}
    if "$ref" not in schema:
        return own
    return {**_resolved(definitions[schema["$ref"].rpartition("/")[2]], definitions), **own}


def _form_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The keywords that Airflow's form and its check understand: one type list instead of alternatives."""
    alternatives = [part for part in schema.get("anyOf", [schema]) if part.get("type") != "null"]
    (value_schema,) = alternatives
    kept = {key: value_schema[key] for key in KEPT_KEYWORDS if key in value_schema}
    if "enum" in value_schema:
        kept["enum"] = list(value_schema["enum"])
    kind = value_schema["type"]
    return {"type": ["null", kind] if "anyOf" in schema else kind, **kept}


def parse_request(kind: type[AnyRecord], params: Mapping[str, Any], fields: Iterable[str] | None = None) -> AnyRecord:
    """The run's request. Raises InvalidRequestError with one clear message at the first thing that is wrong."""
    known = sorted(kind.model_fields if fields is None else fields)
    for key in params:
        if key not in known:
            # a field of the record that this DAG leaves out is no misspelling of another one
            close = [] if key in kind.model_fields else get_close_matches(key, known, n=1)
            raise InvalidRequestError(
                f"The request has a field that this pipeline does not know: {key}",
                value=params[key],
                allowed=", ".join(known),
                next_step=f"write {close[0]} instead of {key}" if close else f"remove {key}",
            )
    try:
        # through JSON rules: enums and nested records arrive as plain values
        return kind.model_validate(dict(params))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = str(first["msg"]).removeprefix("Value error, ")
        raise InvalidRequestError(
            f"The request is not valid{f' at {place}' if place else ''}: {message}",
            value=first["input"] if place else None,
            next_step="correct it and trigger the DAG again",
        ) from None
