"""Write the demo's raw files and test cases: `python -m demo.generate --output demo`.

Raw files (`data/`) hold the new facts as instruction samples, older consultation records for replay, and the flaws that
such files have in real life; `data/manifest.json` says how many of each were planted. Test cases (`test_cases/`) ask in
forms that no training text contains. Same facts and forms, same bytes.
"""

import argparse
import csv
import io
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.conversations import Message, compose
from demo.facts import CATEGORIES, Fact, find_problems, load_documents, load_facts
from demo.flaws import (
    FOUL_ANSWERS,
    FOUL_LEAD_INS,
    ONE_WORD_ANSWERS,
    PERSONAL_DATA,
    REPEATED_PHRASES,
    UNHELPFUL_ANSWERS,
    near_copy,
    personal_lead_in,
)  # fmt: skip
from demo.forms import ask, load_forms
from demo.known import kept_back_form, load_known_facts, pretraining_forms

CASES_PER_SUITE = 200
SHINGLE_LENGTH = 5
# Cleaning takes 0.9 as the same text; honest rows stay well below it, planted copies well above.
MOST_ALIKE_HONEST_ROWS = 0.75
LEAST_ALIKE_COPIES = 0.92
WORDINGS_TRIED = 40
KNOWN_ROWS_PER_SMALL_FILE = 90

