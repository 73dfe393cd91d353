"""Whether an answer is a whole answer: not broken off, not a refusal."""

import re

from data_prep.traces import Trace

TRUNCATED_CHARACTERS = 30
"""Shorter answers without an ending are titles and names, not broken-off sentences."""

_ENDING = re.compile(r"(?:[다요죠까음함임됨것오네라지][.!?~…]*|[.!?…:]|[)\]」』”\"'`|>])\s*$")
_PROSE = re.compile(r"[다요죠까음함임됨][.!?]")
_CUT = re.compile(
    r"(?:[,·(\[「『“]"
    r"|(?:하고|하며|되며|이며|으며|면서|으나|지만|는데|므로|으므로|아서|어서|하여|되어|려고|도록|거나|인데|니까|으면|다면|하면|되면)"
    r"|[가-힣]{2,}(?:을|를|은|는|에서|에게|으로|과|와|의|에|및|또는)"
    r"|(?:및|또는|그리고|그러나|하지만|또한|따라서|있|없|하|되|합니|입니|습니))$"
)
_NAMES = re.compile(
    r"(?:마을|가을|노을|결과|효과|사과|초과|통과|학과|성과|교과|부과|회의|협의|동의|문의|정의|주의|강의|합의|논의|심의|결의|건의|유의|기와|관계|최대|하나)$"
)

_REFUSAL = re.compile(
    r"(?:답변|답|대답|응답)[을를은는이가]?\s?(?:해\s?)?(?:드릴|드리기|줄|할|하기)\s?(?:수\s?(?:가\s?)?없|어렵|곤란|힘들)"
    r"|(?:제공|안내|설명|말씀)[을를은는]?\s?(?:해\s?)?(?:드릴|드리기)\s?(?:수\s?(?:가\s?)?없|어렵|곤란|힘들)"
    r"|도와\s?드릴\s?수\s?없|도움을\s?드릴\s?수\s?없"
    r"|(?:AI|인공지능|언어)\s?(?:언어\s?)?(?:모델|비서|어시스턴트)(?:로서|이기\s?때문|이므로|이라서|라서|일\s?뿐)"
    r"|요청(?:은|을|에는?)?\s?(?:따를|수행할|응할|처리할|들어드릴)\s?수\s?없"
    r"|\bI(?:['’]m|\s+am)\s+(?:sorry|unable|not\s+able)\b|\bI\s+can(?:['’]t|not)\s+(?:help|assist|provide|answer|comply)"
    r"|\bAs\s+an\s+AI\b",
    re.IGNORECASE,
)
_REFUSAL_STEMS = (
    "답",
    "도움",
    "도와",
    "제공",
    "응답",
    "안내",
    "AI",
    "인공지능",
    "모델",
    "요청",
    "sorry",
    "unable",
    "can",
)
_REFUSAL_CHARACTERS = 200
"""A refusal says so at once; far behind, the same words speak of something else."""


REFUSAL = Trace(
    pairs=[
        *("수없", "가없", "어렵", "곤란", "힘들", "모델", "비서", "어시"),
        *("so", "sO", "So", "SO", "ſo", "ſO", "un", "uN", "Un", "UN", "no", "nO", "No", "NO"),
        *("ca", "cA", "Ca", "CA", "ai", "aI", "Ai", "AI", "aı", "Aı", "aİ", "Aİ"),
    ]
)
"""What every refusal shows."""

TRUNCATED = 0.4
"""The completeness of an answer that breaks off."""
_CERTAIN_ENDS = tuple(".!?…:)]」』”\"'`|>")


def has_ending(answer: str) -> bool:
    """The answer ends as a Korean sentence does, in punctuation, or in a closing bracket."""
    return answer.endswith(_CERTAIN_ENDS) or _ENDING.search(answer[-40:]) is not None


def is_truncated(answer: str) -> bool:
    """The answer breaks off: in the middle of a code block, after a comma, a particle or a connective."""
    text = answer.rstrip()
    if text.count("```") % 2:
        return True
    last = text[text.rfind("\n") + 1 :]
    if len(text) < TRUNCATED_CHARACTERS or (has_ending(text) and not last.endswith(("합니", "입니", "습니"))):
        return False
    if _NAMES.search(last):
        return False
    if _CUT.search(last[-40:]):
        return True
    # prose that goes on after a sentence and stops without an end; a last line of its own may be a heading or a name
    if not last[-1].isalnum():
        return False
    return _PROSE.search(last) is not None or (len(last) >= TRUNCATED_CHARACTERS and _PROSE.search(text) is not None)


def is_refusal(answer: str) -> bool:
    """The answer says that it will not or cannot answer."""
    start = answer[:_REFUSAL_CHARACTERS]
    return any(stem in start for stem in _REFUSAL_STEMS) and _REFUSAL.search(start) is not None


def completeness(answer: str) -> float:
    """1 for a whole sentence; 0.7 without an ending, 0.4 when broken off."""
    if is_truncated(answer):
        return TRUNCATED
    return 1.0 if has_ending(answer) else 0.7
