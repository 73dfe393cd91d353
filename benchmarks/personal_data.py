"""How well personal data are found, by kind, and how fast, against Presidio as it ships with its Korean recognisers switched on.

    python -m benchmarks.personal_data                 3,000 sentences a kind, tuned and held-out ones
    python -m benchmarks.personal_data --held-out      held-out sentences and letters only

The letters are a third set: complaints, transcripts, tables, forms, chats and scans by another hand, with several values each. The
later ones were written when the misses in these had been mended, and are tuned on by nobody.
Recall counts a value as found when it is covered with its own kind. The rate of falsely masked rows is that of sentences
whose numbers are no personal data. Presidio is asked for every kind it knows and its find counts under any name.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks.measuring import parser, report
from benchmarks.personal_data_letters import letters, look_alikes
from benchmarks.personal_data_samples import MAKERS, NEGATIVES, Sample, negatives, positives
from contracts.enums import PersonalDataKind as Kind
from data_prep.masking.engine import engine, language_models_hidden
from data_prep.masking.masker import PersonalDatum, without_overlaps
from data_prep.masking.shadow import shadow_of

SECONDS_OF_SPEED = 4.0
DOCUMENT_CHARACTERS = 288
SHARE_WITH_DATA = 0.1
"""Of the documents whose speed is measured; a tenth of customers' rows is a lot."""

Find = Callable[[str], list[tuple[int, int, Kind | None]]]


def find_with_patterns(text: str) -> list[tuple[int, int, Kind | None]]:
    """Identifiers by our recognisers, without names."""
    shaded = shadow_of(text)
    found = engine().finds(shaded.text)
    data = without_overlaps([PersonalDatum(one.kind, one.start, one.end, one.score) for one in found])
    return [(*shaded.span(datum.start, datum.end), datum.kind) for datum in data]


def plain_presidio() -> Find:
    """Presidio with its generic and Korean recognisers, without a language model, as its documentation sets it up."""
    import tldextract

    # Presidio's e-mail recogniser would download the list of domains; the list that is installed does
    installed: Any = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    tldextract.extract = installed
    with language_models_hidden():
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
        from presidio_analyzer.nlp_engine import NoOpNlpEngine
        from presidio_analyzer.predefined_recognizers import (
            CreditCardRecognizer,
            EmailRecognizer,
            IpRecognizer,
            KrBrnRecognizer,
            KrDriverLicenseRecognizer,
            KrFrnRecognizer,
            KrPassportRecognizer,
            KrRrnRecognizer,
            PhoneRecognizer,
        )
    made: list[Any] = [
        *(one(supported_language="ko") for one in (CreditCardRecognizer, EmailRecognizer, IpRecognizer)),
        PhoneRecognizer(supported_language="ko", supported_regions=["KR"]),
        *(
            one(supported_language="ko")
            for one in (
                KrBrnRecognizer,
                KrDriverLicenseRecognizer,
                KrFrnRecognizer,
                KrPassportRecognizer,
                KrRrnRecognizer,
            )
        ),
    ]
    registry = RecognizerRegistry(recognizers=made, supported_languages=["ko"])
    nothing = NoOpNlpEngine(models=[{"lang_code": "ko", "model_name": ""}])
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=nothing, supported_languages=["ko"])

    def find(text: str) -> list[tuple[int, int, Kind | None]]:
        return [(one.start, one.end, None) for one in analyzer.analyze(text, language="ko", score_threshold=0.4)]

    return find


