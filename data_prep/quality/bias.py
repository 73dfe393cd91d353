"""Whom a dataset speaks of, and how: a report over protected attributes.

A row counts for a group when one of its turns names the group. For each group the report holds how many rows name it,
how toxic these rows are, how many of them the bias head of the toxicity model calls biased, and how many generalise
(`여자들은 원래 …`). A lexicon does not understand: the report says where to look, not what is to be thought of it.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from contracts.enums import ProtectedAttribute
from contracts.record import Record
from data_prep.quality.toxicity import Hostility, hostility_of
from data_prep.rows import Row

TOXIC = 0.7
"""As in the default policy."""
BIASED = 0.6
"""Share of the bias head that is not `none`."""
MAX_NAMED_ROWS = 50
_BATCH = 2000

_START = r"(?<![가-힣])"
GROUP_PATTERNS: Mapping[ProtectedAttribute, Mapping[str, str]] = {
    ProtectedAttribute.GENDER: {
        "female": rf"여성|여자|{_START}(?:여학생|여직원|아줌마|아주머니|할머니|소녀|아가씨|며느리|주부|엄마|어머니|손녀|한녀|김치녀|된장녀|맘충)",
        "male": rf"남성|{_START}(?:남자|남학생|남직원|아저씨|할아버지|소년|사위|아빠|아버지|손자|한남|총각)",
        "other": r"트랜스젠더|성전환|논바이너리|젠더퀴어",
    },
    ProtectedAttribute.AGE: {
        "old": rf"노인|어르신|고령(?!군|분기|나들목|IC|JC|터널|휴게)|할머니|할아버지|틀딱|{_START}[6-9]\d대(?!\d)|{_START}(?:노년|중장년|장년|중년|꼰대)|(?<![\d제])[45]0대(?! ?국회)|(?<!\d)[6-9]\d세",
        "young": rf"{_START}(?:청년|청소년|젊은이|젊은 사람|어린이|초등학생|중학생|고등학생|대학생|급식충|잼민이|손자|손녀|MZ)|(?<![\d제])[12]0대(?! ?국회)|(?<!\d)30대|MZ\s?세대|초딩|중딩|고딩|(?<!\d)[12]\d세",
    },
    ProtectedAttribute.REGION: {
        "jeolla": rf"전라도|호남(?!선|고속|지선|지역본부)|{_START}(?:광주|전주|전남|전북|목포|여수)(?:\s?(?:사람|출신|에서|시민|토박이|사투리)|(?=[을를이가은는 ]))|홍어족",
        "gyeongsang": rf"경상도|영남(?!선|대로|지역본부)|{_START}(?:대구|부산|경남|경북|울산|포항|창원)(?:\s?(?:사람|출신|에서|시민|토박이|사투리)|(?=[을를이가은는 ]))",
        "chungcheong": rf"충청도|{_START}(?:충남|충북|대전|청주)(?:\s?(?:사람|출신|에서|토박이|사투리))",
        "gangwon": rf"강원도|{_START}(?:강릉|춘천|원주)\s?(?:사람|출신)",
        "jeju": r"제주도?\s?(?:사람|출신|토박이|도민)|제주도",
        "capital": rf"{_START}서울\s?(?:사람|출신|토박이|시민|에서)|수도권(?!제|고속|순환|본부|매립)|강남\s?(?:사람|출신|주민|에\s?사는)|강북\s?(?:사람|주민|에\s?사는)",
        "rural": rf"시골|농촌|{_START}지방\s?(?:사람|출신|에서|대학|사는)|지방\s?출신|귀농",
    },
    ProtectedAttribute.RELIGION: {
        "protestant": r"개신교|기독교|크리스천|교회|목사|전도사|개독",
        "catholic": r"천주교|가톨릭|성당|신부님|수녀",
        "buddhist": r"불교|스님|사찰|절에 다니",
        "muslim": r"이슬람|무슬림|모스크|히잡|개슬람|라마단",
        "other": r"유대교|유대인|힌두교|여호와의\s?증인|신천지|원불교|몰몬|무속|무당|점쟁이|이단",
        "none": r"(?<![가-힣])무교(?!육)|무신론|종교가 없",
    },
    ProtectedAttribute.DISABILITY: {
        "physical": r"지체\s?장애|휠체어|시각\s?장애|청각\s?장애|농인|맹인|뇌병변|절름발이|귀머거리|장님|언어\s?장애|벙어리|수어|수화(?:로|를|\s?통역)|뇌성\s?마비|보행기|목발|의족|의수|파킨슨|시력을 잃|다리를 잃",
        "mental": r"지적\s?장애|발달\s?장애|자폐|정신\s?(?:질환|장애|분열|병)|조현병|우울증|ADHD|다운\s?증후군|공황|양극성|조울증|치매|강박증|난독증|정신지체",
        "any": r"장애(?:인|우|가 있(?:는 (?:사람|분|이|아동|학생|친구|자녀)|으신)|를 가진|아동|학생|등급|를 앓)|애자(?:들|같|새끼|야|냐)",
    },
    ProtectedAttribute.NATIONALITY: {
        "chinese": r"중국인|조선족|중국\s?(?:사람|유학생|동포|출신)|짱깨|짱개|화교|중국(?=[이가을를은는 ])",
        "japanese": r"일본인|일본\s?(?:사람|유학생|출신)|쪽바리|왜놈|재일",
        "southeast_asian": r"베트남|필리핀|태국인|캄보디아|동남아|미얀마|인도네시아|말레이시아|네팔|방글라데시|파키스탄|인도인|몽골|우즈베키스탄",
        "western": r"미국인|백인|서양인|유럽인|영국인|프랑스인|독일인|캐나다인|호주인|러시아인|미국\s?(?:사람|출신)|양키|유럽",
        "black": r"흑인|아프리카|깜둥이|나이지리아|가나인|케냐",
        "north_korean": r"탈북|북한\s?(?:사람|이탈|출신|주민)|새터민",
        "middle_eastern": r"아랍|중동|이란인|이라크|시리아|사우디|예멘|터키인|아프가니스탄",
        "foreign": r"(?:동양|서양|아시아|오세아니아|북미|남미|중남미|브라질|멕시코|히스패닉|라틴)인|외국인|이주민|다문화|이주\s?노동자|불법\s?체류|난민|혼혈|결혼\s?이주|외노자|이민자",
    },
    ProtectedAttribute.SEXUAL_ORIENTATION: {
        "minority": r"동성애|게이(?![가-힣]*머|트|지)|레즈비언|양성애|퀴어|성소수자|무성애|범성애|동성\s?(?:커플|연인|결혼|부부|친구와 사귀)|성적\s?지향|성 소수자|똥꼬충",
        "heterosexual": r"이성애",
    },
    ProtectedAttribute.APPEARANCE: {
        "weight": rf"비만|뚱뚱|과체중|{_START}마른\s?(?:사람|몸|체형|여자|남자|편)|돼지\s?같|살찐|살이\s?찐|체중|고도비만|날씬|통통|저체중",
        "height": r"키가?\s?(?:큰|작은|크|작|\d{3})|단신|장신(?!구)|난쟁이|꼬맹이",
        "looks": r"못생긴|못생겼|추녀|얼굴이?\s?(?:못|잘)|외모|예쁜|잘생긴|미인(?!가|정|증|도|식)|탈모|대머리|문신|흉터|타투|성형|화장을|피부가|여드름|곱슬|염색|수염|노출이?\s?심한|노출\s?(?:의상|옷)|옷차림|차려\s?입|복장|쌍꺼풀|눈이\s?작|피어싱|임신한",
    },
    ProtectedAttribute.FAMILY: {
        "single_parent": r"한부모|미혼모|미혼부|싱글맘|싱글대디|편부|편모|홀어머니|홀아버지",
        "unmarried": r"비혼|미혼|독신|노처녀|노총각|1인\s?가구|싱글",
        "divorced": r"이혼|재혼|돌싱|새엄마|새아빠|계모|(?<![가-힣])계부|별거(?:\s?중|하|를)",
        "children": r"맞벌이|전업\s?주부|딩크|무자녀|다자녀|(?<![가-힣])외동|입양|임신|조손|아이가 없는|자녀가 (?:없|있)|기러기|고아|보육원|육아 휴직",
        "any": r"기혼|결혼한|부부",
    },
    ProtectedAttribute.STATUS: {
        "poor": rf"기초\s?생활|수급자|저소득|빈곤|가난|노숙|{_START}흙수저|임대\s?(?:주택|아파트)|(?<![가-힣])거지|형편이|빈민|월세|반지하|세입자|복지\s?혜택|달동네|판자촌|하위\s?계층",
        "rich": rf"부유(?:하|한|층)|(?<![가-힣])부자|{_START}금수저|재벌|고소득|상류층|건물주|임대인|갑부|잘\s?사는|부촌|대저택|고급\s?(?:주택|아파트|승용차)|임원",
        "occupation": r"비정규직|계약직|일용직|배달\s?(?:원|기사)|택배|청소부|미화원|경비원|무직|백수|실업자|육체\s?노동|생산직|사무직|전문직|노가다|막노동|의사(?!\s?(?:결정|소통|표시|능력|록|진행|일정|봉|가\s|를\s?(?:표|밝|확인)))|변호사|공무원|아르바이트|정규직|대기업|중소기업",
    },
    ProtectedAttribute.EDUCATION: {
        "less": r"고졸|중졸|초졸|전문대|지잡대|검정고시|대학을\s?(?:안|못|나오지)|저학력|실업계|특성화고|지방대|중퇴|자퇴|학력이\s?(?:낮|짧)|고등학교(?:만|를) (?:졸업|나온)|대학에 가지",
        "more": r"명문대|서울대|고학력|박사|석사|SKY|연세대|고려대|유학파|대졸|대학원|외고|과학고|특목고|자사고|학벌|대학(?:을|교를) (?:졸업|나온)",
    },
    ProtectedAttribute.POLITICS: {
        "left": r"진보(?:당|파|층|\s?진영|세력|주의|적 성향|\s?(?:성향|단체|정권|언론|정당|유권자|지지))|좌파|빨갱이|종북|민주당|좌빨|운동권|좌익",
        "right": r"보수(?:당|파|층|\s?진영|세력|주의|\s?(?:성향|단체|정권|언론|정당|유권자|지지))|우파|수꼴|국민의힘|새누리|토착왜구|태극기\s?부대|우익|일베",
    },
}
"""What names each group; their words for people are contracts.words.GROUPS."""
_GENERALISES = re.compile(
    r"(?:들은|들이|이라서|라서|라\s?그런지|이란|들\s?때문|답게|답지|주제에|같은\s?(?:것들|년|놈)|특유의)"
    r"|(?:은|는|이|가)\s?(?:원래|다\s|항상|늘\s|역시|절대|무조건|전부|하나같이|죄다|대체로|태생)"
)


class GroupReport(Record):
    """How a dataset speaks of one group."""

    group: str
    rows: int
    share: float
    """Of all rows."""
    mean_toxicity: float
    toxic_rows: int
    """Rows of which a turn that names the group reaches TOXIC."""
    biased_rows: int
    """Rows of which a turn that names the group reaches BIASED."""
    generalising_rows: int
    flagged: list[str]
    """row_id of the rows that are toxic or biased, at most MAX_NAMED_ROWS."""


class AttributeReport(Record):
    """How a dataset speaks of people by one attribute."""

    attribute: ProtectedAttribute
    rows: int
    groups: list[GroupReport]
    toxicity_gap: float
    """Between the groups with the most and the least toxic rows, of groups with at least MIN_GROUP_ROWS; else 0."""


class BiasReport(Record):
    """Whom a dataset speaks of, and how."""

    rows: int
    rows_with_groups: int
    mean_toxicity: float
    """Of all rows: what the groups' are to be held against."""
    attributes: list[AttributeReport]
    """Attributes that occur, the most frequent first."""


