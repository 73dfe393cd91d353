"""How well names in running text are found, how often other words are taken for names, and what it costs.

    python -m benchmarks.personal_names --data ../shared/data

F1 is that of exact spans of KLUE-NER's persons by cross-validation: in each fifth of the sentences, names are found with the rules, the
gate that ships, and a model of the other four fifths. False names are counted with the model that ships; bills are those of
which it has seen nothing. They hold names of members, which are no mistakes.
"""

import json
import re
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import pyarrow.parquet

from benchmarks.korean_samples import write_samples
from benchmarks.measuring import REPOSITORY_ROOT, parser, report
from contracts.enums import PersonalDataKind
from data_prep.masking.masker import Masker, PersonalDatum, without_overlaps
from data_prep.masking.name_model import NameModel, open_name_model
from data_prep.masking.running_text import FindNames, beside_rules, name_finder, read_marked
from data_prep.masking.train_names import FOLDS, OFFICIAL_SIDES, build_lexicon, read_persons, train
from data_prep.quality import corpora

BATCH = 1000

MEMBER = re.compile(r"\s?(의원|대통령|장관|,|·|전|前|외|씨|국회)")


def spans_of(find: FindNames, texts: Sequence[str]) -> list[set[tuple[int, int]]]:
    """Spans of names in each text; of overlapping ones the surer."""
    return [
        {
            (datum.start, datum.end)
            for datum in without_overlaps(
                [PersonalDatum(PersonalDataKind.NAME, one.start, one.end, one.score) for one in found]
            )
        }
        for found in find(texts)
    ]


def cross_validation(data: Path, folds: int) -> list[dict[str, float]]:
    """Of each fold, with rules and gate as they ship."""
    sentences, lexicon = read_persons(data), build_lexicon(data)
    gate, _ = open_name_model()
    measured = []
    for fold in range(folds):
        weights = train([one for number, one in enumerate(sentences) if number % FOLDS != fold], lexicon)
        read = partial(read_marked, gate=gate, model=NameModel(weights, lexicon))
        held = sentences[fold::FOLDS]
        found = spans_of(beside_rules(read), [one.text for one in held])
        right = sum(len(set(one.persons) & spans) for one, spans in zip(held, found, strict=True))
        precision, recall = right / sum(map(len, found)), right / sum(len(one.persons) for one in held)
        measured.append({"precision": precision, "recall": recall, "f1": 2 * precision * recall / (precision + recall)})
    return measured


def false_names(data: Path, count: int) -> dict[str, float]:
    """Shares of texts in which something is taken for a name that is none."""
    find = name_finder(None)
    bills = [text for text in corpora.read_bills(data) if corpora.side_of(text) not in OFFICIAL_SIDES][:count]
    strange = [
        any(not MEMBER.match(text[end : end + 6]) for _, end in spans)
        for text, spans in zip(bills, spans_of(find, bills), strict=True)
    ]
    talk = [text for pair in corpora.read_chatbot(data) for text in pair][: 10 * count]
    lines = [
        line
        for folder in ("documents", "facts")
        for path in sorted((REPOSITORY_ROOT / "demo" / folder).rglob("*.*"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]
    return {
        "bills, names not before a member's title": sum(strange) / len(bills),
        "utterances of small talk": sum(map(bool, spans_of(find, talk))) / len(talk),
        "lines of the demo's documents (tuned)": sum(map(bool, spans_of(find, lines))) / len(lines),
    }


def cpu_ms_a_row(count: int) -> dict[str, float]:
    """CPU time of finding names in generated rows of some 340 characters, and its share in all of masking."""
    rows = generated_rows(count)
    find = name_finder(None)
    masker = Masker()
    masker.mask_rows([[row] for row in rows[:20]])
    begin = time.process_time()
    for start in range(0, count, BATCH):
        find(rows[start : start + BATCH])
    names = time.process_time() - begin
    begin = time.process_time()
    for start in range(0, count, BATCH):
        masker.mask_rows([[row] for row in rows[start : start + BATCH]])
    return {"names": names / count * 1e3, "all of masking": (time.process_time() - begin) / count * 1e3}


def generated_rows(count: int) -> list[str]:
    """Question and answer of the generated corpus, as one text each."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        write_samples(path, count)
        column = pyarrow.parquet.read_table(path, columns=["messages"])["messages"].to_pylist()
    return ["\n".join(turn["content"] for turn in json.loads(row)) for row in column]


def main() -> None:
    """Measure and print."""
    options = parser(__doc__ or "")
    options.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    chosen = options.parse_args()
    folds = cross_validation(chosen.data, 1 if chosen.tiny else FOLDS)
    wrong = false_names(chosen.data, 50 if chosen.tiny else 1500)
    cost = cpu_ms_a_row(100 if chosen.tiny else 4000)
    mean = {key: round(fmean(fold[key] for fold in folds), 4) for key in ("precision", "recall", "f1")}
    measured = {
        "klue_ner_persons": {**mean, "f1_of_folds": [round(fold["f1"], 4) for fold in folds]},
        "false_names": {key: round(share, 5) for key, share in wrong.items()},
        "cpu_ms_a_row": {key: round(value, 3) for key, value in cost.items()},
    }
    rows: list[Sequence[object]] = [("KLUE-NER persons, P / R / F1", *mean.values())]
    rows += [(f"false names: {key}", f"{share:.2%}") for key, share in wrong.items()]
    rows += [(f"CPU ms a row: {key}", round(value, 3)) for key, value in cost.items()]
    report("personal_names", chosen, measured, rows)


if __name__ == "__main__":
    main()
