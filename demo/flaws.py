"""The flaws that real consultation records carry, planted on purpose. Every person and number here is invented."""

import random
from collections.abc import Callable

from demo.korean import Word

NAMES = (
    "김하늘", "이도윤", "박서진", "최유나", "정민재", "강다온", "조은별", "윤시우",
    "장예린", "임태오", "한소율", "오지안", "서해솔", "신라온", "권나래", "황이든",
)  # fmt: skip
TITLES = ("과장", "대리", "주임", "차장", "고객님", "팀장")
# Published test numbers of the card companies: they pass the check digit and belong to nobody.
CARDS = ("4111-1111-1111-1111", "5555-5555-5555-4444", "4012-8888-8888-1881", "5105-1051-0510-5100")
RRN_WEIGHTS = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)

ONE_WORD_ANSWERS = ("네", "확인", "네.", "아니요", "없음", "예")
REPEATED_PHRASES = (
    "확인 중입니다. " * 9,
    "담당자에게 문의하세요. " * 8,
    "잠시만 기다려 주세요. " * 8,
    "네 네 " * 15,
)
UNHELPFUL_ANSWERS = (
    "잘 모르겠습니다. 다른 데 물어보세요.",
    "그때그때 다릅니다. 알아서 하시면 됩니다.",
    "담당자가 자리에 없어서 답변이 어렵습니다.",
    "예전에 들었는데 기억이 나지 않네요.",
    "홈페이지 어딘가에 있을 겁니다. 찾아보세요.",
)
FOUL_LEAD_INS = (
    "썅, 몇 번을 물어봐야 합니까. ",
    "ㅅㅂ 전화는 왜 이렇게 안 받아요? ",
    "지랄 말고 똑바로 알려 줘요. ",
    "미친놈들이 일을 이따위로 하네. ",
    "또라이 같은 안내문만 보내지 말고 답을 하세요. ",
    "ㅈㄹ 그만하고 답이나 주세요. ",
)
FOUL_ANSWERS = (
    "그걸 왜 나한테 물어봅니까, 썅. 알아서 찾으세요.",
    "지랄도 정도껏 해야지. 민원 좀 그만 넣으세요.",
    "미친놈 소리 듣기 전에 규정이나 읽어 보세요.",
)


def name_with_title(rng: random.Random) -> str:
    """An invented name with a title."""
    return f"{rng.choice(NAMES)} {rng.choice(TITLES)}"


def mobile_number(rng: random.Random) -> str:
    """A mobile number from the block 010-1, which is assigned to nobody."""
    separator = rng.choice(("-", "-", "-", " ", ""))
    return separator.join(("010", f"1{rng.randint(0, 999):03d}", f"{rng.randint(0, 9999):04d}"))


def landline_number(rng: random.Random) -> str:
    """A Seoul number from the block 02-1, which is assigned to nobody."""
    return f"02-1{rng.randint(0, 99):02d}-{rng.randint(1000, 9999)}"


def resident_number(rng: random.Random) -> str:
    """A resident registration number with a right check digit, of a birth in 1901 to 1909: of nobody alive."""
    digits = f"0{rng.randint(1, 9)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}{rng.randint(1, 2)}"
    digits += f"{rng.randint(0, 99_999):05d}"
    check = (11 - sum(int(d) * w for d, w in zip(digits, RRN_WEIGHTS, strict=True)) % 11) % 10
    return f"{digits[:6]}-{digits[6:]}{check}"


def email_address(rng: random.Random) -> str:
    """An address in a domain reserved for examples."""
    user = rng.choice(("haneul", "doyun", "seojin", "yuna", "minjae", "daon", "eunbyeol", "siwoo"))
    return f"{user}{rng.randint(10, 99)}@example.{rng.choice(('com', 'org', 'net'))}"


def card_number(rng: random.Random) -> str:
    """A published test number."""
    return rng.choice(CARDS)


def car_plate(rng: random.Random) -> str:
    """A car plate with a syllable that no plate bears."""
    return f"{rng.randint(10, 699)}{rng.choice('가나다라마거너더러머버서어저고노도로모보소오조구누두루무부수우주')} {rng.randint(1000, 9999)}"


PERSONAL_DATA: dict[str, tuple[Callable[[random.Random], str], tuple[str, ...]]] = {
    "name": (
        name_with_title,
        ("저는 {v}입니다. ", "어제 {v:과} 통화했던 사람입니다. ", "{v}께 안내받고 다시 문의합니다. "),
    ),
    "mobile": (
        mobile_number,
        ("제 연락처는 {v}입니다. ", "{v:으로} 회신 부탁드립니다. ", "휴대전화 {v} 쓰는 사람인데요. "),
    ),
    "landline": (landline_number, ("사무실 전화는 {v}입니다. ", "{v:으로} 전화 주셔도 됩니다. ")),
    "rrn": (resident_number, ("주민등록번호는 {v}입니다. ", "본인 확인용으로 {v} 적어 둡니다. ")),
    "email": (email_address, ("답변은 {v:으로} 보내 주세요. ", "메일 주소는 {v}입니다. ")),
    "card": (card_number, ("카드 번호 {v:으로} 결제한 고객입니다. ", "결제 카드는 {v}입니다. ")),
    "plate": (car_plate, ("차량번호 {v} 차주입니다. ", "제 차는 {v}입니다. ")),
}
"""Kind → how it is invented, and the sentences in which people give it away."""


def personal_lead_in(kind: str, rng: random.Random) -> str:
    """A sentence that gives away personal data of this kind."""
    invent, sentences = PERSONAL_DATA[kind]
    return rng.choice(sentences).format(v=Word(invent(rng)))


def near_copy(question: str, answer: str, rng: random.Random) -> tuple[str, str]:
    """Question and answer as somebody typed them a second time: punctuation, spacing, a syllable or a word is off."""
    stem = answer.rstrip(".")
    match rng.randrange(6):
        case 0:
            return question, stem + rng.choice(("", "!", " .", "~", ".."))
        case 1:
            return question.rstrip("?.") + rng.choice(("", "??", "...", " ?")), answer
        case 2:
            gap = rng.choice([index for index, character in enumerate(question) if character == " "])
            return question[:gap] + rng.choice(("", "  ")) + question[gap + 1 :], answer
        case 3 | 4:
            return rng.choice(("혹시 ", "저, ", "네, ")) + question, answer
        case _:
            return question, stem[:-1] + "당." if stem.endswith("다") else stem
