"""Addresses of places where somebody lives or works: road names with a building number, and lots.

    서울특별시 강남구 테헤란로 123, 4층          경기도 성남시 분당구 판교역로 166 101동 1203호
    서울 종로구 세종로 1-68번지                 123, Teheran-ro, Gangnam-gu, Seoul

A place name alone is no address, nor is a road with a length (`경부고속도로 123km`). A lot that the words around treat as
land (`지번`, `필지`, `임야`, `편입`) is nobody's address, unless somebody lives there.
"""

import re

from contracts.enums import PersonalDataKind
from data_prep.masking.recogniser import Candidate, Find, KoreanRecogniser, form
from data_prep.masking.regions import DISTRICTS, PROVINCES_IN_FULL, PROVINCES_IN_SHORT

_REACH = 48
"""Characters before the name of a road or village that a region can take."""


def _alternatives(words: list[str]) -> str:
    return "|".join(sorted(set(words), key=lambda word: (-len(word), word)))


_PROVINCE = rf"(?:(?:{_alternatives(PROVINCES_IN_FULL)})[\s,]{{0,2}}|(?:{_alternatives(PROVINCES_IN_SHORT)})(?:[\s,]{{1,2}}|(?=(?:{_alternatives(DISTRICTS)}))))"
_DISTRICT = rf"(?:(?:{_alternatives(DISTRICTS)})[\s,]{{0,2}})"
_ANY_DISTRICT = r"(?:[가-힣]{1,4}[시군구][\s,]{1,2})"
_SHORT_DISTRICT = (
    rf"(?:(?:{_alternatives([name[:-1] for name in DISTRICTS if len(name) >= 3 and name[-1] in '시군구'])})\s)"
)
_VILLAGE = r"(?:[가-힣]{1,5}[0-9]{0,2}(?:읍|면|동|리|가)[\s,]{1,2}){0,2}"
_FIRSTS = "".join(sorted({word[0] for word in [*PROVINCES_IN_FULL, *PROVINCES_IN_SHORT, *DISTRICTS]}))
_ZIP = r"(?:(?<![0-9-])\(?우?\)?\s?[0-9]{5}\)?[\s,]{1,2})?"
_REGION = rf"(?=[{_FIRSTS}])(?:{_PROVINCE}(?:{_DISTRICT}|{_ANY_DISTRICT}|{_SHORT_DISTRICT}){{0,2}}|{_DISTRICT}{{1,2}})"
_BEFORE = r"(?:(?<![가-힣])|(?<=[은는이가도]))"

_WITH_REGION = re.compile(rf"{_ZIP}{_BEFORE}(?P<region>{_REGION}){_VILLAGE}(?P<name>[가-힣A-Za-z0-9·.]{{0,12}})$")
_REGION_BEFORE_FLAT = re.compile(rf"{_ZIP}{_BEFORE}{_REGION}{_VILLAGE}(?:[가-힣A-Za-z0-9]{{1,12}}[\s,]{{1,2}}){{0,4}}$")
_NAME_ALONE = re.compile(r"(?<![가-힣])(?:[가-힣]{2,4}(?:시|군|구)\s)?(?P<name>[가-힣][가-힣0-9·]{0,9})$")

_NO_ROAD = re.compile(
    r"(?:고속도|국도|지방도|국지도|차도|철도|순환도|화도|인도|도|으|새|바|서|별|그대|따|홀|스스|마음대|이대|절대|앞으|뒤|위|아래|함부|진|실제|전체|주|경|항|통|선|미|폐|진입|회|피|수|보|달러|카드|계좌|전화|이메일|문자|번호|단위|순서|차례|자리|가지|유로|최대|최소)$"
)
"""Ends of words in `…로` that name no road with houses; `도로`, `경로`, `진로` among them."""
_REAL_ROAD = re.compile(r"(?:대|[가-힣]{2,}[경선주통미진수보회])$")

