"""Suites of kind perplexity: how likely the model finds given texts.

Perplexity a token compares models of one tokenizer. Bits a character compare any two, so they decide. Windows and the token
before the first one are those of lm-evaluation-harness' rolling likelihood.
"""

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.errors import ConflictError, InvalidDataError, NotFoundError
from contracts.suites import CaseScore, EvaluationConditions
from evaluation.harness.models import harness_model
from evaluation.intervals import ratio_estimate, transformed
from evaluation.suites.harness import check_likelihood_suite, in_process_conditions
from evaluation.suites.kind import Outcome, RunOptions, RunState, Subject
from evaluation.test_cases import Suite
from storage.files import sha256_of_file
from storage.stored_files import open_stored

TEXT_COLUMNS = ("text", "content")
DOCUMENT_COLUMNS = ("source_document", "document", "source")


@dataclass(frozen=True, slots=True)
class MeasuredText:
    """One text of a suite."""

    text: str
    source_document: str | None = None


def perplexity_settings(path: Path) -> dict[str, Any]:
    """Settings of a suite over the file's texts as they are now. Raises where it has none."""
    if not path.is_file():
        raise NotFoundError("There is no such text file", value=path, next_step="give a TXT, JSONL or Parquet file")
    return {
        "file": str(path),
        "file_sha256": sha256_of_file(path),
        "documents": sum(1 for _ in texts_of(path)),
    }


def texts_of(path: Path) -> list[MeasuredText]:
    """Paragraphs of a TXT file, `text` of each JSONL or Parquet row, or a conversation's turns. Raises InvalidDataError."""
    if path.suffix == ".parquet":
        texts = list(_parquet_texts(path))
    elif path.suffix in {".jsonl", ".ndjson"}:
        texts = [_of_row(path, row) for row in _json_rows(path)]
    else:
        paragraphs = path.read_text(encoding="utf-8-sig").split("\n\n")
        texts = [MeasuredText(paragraph.strip()) for paragraph in paragraphs]
    texts = [measured for measured in texts if measured.text]
    if not texts:
        raise InvalidDataError("The file has no text", value=path, allowed="at least one", next_step="add texts to it")
    return texts


def check_perplexity(suite: Suite, subject: Subject) -> None:
    """The file is there and unchanged, and the model can be asked for likelihoods."""
    path = Path(str(suite.settings["file"]))
    if not path.is_file():
        raise NotFoundError("The suite's text file is gone", value=path, next_step="bring it back")
    if sha256_of_file(path) != suite.settings["file_sha256"]:
        raise ConflictError(
            "The suite's text file changed after it was imported",
            value=path,
            next_step="import it again: it is then another version",
        )
    check_likelihood_suite(subject)


def perplexity_conditions(suite: Suite, subject: Subject, options: RunOptions) -> EvaluationConditions:
    """The texts alone; neither system prompt nor chat template is used."""
    return in_process_conditions(suite, subject, options, str(suite.settings["file_sha256"]), {})


def run_perplexity(suite: Suite, subject: Subject, options: RunOptions, state: RunState) -> Outcome:
    """Measure each text in this process; what was measured before a kill is not measured again."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from lm_eval.api.instance import Instance

    from evaluation.harness.journaled_model import JournaledModel

    texts = texts_of(Path(str(suite.settings["file"])))
    measured = texts[: options.max_cases]
    inner = harness_model(subject, batch_size=1)
    model = JournaledModel(inner, state.journal, state.on_progress)
    requests = [
        Instance(request_type="loglikelihood_rolling", doc={}, arguments=(each.text,), idx=place)
        for place, each in enumerate(measured)
    ]
    losses = [-float(value) for value in model.loglikelihood_rolling(requests)]
    tokens = [len(inner.tok_encode(each.text)) for each in measured]
    characters = [len(each.text) for each in measured]
    documents = [each.source_document for each in measured]
    per_character = ratio_estimate("bits_per_character", [loss / math.log(2) for loss in losses], characters, documents)
    per_token = ratio_estimate("loss_per_token", losses, tokens, documents)
    cases = [
        CaseScore(
            case_id=f"{place:06d}",
            category="text",
            answer="",
            # the geometric mean of the tokens' probabilities
            score=min(1.0, math.exp(-loss / count)) if count else 0.0,
            correct=True,
            source_document=each.source_document,
            answer_tokens=count,
            remark=f"{loss / math.log(2) / len(each.text):.3f} bits a character",
        )
        for place, (each, loss, count) in enumerate(zip(measured, losses, tokens, strict=True))
    ]
    left_out = len(texts) - len(measured)
    return Outcome(
        cases,
        [per_character, transformed(per_token, "perplexity", math.exp)],
        {},
        {"beyond_max_cases": left_out} if left_out else {},
    )


def _json_rows(path: Path) -> Iterator[Any]:
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise InvalidDataError(
                    f"Line {number} of {path.name} is not JSON", value=line[:80], next_step="correct the line"
                ) from error


def _parquet_texts(path: Path) -> Iterator[MeasuredText]:
    import pyarrow.parquet as parquet

    with open_stored(path) as stream, parquet.ParquetFile(stream) as table:
        for batch in table.iter_batches(batch_size=1_000):
            for row in batch.to_pylist():
                yield _of_row(path, row)


def _of_row(path: Path, row: Any) -> MeasuredText:
    if isinstance(row, dict):
        document = next((str(row[name]) for name in DOCUMENT_COLUMNS if row.get(name)), None)
        for name in TEXT_COLUMNS:
            if isinstance(row.get(name), str):
                return MeasuredText(row[name].strip(), document)
        messages = row.get("messages")
        turns = json.loads(messages) if isinstance(messages, str) else messages
        if turns:
            return MeasuredText("\n".join(str(turn["content"]) for turn in turns).strip(), document)
    raise InvalidDataError(
        f"A row of {path.name} has no text",
        value=str(row)[:80],
        allowed=f"a column {' or '.join(TEXT_COLUMNS)}, or messages",
        next_step="rename the column with the text",
    )
