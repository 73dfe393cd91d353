"""The Korean data that the quality models are trained and measured on, read from a folder beside the checkout."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import pyarrow.parquet

from data_prep.normalisation import normalise


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on a news page as BEEP! labels it."""

    text: str
    hate: str
    """none, offensive or hate."""
    bias: str
    """none, gender or others."""


def side_of(text: str) -> int:
    """0 to 9: divides a set that comes without a test side in the same way in training and in measuring."""
    return blake2b(text.encode(), digest_size=1).digest()[0] % 10


def read_beep(data: Path, part: str) -> list[Comment]:
    """BEEP!, `train` or `dev`."""
    with (data / "korean-hate-speech" / f"{part}.tsv").open(encoding="utf-8", newline="") as stream:
        return [
            Comment(normalise(row["comments"]), row["hate"], row["bias"])
            for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        ]


def read_curses(data: Path) -> list[tuple[str, bool]]:
    """Utterances of forums, and whether they are foul."""
    lines = (data / "curse-detection" / "dataset.txt").read_text(encoding="utf-8").split("\n")
    pairs = [line.rsplit("|", 1) for line in lines if "|" in line]
    return [(normalise(text), label.strip() == "1") for text, label in pairs]


def read_chatbot(data: Path) -> list[tuple[str, str]]:
    """Small talk: question and answer."""
    with (data / "chatbot" / "ChatbotData.csv").open(encoding="utf-8", newline="") as stream:
        return [(normalise(row["Q"]), normalise(row["A"])) for row in csv.DictReader(stream)]


def read_bills(data: Path) -> list[str]:
    """The reasons of bills of the National Assembly."""
    path = data / "assembly-bills" / "bill_texts_first8000.parquet"
    texts = pyarrow.parquet.read_table(path, columns=["propose_reason"])["propose_reason"].to_pylist()
    return [normalise(text) for text in texts if text]


def read_kobbq(data: Path) -> list[dict[str, str]]:
    """Questions about people of whom only a prejudice tells the answer."""
    with (data / "kobbq" / "KoBBQ_test_samples.tsv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def read_plain_sentences(data: Path) -> Iterator[str]:
    """Texts of the KoBEST training sides: encyclopedia, everyday events."""
    for name, columns in (
        ("boolq_train", ("Text", "Question")),
        ("copa_train", ("sentence", "1", "2")),
        ("hellaswag_train", ("context", "choice1")),
        ("wic_train", ("SENTENCE1", "SENTENCE2")),
    ):
        yield from _columns(data / "kobest" / f"{name}.tsv", columns)


def _columns(path: Path, wanted: Sequence[str]) -> Iterator[str]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
            known = {name.strip().casefold(): value for name, value in row.items() if isinstance(name, str)}
            for name in wanted:
                if text := normalise(known.get(name.casefold()) or ""):
                    yield text


def read_utterances(data: Path) -> Iterator[str]:
    """What people say and ask, of 3i4K."""
    for line in (data / "3i4k" / "fci_train_val.txt").read_text(encoding="utf-8").split("\n"):
        if text := normalise(line.partition("\t")[2]):
            yield text


def read_inference_sentences(data: Path) -> Iterator[str]:
    """News, encyclopedia and reviews, of the inference task of KLUE."""
    pairs = json.loads((data / "klue" / "klue-nli-v1.1_dev.json").read_text(encoding="utf-8"))
    for text in dict.fromkeys(pair[name] for pair in pairs for name in ("premise", "hypothesis")):
        yield normalise(text)