_UNIT = re.compile(
    r"\s?(?:m(?![a-z])|미터|㎞|km|킬로|차로|차선|개(?:소|월|의|\s|$)|만|센트|달러|유로|엔(?![가-힣])|구간|호선|번(?!지|길)|월|억|만|천|천원|%|％|배|㎡|평(?:[^가-힣]|$)|톤|세대|가구|필지|단계|"
    r"주년|년|퍼센트|포인트|회(?!관)|건(?!물)|명|원(?!룸)|(?:일|시|분|초|점|위|대|조|항|호|살|세|층)(?=[에은는이가을를로도까부와과만씩의,.)\s]|$)(?!\s?\d))",
    re.IGNORECASE,
)
_LAND = re.compile(
    r"지번|필지|토지|임야|지목|편입|용지|부지|공유지|국유지|대지|㎡|면적|지적|수용|보상|노선|구간|사업지|구역|공사|고시|하천|구거|전답|농지|묘지|측량|감정"
)
_LAND_BEHIND = re.compile(
    r"(?:번지)?\s?(?:,\s?)?(?:일원|일대|외\s?[0-9]*\s?필지|필지|임야|[전답대](?=[\s,)]|$)|도로|하천|구거|잡종지|\([전답대]\)|지상|[0-9,.]+\s?㎡)"
)
_HOME = re.compile(
    r"주\s{0,8}소|거주|체류지|농사를?\s?(?:짓|지[어으])|(?<![가-힣])(?:살(?:고|아|았|던|며|면서)|사는)|산다|삽니다|자택|집은|집이|우리\s?집|저희\s?집|본가|배송|배달|택배|수령|받는|받을|받으실|우편|이사|전입|본적|등록\s?기준지|소재지|직장|근무지|"
    r"방문|찾아오|보내|발송|address|거소|연고지|숙소|출장\s?AS|설치\s?장소|고객|댁|사무실"
)
_ADDRESS_LABEL = re.compile(
    r"(?:주소|거주지|배송지|수령지|자택|소재지|받는\s?곳|사는\s?곳|본적|거소|address)(?:지|란|명)?\s?(?:은|는|이|가|:|：|=|\||-|\))?\s{0,2}$",
    re.IGNORECASE,
)
_HOME_BEHIND = re.compile(
    r".{0,12}?(?:에\s?살|에\s?사는|거주|(?:으)?로\s?(?:보내|배송|배달|이사|발송|부쳐)|에\s?있는\s?(?:집|자택)|번지)"
)

_HOUSE = (
    "아파트|APT|빌딩|타워|오피스텔|빌라|맨션|하이츠|하우스|팰리스|팔레스|프라자|플라자|상가|캐슬|자이|푸르지오|래미안|힐스테이트|아이파크|이편한세상|e편한세상|"
    "더샵|주공|SK뷰|센트럴|파크|단지|연립|주택|원룸|고시원|기숙사|회관|센터|스퀘어|몰|마을|빌|뷰|건물|별관|본관"
)
_FLAT = r"(?:제?\s?[0-9A-Za-z가나다라]{1,4}동[\s,]{0,2})?(?:지하\s?)?[Bb]?[0-9]{1,5}호(?!선|점|기|차|봉)"
_DETAIL = re.compile(
    rf"[\s,]{{0,3}}(?:"
    rf"\((?=[^)]*[동리가읍면,빌아타오])[가-힣0-9A-Za-z ,·.\-]{{2,40}}\)"
    rf"|(?:지하|지상|B|제)?\s?[0-9]{{1,3}}층(?:\s?[0-9]{{1,4}}호)?"
    rf"|{_FLAT}"
    rf"|제?\s?[0-9]{{1,4}}동(?![가-힣])"
    rf"|[0-9]{{1,3}}통(?:\s?[0-9]{{1,3}}반)?"
    rf"|[0-9]{{1,4}}\s?동\s?[0-9]{{1,5}}(?:호)?(?![0-9])"
    rf"|[가-힣A-Za-z0-9]{{1,12}}(?:{_HOUSE})(?:\s?[0-9]{{1,3}}차)?(?:\s?[0-9]{{1,2}}단지)?(?![가-힣])"
    rf"|[가-힣A-Za-z0-9]{{1,12}}(?:{_HOUSE})(?=\s?(?:제?\s?[0-9A-Za-z]{{1,4}}동|[0-9]{{1,4}}호|[에으로을를은는의이가]))"
    rf"|[가-힣A-Za-z]{{2,10}}\s?(?=[0-9]{{1,4}}동\s?[0-9]{{1,5}}호)"
    rf"|[0-9]{{1,4}}-[0-9]{{1,5}}(?:호)?(?![0-9-])"
    rf")"
)
_HOUSE_BEFORE = re.compile(rf"[가-힣A-Za-z0-9]{{1,12}}(?:{_HOUSE})\s?(?:[0-9]{{1,2}}(?:차|단지)\s?)?$")
_ENGLISH_REST = r"(?:,?\s?[A-Za-z0-9-]+-(?:beon-gil|gil|dong|ri|myeon|eup|gu|gun|si|do)(?![A-Za-z])|,?\s?(?:Seoul|Busan|Daegu|Incheon|Gwangju|Daejeon|Ulsan|Sejong|Jeju)(?![A-Za-z])|,?\s?(?:Republic of Korea|South Korea|Korea))"


