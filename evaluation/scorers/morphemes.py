"""A text's morphemes by mecab-ko: what words are made of, without marks, and where wanted without particles."""

from functools import cache, lru_cache
from typing import Any

from evaluation.scorers.normal_form import normal_form

_MARKS = frozenset({"SF", "SP", "SS", "SE", "SO", "SW", "SC", "SY", "SSO", "SSC"})
_CASE_PARTICLES = frozenset({"JKS", "JKC", "JKG", "JKO", "JKB"})
_TOPIC_PARTICLES = frozenset({"은", "는", "ᆫ"})
_COPULA_AND_ENDINGS = frozenset({"VCP", "EP", "EF", "EC"})
_PARTICLES_AND_ENDINGS = frozenset(
    {"JKS", "JKC", "JKG", "JKO", "JKB", "JKV", "JKQ", "JX", "JC", "VCP", "EP", "EF", "EC", "ETN", "ETM"}
)


@lru_cache(maxsize=4096)
def morphemes(text: str) -> tuple[str, ...]:
    """Of the text's normal form, in order, particles and endings too; a compound noun as its parts."""
    return tuple(surface for surface, _ in _tagged(text))


@lru_cache(maxsize=4096)
def content_morphemes(text: str) -> tuple[str, ...]:
    """Those that carry meaning: without particles, copula and endings."""
    return tuple(surface for surface, tag in _tagged(text) if not set(tag.split("+")) <= _PARTICLES_AND_ENDINGS)


@lru_cache(maxsize=4096)
def without_case_particles(text: str) -> str:
    """The text joined, without particles that only mark a noun's part in the sentence, nor an ending at its end.

    `만`, `까지`, `부터`, `와`, `나` say something and stay; so does `의` before a number (`제14조의2`).
    """
    tagged = _tagged(text)
    while tagged and set(tagged[-1][1].split("+")) <= _COPULA_AND_ENDINGS:
        tagged.pop()
    kept = []
    for index, (surface, tag) in enumerate(tagged):
        following = tagged[index + 1][1] if index + 1 < len(tagged) else ""
        marks_only = tag in _CASE_PARTICLES or (tag == "JX" and surface in _TOPIC_PARTICLES)
        numbers_an_article = following == "SN" and index > 0 and tagged[index - 1][0] in {"조", "항", "호"}
        if marks_only and index > 0 and not numbers_an_article:
            continue
        kept.append(surface)
    return "".join(kept)


def _tagged(text: str) -> list[tuple[str, str]]:
    """Surface and tag of each morpheme; marks are left out, save those that belong to a number."""
    tagged: list[tuple[str, str]] = []
    inside_number = False
    for morpheme in _reader().parse(normal_form(text)):
        surface, tag, feature = morpheme.surface, morpheme.feature.pos, morpheme.feature
        if surface == "." and tagged:
            # in a normal form only the point of a decimal
            inside_number = True
        elif inside_number:
            tagged[-1] = (f"{tagged[-1][0]}.{surface}", tagged[-1][1])
            inside_number = False
        elif feature.type == "Compound" and feature.expression:
            parts = [part.split("/") for part in feature.expression.split("+")]
            tagged += [(part[0], part[1]) for part in parts]
        elif tag not in _MARKS or surface in {"%", "~", "+"}:
            tagged.append((surface, tag))
    return tagged


@cache
def _reader() -> Any:
    import mecab

    return mecab.MeCab()