def recall(find: Find, samples: Iterable[Sample]) -> float:
    """Share of the samples whose value is covered; an address counts when all but its last details are."""
    right = count = 0
    for sample in samples:
        count += 1
        right += any(
            kind in {None, sample.kind}
            and start <= sample.start
            and end >= (sample.end if sample.kind is not Kind.ADDRESS else (sample.start + sample.end) // 2)
            for start, end, kind in find(sample.text)
        )
    return right / count


def false_rows(find: Find, samples: Iterable[Sample]) -> dict[str, float]:
    """Share of sentences without personal data in which something is found, by what they look like."""
    hits: dict[str, list[bool]] = {}
    for sample in samples:
        hits.setdefault(sample.group.partition(" ")[0] if sample.group.startswith("held") else sample.group, []).append(
            bool(find(sample.text))
        )
    return {group: sum(found) / len(found) for group, found in hits.items()}


def precision(find: Find, found_negatives: Sequence[Sample], kind_samples: Sequence[Sample]) -> float:
    """Of the finds in sentences of one kind and as many without any, the share that lies on the value."""
    right = wrong = 0
    for sample in (*kind_samples, *found_negatives[: len(kind_samples)]):
        for start, end, _ in find(sample.text):
            if sample.kind is not None and start < sample.end and sample.start < end:
                right += 1
            else:
                wrong += 1
    return right / max(1, right + wrong)


def letters_found(find: Find, of_each: int, seed: int, *, later: bool = False) -> dict[str, dict[str, float]]:
    """Recall and precision by kind over the letters; what is found and was not planted counts as wrong."""
    planted: Counter[Kind] = Counter()
    covered: Counter[Kind] = Counter()
    right: Counter[Kind | None] = Counter()
    wrong: Counter[Kind | None] = Counter()
    for letter in letters(of_each, seed, later=later):
        found = find(letter.text)
        for value in letter.planted:
            end = value.end if value.kind is not Kind.ADDRESS else (value.start + value.end) // 2
            planted[value.kind] += 1
            covered[value.kind] += any(
                kind in {None, value.kind} and start <= value.start and stop >= end for start, stop, kind in found
            )
        for start, stop, kind in found:
            there = any(start < value.end and value.start < stop for value in letter.planted)
            (right if there else wrong)[kind] += 1
    return {
        kind.code: {
            "recall": round(covered[kind] / planted[kind], 4),
            "precision": round(right[kind] / max(1, right[kind] + wrong[kind]), 4),
        }
        for kind in MAKERS
    }


def documents(count: int, seed: int) -> list[str]:
    """Korean running text with personal data in a tenth of the documents."""
    rng = random.Random(seed)  # noqa: S311
    sentences = [
        "고속도로 통행료는 차종과 거리에 따라 정해지며 출퇴근 시간에는 할인을 받을 수 있습니다.", "신청서는 가까운 영업소에 방문하여 제출하시면 되고 처리에는 3일쯤 걸립니다.",
        "하이패스 단말기를 새로 달면 등록을 먼저 해야 하며 등록은 누리집에서도 됩니다.", "유료도로법 제15조제2항에 따라 긴급자동차는 통행료를 내지 않습니다.", "문의하신 사항은 담당 부서에서 확인한 다음 알려 드리겠습니다.",
        "2025년 3월 1일부터 다자녀 가구의 감면 대상이 넓어집니다.", "정체가 심한 명절 연휴에는 국도를 이용하시는 것이 더 빠를 수 있습니다.", "휴게소 안의 전기차 충전기는 스물네 시간 쓰실 수 있습니다.",
    ]  # fmt: skip
    kinds = list(MAKERS)
    made = []
    for number in range(count):
        text = ""
        while len(text) < DOCUMENT_CHARACTERS:
            text += rng.choice(sentences) + " "
        if rng.random() < SHARE_WITH_DATA:
            (sample,) = positives(rng.choice(kinds), 1, seed=number, held_out=False)
            text = sample.text + " " + text
        made.append(text[:DOCUMENT_CHARACTERS])
    return made


def speed(find: Find, texts: Sequence[str], seconds: float) -> float:
    """Documents a CPU second."""
    for text in texts[:50]:
        find(text)
    done, begin = 0, time.process_time()
    while time.process_time() - begin < seconds:
        for text in texts[done % len(texts) :][:100]:
            find(text)
        done += 100
    return done / (time.process_time() - begin)


def main() -> None:
    """Measure and print."""
    options = parser(__doc__ or "")
    options.add_argument("--held-out", action="store_true", help="held-out sentences only")
    options.add_argument("--seed", type=int, default=20261124)
    chosen = options.parse_args()
    count, seconds = (60, 0.3) if chosen.tiny else (3000, SECONDS_OF_SPEED)
    presidio = plain_presidio()
    measured: dict[str, Any] = {}
    rows: list[Sequence[object]] = [("set", "kind", "recall", "precision", "recall of Presidio")]
    for held_out in (True,) if chosen.held_out else (False, True):
        name = "held out" if held_out else "tuned"
        quiet = list(negatives(count * len(NEGATIVES), chosen.seed, held_out=held_out))
        kinds: dict[str, Any] = {}
        for kind in MAKERS:
            samples = list(positives(kind, count, chosen.seed, held_out=held_out))
            kinds[kind.code] = {
                "recall": round(recall(find_with_patterns, samples), 4),
                "precision": round(precision(find_with_patterns, quiet, samples), 4),
                "presidio_recall": round(recall(presidio, samples[:600]), 4),
            }
            rows.append((name, kind.value, *kinds[kind.code].values()))
        ours, theirs = false_rows(find_with_patterns, quiet), false_rows(presidio, quiet[:: max(1, len(quiet) // 3000)])
        share = sum(bool(find_with_patterns(sample.text)) for sample in quiet) / len(quiet)
        measured[name] = {"kinds": kinds, "false_rows": round(share, 5), "by_look": ours, "presidio_by_look": theirs}
        rows.append((name, "falsely masked rows", f"{share:.3%}", "", f"{sum(theirs.values()) / len(theirs):.1%}"))
    of_each = 2 if chosen.tiny else 100
    for later in (False, True):
        name = "later letters" if later else "letters"
        ours_in_letters = letters_found(find_with_patterns, of_each, chosen.seed, later=later)
        theirs_in_letters = letters_found(presidio, max(1, of_each // 5), chosen.seed, later=later)
        rows += [
            (name, kind.value, *ours_in_letters[kind.code].values(), theirs_in_letters[kind.code]["recall"])
            for kind in MAKERS
        ]
        quiet_letters = list(look_alikes(of_each, chosen.seed, later=later))
        share = sum(bool(find_with_patterns(letter.text)) for letter in quiet_letters) / len(quiet_letters)
        presidio_share = sum(bool(presidio(letter.text)) for letter in quiet_letters) / len(quiet_letters)
        rows.append((name, "falsely masked rows", f"{share:.3%}", "", f"{presidio_share:.1%}"))
        measured[name] = {
            "kinds": ours_in_letters,
            "presidio_recall": {kind: one["recall"] for kind, one in theirs_in_letters.items()},
            "false_rows": round(share, 5),
            "presidio_false_rows": round(presidio_share, 5),
        }
    texts = documents(400 if chosen.tiny else 4000, chosen.seed)
    ours_a_second = speed(find_with_patterns, texts, seconds)
    presidio_a_second = speed(presidio, texts, seconds)
    measured["speed"] = {
        "documents_a_second": round(ours_a_second),
        "presidio_documents_a_second": round(presidio_a_second),
        "ratio": round(ours_a_second / presidio_a_second, 1),
        "document_characters": DOCUMENT_CHARACTERS,
        "share_with_personal_data": SHARE_WITH_DATA,
    }
    rows.append(("speed", "documents/s of one core", round(ours_a_second), "", round(presidio_a_second)))
    report("personal_data", chosen, measured, rows)


if __name__ == "__main__":
    main()
