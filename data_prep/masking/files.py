"""A JSONL file of texts, masked line by line."""

import json
import os
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from contracts.errors import InvalidDataError, NotFoundError
from data_prep.masking.masker import MaskedTexts, Masker
from data_prep.masking.report import MaskingReport, MaskingTally
from data_prep.rows import OnProgress
from storage.files import fsync_path

BATCH = 1000
"""Lines masked together: names are looked for in many texts at once."""


def mask_file(
    path_in: Path, path_out: Path, masker: Masker | None = None, on_progress: OnProgress | None = None
) -> MaskingReport:
    """Write the lines of a JSONL file with `masked`, the text without its personal data, and `spans`.

    A line is an object with a `text`; whatever else it holds is kept. A span has `start`, `end` (in characters of `text`),
    `type` (such as KR_RRN) and `score`. Lines that the policy drops are left out. Memory does not grow with the file.
    The output is written whole or not at all; a line that cannot be read is an InvalidDataError with its number.
    """
    masker = masker or Masker()
    tally = MaskingTally()
    try:
        size = path_in.stat().st_size
    except FileNotFoundError as error:
        raise NotFoundError(
            "There is no such file to mask", value=path_in, next_step="Check the path of --in"
        ) from error
    path_out.parent.mkdir(parents=True, exist_ok=True)
    temporary = path_out.with_name(f".{path_out.name}.{uuid.uuid4().hex}.tmp")
    try:
        with path_in.open("rb") as source, temporary.open("wb") as target:
            for lines in _batches(_lines(source, path_in)):
                rows = masker.mask_rows([[record["text"]] for record in lines])
                for record, row in zip(lines, rows, strict=True):
                    tally.add(row)
                    if row.drop is None:
                        target.write(_as_line(record, row))
                if on_progress is not None:
                    on_progress("masking personal data", source.tell(), size)
            target.flush()
            os.fsync(target.fileno())
        temporary.replace(path_out)
        fsync_path(path_out.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return tally.report()


def _lines(source: Iterable[bytes], path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(source, start=1):
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _unreadable(number, path, "It is no JSON") from error
        if not isinstance(record, dict) or not isinstance(record.get("text"), str):
            raise _unreadable(number, path, "It has no `text`")
        yield record


def _unreadable(number: int, path: Path, why: str) -> InvalidDataError:
    # the line itself may hold personal data: it is not repeated
    return InvalidDataError(
        f"Line {number} of {path.name} cannot be masked. {why}",
        allowed='one JSON object a line, in UTF-8, with a text: {"text": "…"}',
        next_step="Correct or remove the line and start again; nothing was written",
    )


def _batches(records: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for record in records:
        batch.append(record)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _as_line(record: dict[str, Any], row: MaskedTexts) -> bytes:
    spans = [
        {"start": datum.start, "end": datum.end, "type": datum.kind.code, "score": round(datum.score, 3)}
        for datum in row.found[0]
    ]
    value = {**record, "masked": row.texts[0], "spans": spans}
    try:
        return (json.dumps(value, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:
        return (json.dumps(value) + "\n").encode()  # half of a surrogate pair, which JSON can hold and UTF-8 cannot
