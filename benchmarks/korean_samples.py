"""Korean question-answer samples made by rule, with planted copies and planted personal data, and a record of both.

Sentences are composed of words that fit together grammatically; the same seed gives the same rows. Near copies are made
by changing words until the exact Jaccard similarity of the character 5-grams is between 0.8 and 1: the record has it.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pyarrow
import pyarrow.parquet

from data_prep.duplicates.near import jaccard, shingles

BATCH_ROWS = 10_000
ANSWER_CHARACTERS = 270
EXACT_SHARE, NEAR_SHARE, PERSONAL_SHARE = 0.04, 0.05, 0.05
MIN_NEAR_SIMILARITY = 0.8

PLACES = [
    a + b
    for a in ("동해", "서울", "천안", "대전", "김천", "영동", "원주", "춘천", "강릉", "횡성", "안성", "평택", "청주", "목포", "순천", "진주")
    for b in ("영업소", "휴게소", "나들목", "분기점", "터널", "지사", "요금소", "졸음쉼터")
]  # fmt: skip
SUBJECTS = [
    f"{a} {b}"
    for a in ("하이패스", "미납 통행료", "화물차 할인", "과적 단속", "노면 보수", "제설 장비", "방음벽", "가로등", "교량 점검", "사고 차량", "유실물", "휴게소 임대",
              "전기차 충전", "차로 통제", "안전 교육", "도로 점용", "환승 할인", "출구 안내", "정기 점검", "폐기물 처리", "공사 구간", "긴급 견인", "배수 시설", "포장 균열")
    for b in ("신청", "확인", "변경", "접수", "해지", "환불", "민원", "점검", "보고", "승인", "등록", "조회")
]  # fmt: skip
OFFICES = [
    f"{a}{b}"
    for a in ("영업", "도로", "시설", "안전", "재난", "고객", "정보", "계약", "환경", "교통", "구조물", "조경")
    for b in ("관리처", "지원실", "운영팀", "상황실", "기획부", "센터")
]
PAPERS = (
    "신청서",
    "동의서",
    "확인서",
    "사업 계획서",
    "현장 사진",
    "위임장",
    "영수증",
    "차량 등록증",
    "통장 사본",
    "점검표",
    "도면",
    "견적서",
)
MANNERS = (
    "방문하여", "전자 우편으로", "누리집에서", "전화로", "담당 부서를 거쳐", "우편으로", "이동 단말로", "접수 창구에서", "무인 기기에서", "상담 창구를 통해",
)  # fmt: skip
TIMES = (
    "접수한 날부터",
    "승인된 뒤",
    "점검이 끝난 뒤",
    "매월 말일까지",
    "공사가 시작되기 전에",
    "사고가 난 즉시",
    "다음 영업일까지",
    "분기마다",
    "출입하기 전에",
    "결과가 나온 뒤",
)
REASONS = (
    "안전을 지키기 위하여", "기록을 남기기 위하여", "중복을 막기 위하여", "이용자의 불편을 줄이려고", "규정에 따라", "예산을 아끼려고", "같은 사고를 막으려고",
    "현장 사정을 반영하여", "요금을 정확히 계산하려고", "다음 점검에 쓰려고",
)  # fmt: skip
DEEDS = (
    "제출해 주시기 바랍니다", "확인한 뒤 처리해 드립니다", "다시 안내해 드리겠습니다", "담당자가 연락을 드립니다", "기록으로 남겨 두어야 합니다", "변경할 수 있습니다",
    "현장에서 바로 고칩니다", "승인을 받아야 합니다", "따로 보관하고 있습니다", "취소하실 수 있습니다", "한 번 더 점검합니다", "결과를 알려 드립니다",
)  # fmt: skip
SENTENCES = (
    "{subject} 업무는 {place} {office}에서 {manner} 받고 있으며, {time} {deed}.",
    "{reason} {paper}[과/와] {paper2}[을/를] {time} {manner} {deed}.",
    "{place}[을/를] 이용하실 때에는 {subject} 여부를 {manner} {deed}.",
    "{office}에서는 {reason} {subject} 절차를 {time} {deed}.",
    "{time} {paper}[이/가] 갖추어지지 않으면 {subject} 건은 {office}[으로/로] 넘겨 {deed}.",
    "{place}의 {subject} 내용이 바뀌면 {manner} {office}에 알려 주시고, {reason} {deed}.",
    "{subject}에 필요한 {paper}[은/는] {place}에 비치되어 있으며 {reason} {deed}.",
)
QUESTIONS = (
    "{place} {subject}[은/는] 어디에서 {manner} 할 수 있나요?",
    "{subject}에 {paper}[이/가] 필요한지, {office}에 물어봐야 하는지 궁금합니다.",
    "{office}의 {subject} 절차를 알려 주세요.",
    "{time} {subject}[을/를] 하려면 {paper} 말고 무엇을 준비해야 합니까?",
)
SURNAMES = "김이박최정강조윤장임한오서신권황안송류홍"
GIVEN_FIRST, GIVEN_SECOND = "민서지현수영준예도하은태진성재유상동", "준윤우연호민희영진아원수현석미경훈"
CATEGORIES = ("통행료", "시설", "안전", "휴게소", "정보", "계약", "환경", "민원")


_PARTICLE = re.compile(r"([가-힣])\[([가-힣]+)/([가-힣]+)\]")


@dataclass(frozen=True, slots=True)
class Planted:
    """What was hidden in one row; the row's number is its line."""

    row: int
    copy_of: int | None = None
    similarity: float = 1.0
    personal: tuple[tuple[str, str], ...] = ()
    """Name of the kind and the value."""


