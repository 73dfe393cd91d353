"""May a generated sample be learned from? Each rule names its fault; the first one that speaks decides."""

import re
import unicodedata
from dataclasses import dataclass

from contracts.enums import QuestionTemplate, SampleFault
from contracts.generation import GenerateRequest
from data_prep.generation.grounding import Source, grounding, unsupported_numbers
from data_prep.generation.templates import Candidate, Question
from data_prep.normalisation import comparable

_REFERS = re.compile(
    r"(?:이|위|위의|아래|아래의|본|해당|주어진|제시된|제공된)\s?(?:문서|본문|글|글에서|내용|자료|지문|텍스트|문단|구절)(?=[에은는이가을를의과와로상 ,.?]|$)"
    r"|본문(?:에|의|에서|을|상)|지문에"
)
_PLACEHOLDERS = frozenset({"질문", "답변", "요약문", "근거구절", "question", "answer", "summary", "evidence"})
_COPY_CHARACTERS = 18
"""A run of this many letters of the instructions is no accident: a sample's own words meet none."""
_WHOLE_PASSAGE_SHARE = 0.7
_WHOLE_PASSAGE_CHARACTERS = 120
"""Shorter passages may be answered with all they say."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the checks said of a sample."""

    fault: SampleFault | None
    grounding: float
    detail: str = ""
    """Never quotes the sample."""


def check_candidate(candidate: Candidate, question: Question, source: Source, request: GenerateRequest) -> Verdict:
    """The verdict on a sample's own text; quality and duplicates are judged on the rows that are made of it."""
    is_summary = question.template is QuestionTemplate.SUMMARY
    texts = [text for turn in candidate.turns for text in (turn[1:] if is_summary else turn)]
    if not all(comparable(text) for text in texts):
        return Verdict(SampleFault.EMPTY, 0.0)
    if any(comparable(text) in _PLACEHOLDERS for text in texts) or _copies(texts, question.instructions):
        return Verdict(SampleFault.COPIES_PROMPT, 0.0, "repeats the instructions")
    if any(_is_whole(text, question.passage.text) for text in texts):
        return Verdict(SampleFault.COPIES_PROMPT, 0.0, "repeats the whole passage")
    share = min(korean_share(text) for text in texts)
    if share < request.min_korean_share:
        return Verdict(SampleFault.WRONG_LANGUAGE, 0.0, f"{share:.2f} of the letters are Hangul")
    if not is_summary and any(_REFERS.search(asked) for asked, _ in candidate.turns):
        return Verdict(SampleFault.REFERS_TO_PASSAGE, 0.0)
    grounded = min(grounding(asked, answer, source) for asked, answer in candidate.turns)
    numbers = sum(len(unsupported_numbers(text, source)) for text in texts)
    if numbers:
        return Verdict(SampleFault.WRONG_NUMBER, grounded, f"{numbers} numbers do not stand in the passage")
    if grounded < request.min_grounding:
        return Verdict(SampleFault.NOT_GROUNDED, grounded, f"grounding {grounded:.2f}")
    return Verdict(None, grounded)


def korean_share(text: str) -> float:
    """Share of Hangul among the letters; a text without letters (`15%`) counts as Korean."""
    letters = [letter for letter in text if letter.isalpha()]
    return sum("가" <= letter <= "힣" for letter in letters) / len(letters) if letters else 1.0


def evidence_span(evidence: str, passage: str) -> tuple[int, int] | None:
    """Where the quoted words stand in the passage, whatever the white space between them; None where they do not."""
    words = unicodedata.normalize("NFC", evidence).split()
    if not words:
        return None
    found = re.search(r"\s*".join(re.escape(word) for word in words), passage)
    return found.span() if found else None


def _copies(texts: list[str], instructions: str) -> bool:
    written = comparable(instructions)
    return any(
        compared[start : start + _COPY_CHARACTERS] in written
        for compared in map(comparable, texts)
        for start in range(len(compared) - _COPY_CHARACTERS + 1)
    )


def _is_whole(text: str, passage: str) -> bool:
    """The text is the passage, word for word, or most of it."""
    compared, whole = comparable(text), comparable(passage)
    return (
        len(compared) >= _WHOLE_PASSAGE_CHARACTERS
        and len(compared) >= _WHOLE_PASSAGE_SHARE * len(whole)
        and (compared in whole or whole in compared)
    )
