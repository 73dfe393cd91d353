"""Names in running text, of many texts at once: the gate, then the sentences it lets through, then the model."""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from data_prep.masking.name_gate import SHORT, NameGate
from data_prep.masking.name_model import NameModel, open_name_model
from data_prep.masking.name_signs import may_hold_names
from data_prep.masking.names import FoundName, find_names, is_name, is_ordinary

FindNames = Callable[[Sequence[str]], list[list[FoundName]]]

SURE = 0.9
"""Probability from which a name is masked in the whole row."""
_MASKED = re.compile("\1+")
_STAND_IN = "홍길동"
"""What the model reads where a token hides personal data: the words around it read as they did before."""
_BEHIND_SURNAME = frozenset(" (씨모군양")
_BEHIND_SEAWEED = re.compile(
    r"[(씨모군양]|\s(?:씨|모|군|양|전\s|前|현\s|[가-힣]{0,3}(?:대통령|총리|장관|차관|의원|위원|총재|총장|회장|사장|대표|이사|부장|팀장|실장|국장|"
    r"후보|당선인|대변인|감독|코치|선수|배우|가수|작가|기자|아나운서|교수|박사|선생|변호사|판사|검사|경사|경위|경장|순경|대사|시장|지사|수석|"
    r"목사|신부|간호사|대리|과장|[병중하상]사|병장|상병|일병|이병|대위|중위|소위|대령|중령|소령|할머니|할아버지|여사|셰프))"
)
"""`김` is dried seaweed too: what may stand behind the name alone."""
_AHEAD = 8
_COMPOUND = (1, 2, 3)
"""Syllables behind a name with which it is one ordinary word: `유리천장`, `이동편의`."""
_BRANCH = re.compile(
    "업소|지사(?!님)|지점|나들목|분기점|요금소|휴게소|터널|쉼터|획부|사무소|본부|센터|공장|병원|학교|대학|경찰서|[구시군도]청|공항|대교|산업|건설|전자|은행"
)
"""A place name with it begins like a name and is none: `김천나들목`, `조경기획부`."""
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|\n+")


def name_finder(folder: str | None) -> FindNames:
    """Finds names by their surroundings and by the model that ships, or by the larger one of a folder in its place."""
    if folder is None:
        return beside_rules(_shipped)
    from data_prep.masking.larger_model import open_larger_model

    return beside_rules(open_larger_model(folder))


def beside_rules(read: FindNames) -> FindNames:
    """What the rules find and what `read` finds; their spans may overlap."""

    def find(texts: Sequence[str]) -> list[list[FoundName]]:
        return [
            _together(list(find_names(text)) if signs else [], found)
            for text, signs, found in zip(texts, may_hold_names(texts), read_around_masks(read, texts), strict=True)
        ]

    return find


def _together(by_rule: list[FoundName], by_model: Sequence[FoundName]) -> list[FoundName]:
    """A rule that found more than the model there is right: `신청인: 김 철 수`."""
    return by_rule + [
        name
        for name in by_model
        if all(
            name.end <= rule.start or name.start >= rule.end or name.end - name.start >= rule.end - rule.start
            for rule in by_rule
        )
    ]


def read_around_masks(read: FindNames, texts: Sequence[str]) -> list[list[FoundName]]:
    """What `read` finds in shadows, with a name read in place of each token; nothing that touches a token."""
    plain = [text for text in texts if "\1" not in text]
    found = iter(read(plain))
    return [_read_masked(read, text) if "\1" in text else next(found) for text in texts]


def _read_masked(read: FindNames, text: str) -> list[FoundName]:
    """With the offsets of the text, whose tokens are longer or shorter than what stands in for them."""
    masks = [match.span() for match in _MASKED.finditer(text)]
    places = list(range(len(text) + 1))
    for start, end in reversed(masks):
        places[start:end] = [-1] * len(_STAND_IN)
    found = read([_MASKED.sub(_STAND_IN, text)])[0]
    return [
        FoundName(places[name.start], places[name.end - 1] + 1, name.score, name.spreads)
        for name in found
        if -1 not in places[name.start : name.end]
    ]


def _shipped(texts: Sequence[str]) -> list[list[FoundName]]:
    return read_marked(texts, *open_name_model())


def read_marked(texts: Sequence[str], gate: NameGate, model: NameModel) -> list[list[FoundName]]:
    """What the model finds in the sentences that the gate marks."""
    sentences: list[str] = []
    origins: list[tuple[int, int]] = []
    for number, (text, places) in enumerate(zip(texts, gate.places(texts), strict=True)):
        if places:
            for start, end in _sentences_around(text, places):
                sentences.append(text[start:end])
                origins.append((number, start))
    found: list[list[FoundName]] = [[] for _ in texts]
    for (number, shift), sentence, names in zip(origins, sentences, model.find(sentences), strict=True):
        for name in names:
            written = sentence[name.start : name.end]
            if _may_be_name(written, sentence[: name.end], sentence[name.end : name.end + _AHEAD]):
                found[number].append(
                    FoundName(name.start + shift, name.end + shift, name.score, _spreads(written, name.score))
                )
    return found


def _may_be_name(written: str, up_to: str, behind: str) -> bool:
    """No ordinary word is a name, nor an end or a beginning of one, nor the beginning of a branch's name; a surname alone has a title behind it."""
    if len(written) == 1 and "가" <= written <= "힣" and behind[:1] not in _BEHIND_SURNAME:
        return False
    if written == "김" and not _BEHIND_SEAWEED.match(behind):
        return False
    if any(is_ordinary(written + behind[:size]) for size in _COMPOUND):
        return False
    if " " in written:
        return not is_ordinary(written) and not is_ordinary(written.partition(" ")[0])
    whole = up_to.rsplit(" ", 1)[-1]
    if _BRANCH.search(whole[2:] + behind.partition(" ")[0]):
        return False
    return not is_ordinary(written) and not is_ordinary(whole)


def _spreads(written: str, score: float) -> bool:
    """Sure enough to be masked wherever else it stands in the row; a surname alone never is."""
    return len(written) >= 3 and score >= SURE and is_name(written)


def _sentences_around(text: str, places: Sequence[int]) -> list[tuple[int, int]]:
    if len(text) <= SHORT:
        return [(0, len(text))]
    edges = [0, *(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]
    found: list[tuple[int, int]] = []
    remaining = iter(places)
    place = next(remaining, None)
    for start, end in pairwise(edges):
        if place is not None and place < end:
            found.append((start, end))
            while place is not None and place < end:
                place = next(remaining, None)
    return found
