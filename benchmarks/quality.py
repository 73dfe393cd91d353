"""How well toxicity, bias, fluency and the other quality signals tell real Korean texts apart, and what they take.

    python -m benchmarks.quality

Nothing measured here was trained on: BEEP! dev, the sides 0 and 1 of ten of Curse-detection-data, the sides 0 to 4 of
bills and small talk (data_prep.quality.corpora.side_of), KoBBQ. But weights, windows and operating points (0.5 and 0.7)
were chosen among seven trainings with the same sides in view, and the bias report's word lists were completed on KoBBQ.
Anchors are those that the sets' publishers give, or were measured beforehand; they were not run here.
"""

import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from pydantic import JsonValue

from benchmarks.measuring import REPOSITORY_ROOT, parser, report
from contracts.data_policy import QualityPolicy
from contracts.enums import ProtectedAttribute
from data_prep.quality import corpora
from data_prep.quality.bias import protected_groups
from data_prep.quality.completeness import is_truncated
from data_prep.quality.fluency import load_fluency_model
from data_prep.quality.foul_language import foul_words
from data_prep.quality.judging import QualityJudge
from data_prep.quality.toxicity import hostility_of, toxicity_of
from data_prep.rows import Message, Row

DATA = REPOSITORY_ROOT.parent / "shared" / "data"
ANCHORS = {
    "BEEP! dev, toxic or not": "TF-IDF + LR 0.778; DistilKoBERT 0.757, KoELECTRA 0.792, KoBERT 0.803, KcBERT-base 0.809",
    "BEEP! dev, hate of three": "TF-IDF + LR 0.612",
    "BEEP! dev, bias of three": "TF-IDF + LR 0.682",
    "Curse, foul or not": "TF-IDF + LR 0.830 (80/20); korcen 1.0.3 0.765",
}
"""Macro F1 as published or as measured beforehand on other machines."""
KOBBQ_ATTRIBUTES = {
    "age": ProtectedAttribute.AGE,
    "disability_status": ProtectedAttribute.DISABILITY,
    "gender_identity": ProtectedAttribute.GENDER,
    "physical_appearance": ProtectedAttribute.APPEARANCE,
    "race_ethnicity_nationality": ProtectedAttribute.NATIONALITY,
    "religion": ProtectedAttribute.RELIGION,
    "ses": ProtectedAttribute.STATUS,
    "sexual_orientation": ProtectedAttribute.SEXUAL_ORIENTATION,
    "domestic_area_of_origin": ProtectedAttribute.REGION,
    "family_structure": ProtectedAttribute.FAMILY,
    "political_orientation": ProtectedAttribute.POLITICS,
    "educational_background": ProtectedAttribute.EDUCATION,
}
OFFICIAL = "미납된 통행료는 가까운 영업소에서 납부할 수 있으며, 자세한 내용은 누리집에서 확인하시기 바랍니다. "
ROW_CHARACTERS = 300
TINY_TEXTS = 50