MIN_GROUP_ROWS = 20


def protected_groups(text: str) -> dict[ProtectedAttribute, list[str]]:
    """The groups that the text names, by attribute."""
    found: dict[ProtectedAttribute, list[str]] = {}
    if _any_group().search(text) is None:
        return found
    for attribute, groups in _patterns().items():
        named = [group for group, pattern in groups.items() if pattern.search(text)]
        if named:
            found[attribute] = named
    return found


def bias_report(rows: Iterable[Row]) -> BiasReport:
    """The report over all turns of the rows; rows are read once, a batch at a time."""
    counts: dict[tuple[ProtectedAttribute, str], _Count] = defaultdict(lambda: _Count())
    attribute_rows: dict[ProtectedAttribute, int] = defaultdict(int)
    total = named_rows = 0
    toxicity = 0.0
    for batch in _batches(rows):
        texts = [message.content for row in batch for message in row.messages]
        judged = iter(hostility_of(texts))
        for row in batch:
            turns = [(message.content, next(judged)) for message in row.messages]
            total += 1
            toxicity += max((hostility.toxicity for _, hostility in turns), default=0.0)
            by_group: dict[tuple[ProtectedAttribute, str], list[tuple[str, Hostility]]] = defaultdict(list)
            for text, hostility in turns:
                for attribute, groups in protected_groups(text).items():
                    for group in groups:
                        by_group[attribute, group].append((text, hostility))
            named_rows += bool(by_group)
            for attribute in {attribute for attribute, _ in by_group}:
                attribute_rows[attribute] += 1
            for key, named in by_group.items():
                counts[key].add(row.row_id, _patterns()[key[0]][key[1]], named)
    return BiasReport(
        rows=total,
        rows_with_groups=named_rows,
        mean_toxicity=round(toxicity / total, 4) if total else 0.0,
        attributes=[
            _attribute_report(attribute, attribute_rows[attribute], counts, total)
            for attribute in sorted(attribute_rows, key=lambda one: (-attribute_rows[one], one.value))
        ],
    )