def write_samples(path: Path, rows: int, seed: int = 1) -> list[Planted]:
    """Write a Parquet file of `messages` and `metadata`; returns what was planted."""
    random = Random(seed)  # noqa: S311 - test data
    planted: list[Planted] = []
    schema = pyarrow.schema([("messages", pyarrow.string()), ("metadata", pyarrow.string())])
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, rows, BATCH_ROWS):
            batch = list(_samples(random, start, min(BATCH_ROWS, rows - start), planted))
            texts = [_messages(question, answer) for question, answer in batch]
            metadata = [_metadata(start + number) for number in range(len(batch))]
            writer.write_table(pyarrow.table([texts, metadata], schema=schema))
    return planted


def _messages(question: str, answer: str) -> str:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return json.dumps(turns, ensure_ascii=False)


def _metadata(number: int) -> str:
    return json.dumps(
        {"category": CATEGORIES[number % len(CATEGORIES)], "source": f"문서-{number // 50}"}, ensure_ascii=False
    )


def _samples(random: Random, start: int, rows: int, planted: list[Planted]) -> Iterator[tuple[str, str]]:
    """One batch; copies are of rows of the same batch that are none themselves and hold nothing personal."""
    made: list[tuple[str, str]] = []
    originals: list[int] = []
    for place in range(rows):
        number, dice = start + place, random.random()
        if originals and dice < EXACT_SHARE:
            origin = random.choice(originals)
            question, answer = made[origin]
            sample = question, answer.replace(". ", ".  ")
            planted.append(Planted(number, copy_of=start + origin))
        elif originals and dice < EXACT_SHARE + NEAR_SHARE:
            origin = random.choice(originals)
            sample, similarity = _near_copy(random, made[origin])
            planted.append(Planted(number, copy_of=start + origin, similarity=similarity))
        else:
            sample = _sample(random)
            if dice > 1 - PERSONAL_SHARE:
                sentence, personal = _personal(random)
                sample = sample[0], f"{sample[1]} {sentence}"
                planted.append(Planted(number, personal=personal))
            else:
                originals.append(place)
        made.append(sample)
        yield sample


def _sample(random: Random) -> tuple[str, str]:
    answer = _fill(random, random.choice(SENTENCES))
    while len(answer) < ANSWER_CHARACTERS:
        answer += " " + _fill(random, random.choice(SENTENCES))
    return _fill(random, random.choice(QUESTIONS)), answer


def _fill(random: Random, template: str) -> str:
    filled = template.format(
        subject=random.choice(SUBJECTS),
        place=random.choice(PLACES),
        office=random.choice(OFFICES),
        paper=random.choice(PAPERS),
        paper2=random.choice(PAPERS),
        manner=random.choice(MANNERS),
        time=random.choice(TIMES),
        reason=random.choice(REASONS),
        deed=random.choice(DEEDS),
    )
    return _PARTICLE.sub(_agreeing, filled)


def _agreeing(found: re.Match[str]) -> str:
    """The form of a particle that follows a final consonant, or the other one; `로` follows ㄹ too."""
    last, closed, open_ = found.groups()
    final = (ord(last) - ord("가")) % 28
    return last + (closed if final and not (final == 8 and closed == "으로") else open_)


def _near_copy(random: Random, origin: tuple[str, str]) -> tuple[tuple[str, str], float]:
    """The row with one to three words of the answer changed, at least 0.8 like it."""
    question, answer = origin
    original = shingles(f"{question}\n{answer}")
    words = answer.split(" ")
    for changes in (3, 2, 1):
        changed = list(words)
        for place in random.sample(range(len(words)), changes):
            changed[place] = changed[place] + random.choice(("도", "만", "마저", "까지"))
        copy = question, " ".join(changed)
        similarity = jaccard(original, shingles(f"{question}\n{copy[1]}"))
        if MIN_NEAR_SIMILARITY <= similarity < 1:
            return copy, similarity
    return (question, answer + " 끝"), jaccard(original, shingles(f"{question}\n{answer} 끝"))


def _digits(random: Random, count: int) -> str:
    return "".join(str(random.randrange(10)) for _ in range(count))


def _personal(random: Random) -> tuple[str, tuple[tuple[str, str], ...]]:
    name = random.choice(SURNAMES) + random.choice(GIVEN_FIRST) + random.choice(GIVEN_SECOND)
    phone = f"010-{random.randrange(2000, 9999)}-{_digits(random, 4)}"
    email = f"{random.choice(('road', 'toll', 'safe', 'hello'))}{_digits(random, 3)}@example.kr"
    birth = f"{random.randrange(60, 99):02d}{random.randrange(1, 13):02d}{random.randrange(1, 29):02d}"
    resident = f"{birth}-{random.choice('12')}{_digits(random, 6)}"
    return random.choice(
        (
            (f"신청인 {name}의 연락처는 {phone}입니다.", (("NAME", name), ("PHONE_NUMBER", phone))),
            (f"문의는 담당자 {name}에게 {email}로 보내 주세요.", (("NAME", name), ("EMAIL", email))),
            (
                f"{name} 고객님의 주민등록번호 {resident}을 확인하였습니다.",
                (("NAME", name), ("RESIDENT_NUMBER", resident)),
            ),
            (f"급한 일은 {phone}으로 전화해 주세요.", (("PHONE_NUMBER", phone),)),
        )
    )