# Other ways of writing the same value; a number and its unit may also be written apart.
SAME_DEADLINE = {
    "2일": ["이틀"], "3일": ["사흘"], "4일": ["나흘"], "5일": ["닷새"], "7일": ["일주일", "1주일", "1주"], "10일": ["열흘"],
    "14일": ["2주", "2주일"], "15일": ["보름"], "21일": ["3주", "3주일"], "28일": ["4주", "4주일"],
    "24시간": ["하루"], "48시간": ["이틀"], "72시간": ["사흘"],
    "2개월": ["두 달", "2달"], "3개월": ["석 달", "세 달", "3달"], "4개월": ["넉 달", "네 달", "4달"],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One raw record: a conversation with its metadata, or something broken."""

    record: Any
    """What is serialised; text for a line that is not even JSON."""
    flaw: str | None = None
    personal_data: str | None = None


@dataclass(slots=True)
class Wordings:
    """Chooses wordings so that two honest rows are never nearly the same text."""

    by_attribute: dict[str, list[frozenset[str]]] = field(default_factory=dict)

    def choose(self, fact: Fact, write: Callable[[], list[Message]]) -> list[Message]:
        """The first wording that stands apart from all rows so far, or the one that stands furthest apart."""
        taken = self.by_attribute.setdefault(fact.attribute, [])
        best: tuple[float, list[Message], frozenset[str]] | None = None
        for _ in range(WORDINGS_TRIED):
            turns = write()
            found = shingles(text_of(turns))
            likeness = max((jaccard(found, other) for other in taken), default=0.0)
            if best is None or likeness < best[0]:
                best = likeness, turns, found
            if likeness < MOST_ALIKE_HONEST_ROWS:
                break
        assert best is not None
        taken.append(best[2])
        return best[1]


def text_of(turns: Iterable[Message]) -> str:
    """All turns, one under the other."""
    return "\n".join(turn["content"] for turn in turns)


def shingles(text: str) -> frozenset[str]:
    """The character 5-grams of the text's letters and digits."""
    text = "".join(character for character in text if character.isalnum())
    return frozenset(text[i : i + SHINGLE_LENGTH] for i in range(len(text) - SHINGLE_LENGTH + 1))


def jaccard(left: frozenset[str], right: frozenset[str]) -> float:
    """Shared part of two sets, 0 to 1."""
    shared = len(left & right)
    return shared / (len(left) + len(right) - shared) if shared else 0.0


def accepted_answers(fact: Fact) -> list[str]:
    """The value and the other ways of writing it."""
    value = fact.value
    if fact.attribute == "deadline":
        digits = value.rstrip("시간일개월")
        return [value, f"{digits} {value[len(digits) :]}", *SAME_DEADLINE.get(value, [])]
    if fact.attribute == "extension":
        return [value, f"{value}번"]
    if fact.attribute == "retention":
        return [value, f"{value[:-1]} 년", f"{value}간", f"{value[:-1]}개년"]
    if fact.attribute == "form":
        return [value, value.removeprefix("제"), f"제 {value.removeprefix('제')}"]
    return [value]


def generate(output: Path) -> dict[str, Any]:
    """Write `data/` and `test_cases/` below `output`; return the manifest."""
    if problems := find_problems(load_documents()):
        raise SystemExit("the facts of the demo cannot be used: " + "; ".join(problems))
    data, cases = output / "data", output / "test_cases"
    for folder in (data, cases):
        folder.mkdir(parents=True, exist_ok=True)
    wordings = Wordings()
    writers: dict[str, tuple[list[Row], Callable[[Path, Sequence[Row]], None]]] = {
        "regulations.jsonl": (regulation_rows(wordings), write_jsonl),
        "base_replay.jsonl": (replay_rows(wordings), write_jsonl),
        "consultations.json": (consultation_rows("json", 3, wordings), write_json),
        "consultations.csv": (consultation_rows("csv", 7, wordings), write_csv),
        "consultations.parquet": (consultation_rows("parquet", 11, wordings), write_parquet),
    }
    manifest: dict[str, Any] = {"new_facts": len(load_facts()), "known_facts": len(load_known_facts()), "files": {}}
    for name, (rows, write) in writers.items():
        write(data / name, rows)
        manifest["files"][name] = describe(rows)
    suites = {
        "regulations.jsonl": regulation_cases(),
        "unseen_forms.jsonl": unseen_cases(),
        "base_knowledge.jsonl": known_cases(),
    }
    for name, suite in suites.items():
        (cases / name).write_text("".join(_line(case) for case in suite), encoding="utf-8")
    manifest["test_cases"] = {name: len(suite) for name, suite in suites.items()}
    text = json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    (data / "manifest.json").write_text(text, encoding="utf-8")
    return manifest


def describe(rows: Sequence[Row]) -> dict[str, Any]:
    """Counts of one file, and the numbers (from 1, header not counted) of its flawed records."""
    numbers: dict[str, list[int]] = {}
    for number, row in enumerate(rows, start=1):
        if row.flaw:
            numbers.setdefault(row.flaw, []).append(number)
    return {
        "records": len(rows),
        "clean": sum(row.flaw is None for row in rows),
        "flaws": {flaw: len(found) for flaw, found in sorted(numbers.items())},
        "flawed_records": dict(sorted(numbers.items())),
        "personal_data": dict(sorted(Counter(row.personal_data for row in rows if row.personal_data).items())),
    }


# Raw rows


def regulation_rows(wordings: Wordings) -> list[Row]:
    """Every new fact in every train form, and flaws between them."""
    rng = random.Random("regulations")
    facts = load_facts()
    clean = [
        _row(fact, wordings.choose(fact, lambda fact=fact, form=form: compose(fact, form, rng)), rng)  # type: ignore[misc]
        for fact in facts
        for form in load_forms()[fact.attribute].train
    ]
    rows = clean + _copies(clean, 40, 40, rng)
    rows += _flawed(facts, lambda fact: load_forms()[fact.attribute].train, personal=63, foul=12, poor=8, rng=rng)
    rows += [
        _row(fact, _replace_answer(fact, answer, rng), rng, flaw=flaw)
        for flaw, answers, count in (
            ("one_word_answer", ONE_WORD_ANSWERS, 18),
            ("repeated_phrase", REPEATED_PHRASES, 6),
        )
        for fact, answer in zip(rng.sample(facts, count), _cycle(answers, count), strict=True)
    ]
    for number, victim in enumerate(rng.sample(clean, 18)):
        rows.append(_break_line(victim, number))
    rng.shuffle(rows)
    return rows


def replay_rows(wordings: Wordings) -> list[Row]:
    """Every known fact once: older consultation records that keep the model from forgetting."""
    rng = random.Random("replay")
    facts = load_known_facts()
    clean = []
    for index, fact in enumerate(facts):
        forms = pretraining_forms(index, fact)
        form = forms[index * 5 % len(forms)]
        turns = wordings.choose(fact, lambda fact=fact, form=form: compose(fact, form, rng))  # type: ignore[misc]
        clean.append(_row(fact, turns, rng))
    rows = clean + _copies(clean, 8, 8, rng)
    rows += _flawed(facts, lambda fact: load_forms()[fact.attribute].extra, personal=14, foul=2, poor=2, rng=rng)
    rng.shuffle(rows)
    return rows


def consultation_rows(kind: str, offset: int, wordings: Wordings) -> list[Row]:
    """A smaller file of known facts, with a few flaws of each kind."""
    rng = random.Random(f"consultations/{kind}")
    facts = load_known_facts()
    clean = []
    for index in sorted(rng.sample(range(len(facts)), KNOWN_ROWS_PER_SMALL_FILE)):
        forms = pretraining_forms(index, facts[index])
        # The replay file takes form index * 5: another form of the same fact here.
        form = forms[(index * 5 + offset) % len(forms)]
        turns = wordings.choose(facts[index], lambda i=index, form=form: compose(facts[i], form, rng, system=False))  # type: ignore[misc]
        clean.append(_row(facts[index], turns, rng))
    rows = clean + _copies(clean, 4, 4, rng)
    rows += _flawed(facts, lambda fact: load_forms()[fact.attribute].extra, personal=7, foul=2, poor=0, rng=rng)
    for answer, flaw in (
        ("네", "one_word_answer"),
        ("확인", "one_word_answer"),
        (REPEATED_PHRASES[0], "repeated_phrase"),
    ):
        fact = rng.choice(facts)
        rows.append(_row(fact, _replace_answer(fact, answer.strip(), rng, system=False), rng, flaw=flaw))
    for victim in rng.sample(clean, 3):
        record = json.loads(json.dumps(victim.record))
        record["messages"][-1]["content"] = None
        rows.append(Row(record, "broken_missing_answer"))
    rng.shuffle(rows)
    return rows


def _row(fact: Fact, turns: list[Message], rng: random.Random, **planted: Any) -> Row:
    score = round(rng.uniform(0.78, 0.98), 2)
    return Row(_record(fact, turns, score), **planted)


def _record(fact: Fact, turns: list[Message], score: float) -> dict[str, Any]:
    metadata = {"source": fact.source, "category": fact.category, "quality_score": score}
    return {"messages": turns, "metadata": metadata}


def _replace_answer(fact: Fact, answer: str, rng: random.Random, system: bool = True) -> list[Message]:
    turns = compose(fact, rng.choice(load_forms()[fact.attribute].train), rng, system=system)
    turns[-1]["content"] = answer.strip()
    return turns


def _copies(clean: Sequence[Row], exact: int, near: int, rng: random.Random) -> list[Row]:
    """Copies of rows: as they are, and as typed a second time."""
    originals = rng.sample(clean, exact + near)
    rows = [Row(json.loads(json.dumps(row.record)), "exact_duplicate") for row in originals[:exact]]
    for row in originals[exact:]:
        copy = json.loads(json.dumps(row.record))
        *_, question, answer = copy["messages"]
        likeness = 0.0
        while likeness < LEAST_ALIKE_COPIES or copy == row.record:
            typed = near_copy(row.record["messages"][-2]["content"], row.record["messages"][-1]["content"], rng)
            question["content"], answer["content"] = typed
            likeness = jaccard(shingles(text_of(copy["messages"])), shingles(text_of(row.record["messages"])))
        rows.append(Row(copy, "near_duplicate"))
    return rows


def _flawed(
    facts: Sequence[Fact],
    forms_of: Callable[[Fact], Sequence[str]],
    *,
    personal: int,
    foul: int,
    poor: int,
    rng: random.Random,
) -> list[Row]:
    """Rows with personal data, foul language or an answer that helps nobody; the rest of each row is in order."""
    chosen = rng.sample(list(facts), personal + foul + poor)
    rows = []
    for fact, kind in zip(chosen[:personal], _cycle(tuple(PERSONAL_DATA), personal), strict=True):
        turns = compose(fact, rng.choice(forms_of(fact)), rng, personal_lead_in(kind, rng), system=False)
        rows.append(_row(fact, turns, rng, flaw="personal_data", personal_data=kind))
    for number, fact in enumerate(chosen[personal : personal + foul]):
        lead_in = FOUL_LEAD_INS[number % len(FOUL_LEAD_INS)]
        turns = compose(fact, rng.choice(forms_of(fact)), rng, lead_in, system=False)
        if number % 4 == 3:
            turns[-1]["content"] = FOUL_ANSWERS[number // 4 % len(FOUL_ANSWERS)]
        rows.append(_row(fact, turns, rng, flaw="foul_language"))
    for number, fact in enumerate(chosen[personal + foul :]):
        turns = compose(fact, rng.choice(forms_of(fact)), rng, system=False)
        turns[-1]["content"] = UNHELPFUL_ANSWERS[number % len(UNHELPFUL_ANSWERS)]
        record = _record(fact, turns, round(rng.uniform(0.2, 0.45), 2))
        rows.append(Row(record, "low_quality_score"))
    return rows


def _break_line(row: Row, number: int) -> Row:
    """The row with one thing broken, another one for each number."""
    record = json.loads(json.dumps(row.record))
    turns = record["messages"]
    match number % 6:
        case 0 | 1:
            line = json.dumps(record, ensure_ascii=False)
            return Row(line[: len(line) * 2 // 3], "broken_json")
        case 2:
            del turns[-1]
            return Row(record, "broken_missing_answer")
        case 3:
            record["messages"] = turns[-2]["content"]
            return Row(record, "broken_type")
        case 4:
            turns[-1]["content"] = [turns[-1]["content"], 1]
            return Row(record, "broken_type")
        case _:
            turns[-1]["content"] = "" if number % 12 == 5 else "   "
            return Row(record, "broken_empty_answer")


def _cycle(values: Sequence[str], count: int) -> list[str]:
    return [values[i % len(values)] for i in range(count)]


# Files


def _line(record: Any) -> str:
    return (record if isinstance(record, str) else json.dumps(record, ensure_ascii=False)) + "\n"


def write_jsonl(path: Path, rows: Sequence[Row]) -> None:
    """One record a line."""
    path.write_text("".join(_line(row.record) for row in rows), encoding="utf-8")


def write_json(path: Path, rows: Sequence[Row]) -> None:
    """One array of records."""
    records = ",\n".join(json.dumps(row.record, ensure_ascii=False) for row in rows)
    path.write_text(f"[\n{records}\n]\n", encoding="utf-8")


def _table(rows: Sequence[Row]) -> list[dict[str, str | None]]:
    return [
        {
            "question": row.record["messages"][0]["content"],
            "answer": row.record["messages"][1]["content"],
            "category": row.record["metadata"]["category"],
            "source": row.record["metadata"]["source"],
        }
        for row in rows
    ]


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """A table as Korean office software saves it: code page 949, line ends of Windows."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, ["question", "answer", "category", "source"])
    writer.writeheader()
    writer.writerows(_table(rows))
    path.write_bytes(buffer.getvalue().encode("cp949"))


def write_parquet(path: Path, rows: Sequence[Row]) -> None:
    """The same table as Parquet."""
    import pyarrow
    from pyarrow import parquet

    columns = pyarrow.schema([(name, pyarrow.string()) for name in ("question", "answer", "category", "source")])
    parquet.write_table(pyarrow.Table.from_pylist(_table(rows), schema=columns), path, compression="zstd")


# Test cases


def regulation_cases() -> list[dict[str, Any]]:
    """New facts asked in held forms, evenly over the categories."""
    return [
        _case("regulation", number, fact, load_forms()[fact.attribute].held)
        for number, fact in enumerate(_spread(load_facts()), start=1)
    ]


def unseen_cases() -> list[dict[str, Any]]:
    """The same facts asked in forms trained nowhere."""
    return [
        _case("unseen", number, fact, load_forms()[fact.attribute].unseen)
        for number, fact in enumerate(_spread(load_facts()), start=1)
    ]


def known_cases() -> list[dict[str, Any]]:
    """Known facts, each asked in the one form that pretraining kept back for it."""
    forms = {fact: kept_back_form(index, fact) for index, fact in enumerate(load_known_facts())}
    return [
        _case("known", number, fact, (forms[fact],)) for number, fact in enumerate(_spread(load_known_facts()), start=1)
    ]


def _spread(facts: Sequence[Fact]) -> list[Fact]:
    """As many facts as a suite has cases, evenly over categories and, within each, over attributes."""
    rng = random.Random("cases")
    chosen: list[Fact] = []
    for number, category in enumerate(CATEGORIES):
        share = CASES_PER_SUITE // len(CATEGORIES) + (number < CASES_PER_SUITE % len(CATEGORIES))
        by_attribute = {
            attribute: rng.sample(found, len(found))
            for attribute in load_forms()
            if (found := [fact for fact in facts if fact.category == category and fact.attribute == attribute])
        }
        while share:
            for found in by_attribute.values():
                if share and found:
                    chosen.append(found.pop())
                    share -= 1
    order = {fact: number for number, fact in enumerate(facts)}
    return sorted(chosen, key=order.__getitem__)


def _case(prefix: str, number: int, fact: Fact, forms: Sequence[str]) -> dict[str, Any]:
    return {
        "id": f"{prefix}-{number:03d}",
        "question": ask(forms[number % len(forms)], fact.entity),
        "accepted_answers": accepted_answers(fact),
        "category": fact.category,
        "attribute": fact.attribute,
    }


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write the demo's raw files and test cases.")
    parser.add_argument("--output", type=Path, required=True, help="folder that gets data/ and test_cases/")
    manifest = generate(parser.parse_args(arguments).output)
    for name, file in manifest["files"].items():
        print(f"{name}: {file['records']} records, {file['records'] - file['clean']} of them flawed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
