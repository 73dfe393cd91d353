"""One stage from the command line: a request file in, the record out."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TextIO, TypeVar

from pydantic import ValidationError

from cli.screen import flush_output
from contracts.enums import StageName
from contracts.errors import InvalidRequestError
from contracts.record import Record
from settings import Settings
from settings.logs import start_logging
from stages.catalog import STAGES, Stage

AnyRecord = TypeVar("AnyRecord", bound=Record)


def stage_named(name: str) -> Stage:
    """The stage. Raises InvalidRequestError with the names there are."""
    names = [stage.value for stage in StageName]
    if name not in names:
        similar = get_close_matches(name, names, n=1)
        raise InvalidRequestError(
            "There is no such stage",
            value=name,
            allowed=", ".join(names),
            next_step=f"did you mean `tuneway stage {similar[0]}`?" if similar else "choose one of these",
        )
    return STAGES[StageName(name)]


def read_request(stage: Stage, path: Path) -> Record:
    """The request in a JSON file (or standard input for `-`), checked before anything is done."""
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidRequestError(
            "The request file cannot be read", value=path, next_step=error.strerror or str(error)
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidRequestError("The request file is not UTF-8", value=path, next_step="save it as UTF-8") from error
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidRequestError(
            "The request is not JSON",
            value=f"{path}, line {error.lineno}, column {error.colno}: {error.msg}",
            next_step="correct the file",
        ) from error
    return validated(stage.request, value)


def validated(model: type[AnyRecord], value: object) -> AnyRecord:
    """The value as a record; a ValidationError becomes one error that names every wrong field."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise as_invalid_request(model, error) from error


def as_invalid_request(model: type[Record], error: ValidationError) -> InvalidRequestError:
    """The four parts of what pydantic found."""
    known = list(model.model_fields)
    whats, values, limits, steps = [], [], [], []
    for problem in error.errors(include_url=False):
        place = ".".join(str(part) for part in problem["loc"])
        if not place:  # fields that do not go together: the sentence names them
            whats.append(problem["msg"].removeprefix("Value error, "))
            values.append(json.dumps(problem["input"], ensure_ascii=False, default=str)[:200])
            steps.append("correct what the sentence names")
            continue
        whats.append(f"{place}: {problem['msg']}")
        if problem["type"] == "missing":
            steps.append(f"add {place}")
            continue
        values.append(f"{place} = {json.dumps(problem['input'], ensure_ascii=False, default=str)[:200]}")
        similar = get_close_matches(str(problem["loc"][-1]) if problem["loc"] else "", known, n=1)
        if problem["type"] == "extra_forbidden":
            steps.append(f"rename {place} to {similar[0]}" if similar else f"remove {place}")
        else:
            limits.append(f"{place}: {problem['msg'].removeprefix('Input should be ').removeprefix('Value error, ')}")
            steps.append(f"correct {place}")
    return InvalidRequestError(
        f"The {model.__name__} is not valid: {'; '.join(whats)}",
        value=", ".join(values) or None,
        allowed="; ".join(limits) or "the fields " + ", ".join(known),
        next_step="; ".join(steps),
    )


@contextmanager
def only_the_result_on_stdout() -> Iterator[TextIO]:
    """Send what libraries and subprocesses print to stderr; yield the real standard output."""
    flush_output()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(kept), "w", encoding="utf-8") as stream:
            yield stream
    finally:
        flush_output()
        os.dup2(kept, 1)
        os.close(kept)


def run_stage(name: str, path: Path, settings: Settings) -> None:
    """Do the stage and write its record as JSON on standard output."""
    stage = stage_named(name)
    request = read_request(stage, path)
    start_logging("stage")
    with only_the_result_on_stdout() as out:
        from stages.services import open_services

        record: Record = stage.function()(request, open_services(settings))
        out.write(record.model_dump_json(indent=1) + "\n")
