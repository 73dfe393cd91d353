"""Korean particles: the form that fits the word before them, as it is read aloud."""

PARTICLES: dict[str, tuple[str, str]] = {
    "은": ("은", "는"),
    "이": ("이", "가"),
    "을": ("을", "를"),
    "과": ("과", "와"),
    "으로": ("으로", "로"),
    "이나": ("이나", "나"),
    "이라": ("이라", "라"),
}
"""Particle name (the form after a final consonant) → form after a final consonant, form after a vowel."""

# Final consonants of the digits as read in Sino-Korean: 영, 일, 이, 삼, 사, 오, 육, 칠, 팔, 구.
_DIGIT_FINALS = {
    "0": "ㅇ", "1": "ㄹ", "2": "", "3": "ㅁ", "4": "", "5": "", "6": "ㄱ", "7": "ㄹ", "8": "ㄹ", "9": "",
}  # fmt: skip
# Letter names that end in a consonant: 엘, 엠, 엔, 알. All others end in a vowel (에이, 비, 시, …).
_LETTER_FINALS = {"l": "ㄹ", "m": "ㅁ", "n": "ㄴ", "r": "ㄹ"}
_FIRST_SYLLABLE, _LAST_SYLLABLE = 0xAC00, 0xD7A3
_FINALS_PER_VOWEL = 28
_FINAL_RIEUL = 8


def final_consonant(word: str) -> str:
    """The consonant the word ends in when read aloud: `""` for a vowel, `"ㄹ"` for rieul, another sign for the rest.

    Brackets, quotation marks and punctuation at the end are not read. Raises ValueError when nothing is left.
    """
    for character in reversed(word):
        if _FIRST_SYLLABLE <= ord(character) <= _LAST_SYLLABLE:
            final = (ord(character) - _FIRST_SYLLABLE) % _FINALS_PER_VOWEL
            return "" if final == 0 else "ㄹ" if final == _FINAL_RIEUL else "ㅇ"
        if character in _DIGIT_FINALS:
            return _DIGIT_FINALS[character]
        if character.isascii() and character.isalpha():
            return _LETTER_FINALS.get(character.lower(), "")
    raise ValueError(f"no particle can follow {word!r}: it holds no syllable, digit or letter to read")


def with_particle(word: str, particle: str) -> str:
    """The word with the particle in the form that fits: `with_particle("서식", "을")` is `서식을`."""
    if particle not in PARTICLES:
        raise ValueError(f"unknown particle {particle!r}: allowed are {', '.join(PARTICLES)}")
    final = final_consonant(word)
    after_consonant, after_vowel = PARTICLES[particle]
    reads_as_vowel = not final or (particle == "으로" and final == "ㄹ")
    return word + (after_vowel if reads_as_vowel else after_consonant)


class Word(str):
    """A word whose format specification is a particle: `"{e:을} 신청합니다.".format(e=Word("환불"))`."""

    __slots__ = ()

    def __format__(self, particle: str) -> str:
        return with_particle(str(self), particle) if particle else str(self)
