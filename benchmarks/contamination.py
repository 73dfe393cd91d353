"""Test cases planted in training rows: how many are found, how many alarms are false, and how long a million rows take.

    python -m benchmarks.contamination [--rows 1000000] [--cases 200]

Planted: 500 questions of each of three real Korean sets, as they are, with a share of their characters replaced, left out or
added, and inside a letter. False alarms: every question of one set against all rows of the others and 8,000 bills. Speed: rows of
about 300 characters of random Korean words. Needs ../shared/data; seconds are CPU time of one core.
"""

import csv
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet

from benchmarks.measuring import REPOSITORY_ROOT, parser, report
from contracts.contamination import SoughtCase
from data_prep.contamination.overlaps import CaseIndex
from data_prep.rows import Message, Row

PLANTED = 500
SHARES = (0.05, 0.10, 0.15)
TINY_ROWS = 2_000
BATCH_ROWS = 4_000
WORDS = 30_000
Pairs = list[tuple[str, str]]


def main() -> None:
    """Measure and report."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--cases", type=int, default=200)
    options = arguments.parse_args()
    if options.tiny:
        options.rows = TINY_ROWS
    shared = REPOSITORY_ROOT.parent / "shared" / "data"
    measured: dict[str, Any] = {"speed": measure_speed(options.rows, options.cases)}
    if shared.is_dir():
        sets = real_questions(shared)
        measured["found"] = {name: measure_found(pairs) for name, pairs in sets.items()}
        if not options.tiny:
            measured["false_alarms"] = measure_false_alarms(sets, bills(shared))
    rows = [[name, *values.items()] for name, values in measured.get("found", {}).items()]
    rows += [["speed", *measured["speed"].items()], ["false alarms", *measured.get("false_alarms", {}).items()]]
    report("contamination", options, measured, rows)


def real_questions(shared: Path) -> dict[str, Pairs]:
    """Questions with answers, where the set has answers, by the set's name."""
    with (shared / "chatbot" / "ChatbotData.csv").open(encoding="utf-8-sig") as file:
        chatbot = [(line[0], line[1]) for line in list(csv.reader(file))[1:]]
    with (shared / "kobest" / "boolq_dev.tsv").open(encoding="utf-8-sig") as file:
        boolq = [
            (f"{line['Text']} {line['Question']}", line["Answer"]) for line in csv.DictReader(file, delimiter="\t")
        ]
    with (shared / "parakqc" / "paraKQC_v1.txt").open(encoding="utf-8-sig") as file:
        parakqc = [(line.rstrip("\n").split("\t")[2], "") for line in file]
    sets = {"chatbot": chatbot, "boolq": boolq, "parakqc": parakqc}
    return {name: list(dict.fromkeys(pairs)) for name, pairs in sets.items()}


def bills(shared: Path) -> list[str]:
    """Texts of bills, long and formal."""
    table = parquet.read_table(shared / "assembly-bills" / "bill_texts_first8000.parquet", columns=["propose_reason"])
    return [text for text in table["propose_reason"].to_pylist() if text]


def measure_found(pairs: Pairs) -> dict[str, float]:
    """Share of planted cases that are found, by how they were planted."""
    rng = random.Random(0)  # noqa: S311 - the same on every run
    picked = rng.sample([pair for pair in pairs if len(pair[0]) >= 8], PLANTED)
    cases = _cases(picked)
    index = CaseIndex(cases)

    def found(questions: Sequence[str]) -> float:
        rows = [_row(question, answer or "네") for question, (_, answer) in zip(questions, picked, strict=True)]
        return len({overlap.case for overlap in index.find(rows) if overlap.case == overlap.row}) / len(cases)

    shares = {"copies": found([question for question, _ in picked])}
    for share in SHARES:
        shares[f"edited {share:.0%}"] = found(
            [_edited(question, max(1, int(len(question) * share)), rng) for question, _ in picked]
        )
    shares["in a letter"] = found([f"문의드립니다. {question} 답변 부탁드립니다." for question, _ in picked])
    return shares


def measure_false_alarms(sets: dict[str, Pairs], texts: Sequence[str]) -> dict[str, float]:
    """Questions of one set that rows of another are said to hold."""
    flagged = total = 0
    for name, pairs in sets.items():
        index = CaseIndex(_cases(pairs))
        rows = [_row(text[:5_000], "네") for text in texts]
        rows += [
            _row(question, answer or "네") for other, rest in sets.items() if other != name for question, answer in rest
        ]
        flagged += len({overlap.case for overlap in index.find(rows)})
        total += len(pairs)
    return {"cases": total, "flagged": flagged, "rate": flagged / total}


def measure_speed(rows: int, cases: int) -> dict[str, float]:
    """CPU seconds of looking for cases in rows."""
    rng = random.Random(1)  # noqa: S311 - the same on every run
    syllables = "가나다라마바사아자차카타파하거너더러머버서어저처커터퍼허고노도로모보소오조초코토포호구누두루무부수우주추쿠투푸후"
    words = ["".join(rng.choices(syllables, k=rng.randint(2, 4))) for _ in range(WORDS)]

    def text(characters: int) -> str:
        return " ".join(rng.choices(words, k=characters // 4))

    index = CaseIndex(_cases([(text(30), text(8)) for _ in range(cases)]))
    spent = 0.0
    for start in range(0, rows, BATCH_ROWS):
        batch = [_row(text(30), text(270)) for _ in range(min(BATCH_ROWS, rows - start))]
        if start == 0:
            index.find(batch)  # compiles
        began = time.process_time()
        index.find(batch)
        spent += time.process_time() - began
    return {"rows": rows, "cases": cases, "cpu_seconds": round(spent, 2), "rows_per_second": round(rows / spent)}


def _cases(pairs: Pairs) -> list[SoughtCase]:
    return [
        SoughtCase(id=str(number), question=question, accepted_answers=[answer] if answer else [])
        for number, (question, answer) in enumerate(pairs)
    ]


def _row(question: str, answer: str) -> Row:
    return Row("row", (Message("user", question), Message("assistant", answer)))


def _edited(text: str, edits: int, rng: random.Random) -> str:
    letters = list(text)
    for _ in range(edits):
        place = rng.choice([place for place, letter in enumerate(letters) if letter.isalpha()])
        kind = rng.randrange(3)
        letters[place : place + (kind < 2)] = [] if kind == 1 else [chr(rng.randrange(0xAC00, 0xD7A4))]
    return "".join(letters)


if __name__ == "__main__":
    main()