def address_recogniser() -> KoreanRecogniser:
    """The recogniser of addresses."""
    return KoreanRecogniser(
        "KoreanAddresses",
        [PersonalDataKind.ADDRESS],
        [
            r"[가-힣0-9](?:로|길)\s?(?:[0-9]{1,4}\s?(?:번|[가-하])?길\s?)?(?:지하\s?)?[0-9]",
            r"[가-힣0-9](?:동|리|가|읍|면)\s?(?:산\s?)?[0-9]{1,4}\s?[-번 ,.]",
            r"[가-힣0-9](?:동|리|가)\s?(?:산\s?)?[0-9]{1,4}(?:[^0-9]|$)",
            r"[0-9]\s?동\s?[0-9]{2,5}\s?호",
            r"(?i)-(?:ro|gil|daero)[ ,0-9]",
            r"사서함\s?[0-9]",
        ],
        [
            form(
                r"(?:로|길)(?P<branch>\s?[0-9]{1,4}\s?(?:번|[가나다라마바사아])?길)?\s?(?:지하\s?)?(?P<number>[0-9]{1,5}(?:\s?-\s?[0-9]{1,4})?)(?![0-9])(?!가(?:[\s0-9]|$))(?![.,][0-9])(?!\s?-\s?[0-9])",
                _judge_road,
            ),
            form(
                r"(?:(?<=[가-힣])(?:동|리|가|읍|면)|(?<=[0-9])(?:동|가))\s?(?P<hill>산\s?)?(?P<number>[0-9]{1,4}(?:\s?-\s?[0-9]{1,4})?)(?P<unit>\s?번지)?(?![0-9])(?![.,:~][0-9])(?!-[0-9])",
                _judge_lot,
            ),
            form(
                r"(?<![0-9가-힣])(?:제\s?)?[0-9]{2,4}\s?동\s?[0-9]{2,5}\s?호(?!선|점)",
                _judge_flat,
            ),
            form(
                rf"(?<![A-Za-z0-9-])(?:[A-Za-z0-9#]{{1,6}}(?:-(?:dong|ho)|F)?,\s?){{0,3}}[0-9]{{1,4}}(?:-[0-9]{{1,4}})?,?\s(?:[A-Za-z0-9]+(?:-[a-z]+)?-(?:ro|gil|daero))(?:\s?[0-9]+(?:beon)?-gil)?(?![A-Za-z]){_ENGLISH_REST}{{1,5}}(?:\s?[0-9]{{5}})?",
                lambda found: _address(found.start, found.end, 0.85),
            ),
            form(
                r"[가-힣]{2,8}우체국\s?사서함\s?(?:제\s?)?[0-9]{1,5}(?:-[0-9]+)?호?",
                lambda found: _address(found.start, found.end, 0.7),
            ),
        ],
        core="[0-9]",
    )