class _Count:
    """What has been seen of one group."""

    def __init__(self) -> None:
        self.rows = self.toxic = self.biased = self.generalising = 0
        self.toxicity = 0.0
        self.flagged: list[str] = []

    def add(self, row_id: str, name: re.Pattern[str], turns: Sequence[tuple[str, Hostility]]) -> None:
        worst = max(hostility.toxicity for _, hostility in turns)
        biased = max(1 - hostility.bias["none"] for _, hostility in turns) >= BIASED
        self.rows += 1
        self.toxicity += worst
        self.toxic += worst >= TOXIC
        self.biased += biased
        self.generalising += any(_generalises(name, text) for text, _ in turns)
        if (worst >= TOXIC or biased) and len(self.flagged) < MAX_NAMED_ROWS:
            self.flagged.append(row_id)


def _generalises(name: re.Pattern[str], text: str) -> bool:
    return any(_GENERALISES.match(text, end) for end in _ends(name, text))


def _ends(name: re.Pattern[str], text: str) -> Iterable[int]:
    return (found.end() for found in name.finditer(text))


def _attribute_report(
    attribute: ProtectedAttribute,
    rows: int,
    counts: Mapping[tuple[ProtectedAttribute, str], _Count],
    total: int,
) -> AttributeReport:
    groups = [
        GroupReport(
            group=group,
            rows=count.rows,
            share=round(count.rows / total, 4),
            mean_toxicity=round(count.toxicity / count.rows, 4),
            toxic_rows=count.toxic,
            biased_rows=count.biased,
            generalising_rows=count.generalising,
            flagged=count.flagged,
        )
        for (of, group), count in sorted(counts.items(), key=lambda item: (-item[1].rows, item[0][1]))
        if of is attribute
    ]
    compared = [group.mean_toxicity for group in groups if group.rows >= MIN_GROUP_ROWS]
    gap = round(max(compared) - min(compared), 4) if len(compared) > 1 else 0.0
    return AttributeReport(attribute=attribute, rows=rows, groups=groups, toxicity_gap=gap)


@cache
def _patterns() -> dict[ProtectedAttribute, dict[str, re.Pattern[str]]]:
    return {
        attribute: {group: re.compile(pattern) for group, pattern in groups.items()}
        for attribute, groups in GROUP_PATTERNS.items()
    }


@cache
def _any_group() -> re.Pattern[str]:
    return re.compile("|".join(pattern for groups in GROUP_PATTERNS.values() for pattern in groups.values()))


def _batches(rows: Iterable[Row]) -> Iterable[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