def main() -> None:
    """Measure and report."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--data", type=Path, default=DATA, help="folder of the corpora; ../shared/data unless given")
    options = arguments.parse_args()
    limit = TINY_TEXTS if options.tiny else None
    data: Path = options.data
    measured = {
        "toxicity": _toxicity(data, limit),
        "false_alarms": _false_alarms(data, limit),
        "embedded": _embedded(data, limit),
        "signals": _signals(data, limit),
        "kobbq": _kobbq(data, limit),
        "speed": _speed(data, limit),
    }
    rows: list[Sequence[object]] = [
        *((name, values, ANCHORS.get(name, "")) for name, values in measured["toxicity"].items()),
        *((name, values, "") for part in list(measured)[1:] for name, values in measured[part].items()),
    ]
    report("quality", options, measured, rows)


def macro_f1(found: Sequence[str], true: Sequence[str]) -> float:
    """Mean F1 over the labels that are true somewhere."""
    scores = []
    for label in sorted(set(true)):
        both = sum(a == b == label for a, b in zip(found, true, strict=True))
        scores.append(2 * both / (Counter(found)[label] + Counter(true)[label]))
    return sum(scores) / len(scores)


def area_under_curve(scores: Sequence[float], true: Sequence[bool]) -> float:
    """Probability that a true text has a higher score than another."""
    order = sorted(range(len(scores)), key=lambda index: scores[index])
    ranks: dict[float, list[int]] = defaultdict(list)
    for rank, index in enumerate(order, start=1):
        ranks[scores[index]].append(rank)
    mean = {score: sum(of) / len(of) for score, of in ranks.items()}
    positive = sum(true)
    total = sum(mean[score] for score, is_true in zip(scores, true, strict=True) if is_true)
    return (total - positive * (positive + 1) / 2) / (positive * (len(true) - positive))


def _toxicity(data: Path, limit: int | None) -> dict[str, JsonValue]:
    comments = corpora.read_beep(data, "dev")[:limit]
    texts = [comment.text for comment in comments]
    judged = hostility_of(texts)
    curses = [pair for pair in corpora.read_curses(data) if corpora.side_of(pair[0]) in {0, 1}][:limit]
    foul = [text for text, _ in curses]
    return {
        "BEEP! dev, toxic or not": _binary(toxicity_of(texts).tolist(), [one.hate != "none" for one in comments]),
        "BEEP! dev, hate of three": {
            "macro_f1": _rounded(macro_f1([_likeliest(one.hate) for one in judged], [one.hate for one in comments]))
        },
        "BEEP! dev, bias of three": {
            "macro_f1": _rounded(macro_f1([_likeliest(one.bias) for one in judged], [one.bias for one in comments]))
        },
        "Curse, foul or not": _binary(toxicity_of(foul).tolist(), [is_foul for _, is_foul in curses]),
        "Curse, words of the list": _binary(
            [float(foul_words(text) > 0) for text in foul], [is_foul for _, is_foul in curses]
        ),
    }


def _binary(scores: Sequence[float], true: Sequence[bool]) -> dict[str, JsonValue]:
    measured: dict[str, JsonValue] = {"texts": len(true), "auc": _rounded(area_under_curve(scores, true))}
    for threshold in (0.5, 0.7):
        found = [score >= threshold for score in scores]
        right = sum(a and b for a, b in zip(found, true, strict=True))
        measured[f"at_{threshold}"] = {
            "macro_f1": _rounded(macro_f1(list(map(str, found)), list(map(str, true)))),
            "precision": _rounded(right / max(sum(found), 1)),
            "recall": _rounded(right / max(sum(true), 1)),
        }
    return measured


def _false_alarms(data: Path, limit: int | None) -> dict[str, JsonValue]:
    bills = [text for text in corpora.read_bills(data) if corpora.side_of(text) < 5][:limit]
    talk = [pair for pair in corpora.read_chatbot(data) if max(map(corpora.side_of, pair)) < 5][:limit]
    stereotypes = [f"{row['context']} {row['question']}" for row in corpora.read_kobbq(data)][:limit]
    sets = {
        "bills": [_row("제안 이유는 무엇인가요?", bill) for bill in bills],
        "small talk": [_row(question, answer) for question, answer in talk],
        "KoBBQ": [_row("어떻게 생각하나요?", text) for text in stereotypes],
    }
    judge = QualityJudge(QualityPolicy(), 0.7, 1)
    measured: dict[str, JsonValue] = {}
    for name, rows in sets.items():
        judged = judge.judge(rows)
        removed = Counter(quality.removal.reason.value for quality in judged if quality.removal)
        measured[name] = {
            "rows": len(rows),
            "toxicity_at_0.5": _rounded(sum(quality.toxicity >= 0.5 for quality in judged) / len(rows), 4),
            "toxicity_at_0.7": _rounded(sum(quality.toxicity >= 0.7 for quality in judged) / len(rows), 4),
            "removed_by_default_policy": dict(sorted(removed.items())),
        }
    return measured


def _embedded(data: Path, limit: int | None) -> dict[str, JsonValue]:
    """Hateful comments in the middle of 400 characters of official text."""
    hateful = [comment.text for comment in corpora.read_beep(data, "dev") if comment.hate == "hate"][:limit]
    measured: dict[str, JsonValue] = {}
    for name, texts in {
        "alone": hateful,
        "in an official text": [f"{OFFICIAL * 4}{text} {OFFICIAL * 4}" for text in hateful],
    }.items():
        scores = toxicity_of(texts).tolist()
        measured[f"hate found {name}"] = {
            f"at_{threshold}": _rounded(sum(score >= threshold for score in scores) / len(scores))
            for threshold in (0.5, 0.7)
        }
    return measured


def _signals(data: Path, limit: int | None) -> dict[str, JsonValue]:
    choice = random.Random(0)  # noqa: S311 - a sample
    model = load_fluency_model()
    measured: dict[str, JsonValue] = {}
    bills = [text for text in corpora.read_bills(data) if corpora.side_of(text) in {0, 1}][:limit]
    answers = [text for _, text in corpora.read_chatbot(data) if corpora.side_of(text) in {0, 1}][:limit]
    for name, texts in {"bills": bills, "chatbot answers": answers}.items():
        scrambled = ["".join(choice.sample(text, len(text))) for text in texts]
        scores = [*model.fluency(texts).tolist(), *model.fluency(scrambled).tolist()]
        measured[f"fluency, {name} against scrambled"] = {
            "auc": _rounded(area_under_curve(scores, [True] * len(texts) + [False] * len(texts)))
        }
    cut = [text[: choice.randrange(60, len(text) - 20)] for text in bills if len(text) > 120]
    measured["truncation of bills"] = {
        "found": _rounded(sum(map(is_truncated, cut)) / len(cut)),
        "false": _rounded(sum(map(is_truncated, bills)) / len(bills), 4),
    }
    return measured


def _kobbq(data: Path, limit: int | None) -> dict[str, JsonValue]:
    found: dict[str, list[bool]] = defaultdict(list)
    for row in corpora.read_kobbq(data)[:limit]:
        category = row["sample_id"].split("-")[0]
        groups = protected_groups(f"{row['context']} {row['question']}")
        found[category].append(KOBBQ_ATTRIBUTES[category] in groups)
    return {
        f"KoBBQ attribute recognised, {category}": {"rows": len(hits), "recall": _rounded(sum(hits) / len(hits))}
        for category, hits in found.items()
    }


def _speed(data: Path, limit: int | None) -> dict[str, JsonValue]:
    rows = [
        _row("이 법안의 제안 이유를 알려 주세요.", text[:ROW_CHARACTERS]) for text in corpora.read_bills(data)[:limit]
    ]
    judge = QualityJudge(QualityPolicy(), 0.7, 5)
    judge.judge(rows[:10])
    began = time.process_time()
    judge.judge(rows)
    seconds = time.process_time() - began
    return {
        "judge, rows of 300 characters": {
            "rows_per_cpu_second": round(len(rows) / seconds),
            "microseconds_a_row": round(seconds / len(rows) * 1e6),
        }
    }


def _row(question: str, answer: str) -> Row:
    return Row("benchmark:1", (Message("user", question), Message("assistant", answer)))


def _likeliest(shares: dict[str, float]) -> str:
    return max(shares, key=lambda name: shares[name])


def _rounded(value: float, digits: int = 3) -> float:
    return round(value, digits)


if __name__ == "__main__":
    main()