def _address(start: int, end: int, score: float) -> Find:
    return Find(PersonalDataKind.ADDRESS, start, end, score)


def _end_of_details(text: str, end: int) -> int:
    """Where the building, its floor and its flat end."""
    for _ in range(5):
        detail = _DETAIL.match(text, end)
        if detail is None:
            break
        end = detail.end()
    return end


def _judge_road(found: Candidate) -> Find | None:
    text, core = found.text, found.start
    window = text[max(0, core - _REACH) : core]
    offset = core - len(window)
    end = found.end
    lot = re.compile(r"\s?번지").match(text, end)
    details = _end_of_details(text, lot.end() if lot else end)
    if lot is None and details == end and _UNIT.match(text, end):
        return None
    with_region = _WITH_REGION.search(window)
    if with_region is not None:
        name = with_region["name"]
        if not name or _is_no_road(name):
            return None
        if re.match(r"\s?(?:부터|까지|에서\s.{1,20}(?:구간|까지)|~)", text[end : end + 30]):
            return None
        return _address(offset + with_region.start(), details, 0.9)
    alone = _NAME_ALONE.search(window)
    if alone is None or _is_no_road(alone["name"]) or len(alone["name"]) < 2:
        return None
    labelled = _ADDRESS_LABEL.search(window[: alone.start()]) is not None
    behind = _HOME_BEHIND.match(text[details : details + 24]) is not None
    home = behind or _HOME.search(window[: alone.start()]) is not None
    detailed = details > end and re.search(r"층|호|동", text[end:details]) is not None
    if labelled or behind or detailed or (home and found.match["branch"]):
        return _address(offset + alone.start(), details, 0.7)
    return None


def _is_no_road(name: str) -> bool:
    return _NO_ROAD.search(name) is not None and _REAL_ROAD.search(name) is None


def _judge_lot(found: Candidate) -> Find | None:
    text, core, end = found.text, found.start, found.end
    numbered = "-" in found.match["number"] or found.match["unit"] is not None
    window = text[max(0, core - _REACH) : core]
    offset = core - len(window)
    details = _end_of_details(text, end)
    if not numbered and details == end and _UNIT.match(text, end):
        return None
    with_region = _WITH_REGION.search(window)
    around = text[max(0, core - 40) : core] + "\n" + text[details : details + 20]
    lives = _HOME.search(around) is not None
    land = (
        found.match["hill"] is not None
        or _LAND.search(around) is not None
        or _LAND_BEHIND.match(text[end : end + 16]) is not None
    )
    if land and not lives:
        return None
    if with_region is not None and with_region["name"]:
        if not numbered and details == end:
            # a bare number behind a village: the usual way to shorten, also of `역삼동 3`
            if not re.search(r"(?:동|리|가)$", text[: core + 1]) or len(found.match["number"]) < 2:
                return None
            return _address(offset + with_region.start(), end, 0.7)
        return _address(offset + with_region.start(), details, 0.88)
    alone = _NAME_ALONE.search(window)
    if alone is None or len(alone["name"]) < 2:
        return None
    labelled = _ADDRESS_LABEL.search(window[: alone.start()]) is not None
    behind = _HOME_BEHIND.match(text[details : details + 24]) is not None
    if numbered and (labelled or ((lives or behind) and found.match["unit"] is not None)):
        return _address(offset + alone.start(), details, 0.7)
    return None


def _judge_flat(found: Candidate) -> Find | None:
    """A flat in a building, with the building's name or where the words around speak of living."""
    region = _REGION_BEFORE_FLAT.search(found.before(_REACH))
    if region is not None:
        return _address(found.start - len(region[0]), found.end, 0.88)
    house = _HOUSE_BEFORE.search(found.before(24))
    if house is not None:
        return _address(found.start - len(house[0]), found.end, 0.75)
    if _HOME.search(found.before(30) + "\n" + found.after(20)):
        return _address(found.start, found.end, 0.75)
    return None
