"""How likely a text insults or hates: n-grams of characters and of their letters, hashed, weighed linearly.

    x_i = idf_i · count_i / √(1000 + Σ count_j · idf_j²)      over the n-grams i of a window of the text
    toxicity(window) = 1 / (1 + exp(-(w·x + b)))               toxicity(text) = the greatest of its windows

The scale is set by harmless texts of other sets than the weights were fitted to: HALF_ALARMS of them reach 0.5 and
FLAGGED_ALARMS reach 0.7 (data_prep.quality.train). The 1000 (some twenty n-grams' worth) keeps a text of one word near
the middle.

The n-grams are those of 1 to 4 characters and of 3 to 6 letters (jamo): the letters see through `시1발`-like spellings
and inflection. A slot of the table is a hash, so that the weights hold no word of the texts they were trained on.
A text is judged in windows of about 45 characters that overlap by two thirds: in a window of 120, none of the 122 hateful
comments of BEEP! dev was still found when it stood in the middle of an official text. The weights ship in `weights/toxicity.npz`; see `weights/NOTICE` and
`python -m data_prep.quality.train`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy
from numpy.typing import NDArray

from data_prep.code_points import FIRST_SYLLABLE, LAST_SYLLABLE, SEPARATOR, CodePointArray, code_points, is_syllable
from data_prep.compiled import compiled

WEIGHTS_FILE = Path(__file__).parent / "weights" / "toxicity.npz"
BITS = 18
SLOTS = 1 << BITS
CELL_CHARACTERS = 15
WINDOW_CELLS = 3
"""A window is three cells; the next one begins a cell later."""
NORM_FLOOR = 1000.0
CHARACTER_NGRAMS = (1, 2, 3, 4)
LETTER_NGRAMS = (3, 4, 5, 6)
HATE = ("none", "offensive", "hate")
BIAS = ("none", "gender", "others")
COLUMNS = ("toxicity", *(f"hate_{name}" for name in HATE), *(f"bias_{name}" for name in BIAS))
"""What the weights tell apart: a probability of its own and two choices of three."""

_SPACE = 0x20
_FIRST_MEDIAL = 0x314F
_INITIALS = numpy.array([ord(letter) for letter in "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"], dtype=numpy.uint32)
_FINALS = numpy.array(
    [0, *(ord(letter) for letter in "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ")], dtype=numpy.uint32
)
_MULTIPLIER = numpy.uint32(0x9E3779B1)
_CHARACTER_SALT, _LETTER_SALT = 1, 7
_LONGEST_CHARACTER_NGRAM = max(CHARACTER_NGRAMS)
_SHORTEST_LETTER_NGRAM, _LONGEST_LETTER_NGRAM = min(LETTER_NGRAMS), max(LETTER_NGRAMS)

Slots = NDArray[numpy.uint32]


@dataclass(frozen=True, slots=True, eq=False)
class ToxicityModel:
    """The weights, with the inverse document frequencies multiplied in."""

    weights: NDArray[numpy.float32]
    """(SLOTS, len(COLUMNS))"""
    squares: NDArray[numpy.float32]
    """Squared inverse document frequency of every slot."""
    intercepts: NDArray[numpy.float32]

    def logits(self, texts: Sequence[str], columns: slice = slice(0, 1)) -> NDArray[numpy.float32]:
        """(texts, columns): for each column the greatest of the text's windows."""
        return self._judge(texts, columns, whole=False)

    def whole_logits(self, texts: Sequence[str], columns: slice) -> NDArray[numpy.float32]:
        """(texts, columns): each text as one window."""
        return self._judge(texts, columns, whole=True)

    def _judge(self, texts: Sequence[str], columns: slice, whole: bool) -> NDArray[numpy.float32]:
        read = code_points([f" {text.lower()} " for text in texts])
        table = _table(self, columns.start, columns.stop)
        found = numpy.zeros((len(texts), table.shape[1] - 1), dtype=numpy.float64)
        cell_characters = _WHOLE if whole else CELL_CHARACTERS
        if len(texts):
            _find_greatest(read.codes, read.starts, read.lengths, _letters_apart(), table, cell_characters, found)
        return (found + self.intercepts[columns]).astype(numpy.float32)


@lru_cache(maxsize=4)
def _table(model: ToxicityModel, first: int, end: int) -> NDArray[numpy.float32]:
    """What is added up for some columns, side by side: the slot of an n-gram is one place in memory."""
    return numpy.ascontiguousarray(
        numpy.column_stack([model.squares, model.weights[:, first:end]]), dtype=numpy.float32
    )


_WHOLE = 1 << 40
"""Characters of a cell that holds any text."""


@compiled("u4[]", "i8[]", "i8[]", "u4[][]", "f4[][]", "i8", "f8[][]!")
def _find_greatest(
    codes: CodePointArray,
    starts: NDArray[numpy.int64],
    lengths: NDArray[numpy.int64],
    letters_apart: CodePointArray,
    table: NDArray[numpy.float32],
    cell_characters: int,
    greatest: NDArray[numpy.float64],
) -> None:
    """For each text and column the greatest of its windows, without the intercept.

    The n-grams, slots and cells are those of `read_text_features`. `table` has the squared inverse document frequency
    and the weights of every slot.
    """
    word = 0xFFFFFFFF
    most = lengths.max() + 1
    columns = table.shape[1]
    kept, letters = numpy.empty(most + 1, numpy.int64), numpy.empty(3 * most + 8, numpy.int64)
    letter_starts = numpy.empty(most + 1, numpy.int64)
    sums, within = numpy.empty((most, columns), numpy.float64), numpy.empty(columns, numpy.float64)
    for text in range(len(starts)):
        # no character more than twice in a row; the separator behind the text is kept with it
        size = letter_count = 0
        for place in range(starts[text], starts[text] + lengths[text] + 1):
            code = numpy.int64(codes[place])
            if place >= starts[text] + 2 and codes[place] == codes[place - 1] and codes[place] == codes[place - 2]:
                continue
            kept[size], letter_starts[size] = code, letter_count
            size += 1
            if FIRST_SYLLABLE <= code <= LAST_SYLLABLE:
                for part in range(3):
                    letter = numpy.int64(letters_apart[code - FIRST_SYLLABLE, part])
                    if letter != 0:
                        letters[letter_count] = letter
                        letter_count += 1
            else:
                letters[letter_count] = code
                letter_count += 1
        letter_starts[size] = letter_count

        cells = max(1, size // cell_characters)
        sums[:cells] = 0
        for cell in range(cells):
            for place in range(cell * size // cells, (cell + 1) * size // cells):
                mixed = numpy.int64(_CHARACTER_SALT)
                for length in range(1, _LONGEST_CHARACTER_NGRAM + 1):
                    code = kept[place + length - 1]
                    if code == SEPARATOR:
                        break
                    mixed = ((mixed ^ code) * 0x9E3779B1) & word
                    mixed ^= mixed >> 15
                    if length == 1 and code == _SPACE:
                        continue
                    slot = ((mixed * (0x85EBCA6B + 2 * length * (_CHARACTER_SALT + 1))) & word) >> (32 - BITS)
                    for column in range(columns):
                        sums[cell, column] += table[slot, column]
                for letter_place in range(letter_starts[place], letter_starts[place + 1]):
                    mixed = numpy.int64(_LETTER_SALT)
                    for length in range(1, _LONGEST_LETTER_NGRAM + 1):
                        code = letters[letter_place + length - 1]
                        if code == SEPARATOR:
                            break
                        mixed = ((mixed ^ code) * 0x9E3779B1) & word
                        mixed ^= mixed >> 15
                        if length < _SHORTEST_LETTER_NGRAM:
                            continue
                        slot = ((mixed * (0x85EBCA6B + 2 * length * (_LETTER_SALT + 1))) & word) >> (32 - BITS)
                        for column in range(columns):
                            sums[cell, column] += table[slot, column]

        # the windows that the text's end cuts short hold nothing that those before them do not hold
        for cell in range(cells):
            within[:] = sums[cell]
            for further in range(cell + 1, min(cell + WINDOW_CELLS, cells)):
                within += sums[further]
            norm = numpy.sqrt(within[0] + NORM_FLOOR)
            for column in range(1, columns):
                logit = within[column] / norm
                if cell == 0 or logit > greatest[text, column - 1]:
                    greatest[text, column - 1] = logit


@cache
def _letters_apart() -> CodePointArray:
    """Initial, medial and final of every syllable; 0 where there is no final."""
    number = numpy.arange(LAST_SYLLABLE - FIRST_SYLLABLE + 1, dtype=numpy.uint32)
    apart = [_INITIALS[number // 588], _FIRST_MEDIAL + number % 588 // 28, _FINALS[number % 28]]
    letters = numpy.ascontiguousarray(numpy.column_stack(apart).astype(numpy.uint32))
    letters.flags.writeable = False
    return letters


@cache
def load_toxicity_model() -> ToxicityModel:
    """The model that ships."""
    with numpy.load(WEIGHTS_FILE, allow_pickle=False) as stored:
        scales = stored["scales"].astype(numpy.float32)
        return ToxicityModel(
            weights=stored["weights"].astype(numpy.float32) * scales,
            squares=stored["idf"].astype(numpy.float32) ** 2,
            intercepts=stored["intercepts"].astype(numpy.float32),
        )


def toxicity_of(texts: Sequence[str]) -> NDArray[numpy.float32]:
    """How likely each text insults or hates, 0 to 1. A text without a letter or digit has 0."""
    if not texts:
        return numpy.zeros(0, dtype=numpy.float32)
    found = 1 / (1 + numpy.exp(-load_toxicity_model().logits(texts)[:, 0]))
    return numpy.where([any(map(str.isalnum, text)) for text in texts], found, 0).astype(numpy.float32)


@dataclass(frozen=True, slots=True)
class Hostility:
    """What a text is like, beyond the one probability."""

    toxicity: float
    hate: dict[str, float]
    """Shares that add up to 1: none, offensive, hate."""
    bias: dict[str, float]
    """Shares that add up to 1: none, gender, others."""


def hostility_of(texts: Sequence[str]) -> list[Hostility]:
    """All that the model tells apart; the shares are those of the text as a whole."""
    if not texts:
        return []
    choices = load_toxicity_model().whole_logits(texts, slice(1, len(COLUMNS))).astype(float)
    hate, bias = _shares(choices[:, : len(HATE)]), _shares(choices[:, len(HATE) :])
    toxicity = toxicity_of(texts)
    return [
        Hostility(
            toxicity=round(float(toxicity[row]), 4),
            hate={name: round(float(share), 4) for name, share in zip(HATE, hate[row], strict=True)},
            bias={name: round(float(share), 4) for name, share in zip(BIAS, bias[row], strict=True)},
        )
        for row in range(len(texts))
    ]


def _shares(logits: NDArray[numpy.float64]) -> NDArray[numpy.float64]:
    powers = numpy.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[numpy.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


@dataclass(frozen=True, slots=True)
class TextFeatures:
    """The letters and characters of some texts and the cells that they fall into."""

    codes: CodePointArray
    letters: CodePointArray
    owners: NDArray[numpy.int64]
    """The text of each cell."""
    first_cells: NDArray[numpy.int64]
    """The first cell of each text."""
    cell_starts: NDArray[numpy.int64]
    """Where each cell begins in `codes`."""
    letter_starts: NDArray[numpy.int64]
    """Where each cell begins in `letters`."""

    @property
    def cells(self) -> int:
        """Cells of all texts."""
        return len(self.owners)

    def grams(self) -> Iterator[tuple[Slots, NDArray[numpy.bool_], NDArray[numpy.int64]]]:
        """For each kind of n-gram: the slot at every place, whether there is an n-gram, and the cells' starts."""
        for slots, is_gram in _ngrams(self.codes, CHARACTER_NGRAMS, _CHARACTER_SALT):
            yield slots, is_gram, self.cell_starts
        for slots, is_gram in _ngrams(self.letters, LETTER_NGRAMS, _LETTER_SALT):
            yield slots, is_gram, self.letter_starts


def read_text_features(texts: Sequence[str], cell_characters: int = CELL_CHARACTERS) -> TextFeatures:
    """Lower case, a space before and behind, and no character more than twice in a row."""
    read = code_points([f" {text.lower()} " for text in texts])
    codes = read.codes
    once = numpy.ones(len(codes), dtype=bool)
    once[2:] = (codes[2:] != codes[1:-1]) | (codes[1:-1] != codes[:-2])
    lengths = numpy.bincount(read.owners[once], minlength=len(texts))
    codes = codes[once]
    starts = numpy.cumsum(lengths) - lengths
    per_text = numpy.maximum(1, lengths // cell_characters)
    first_cells = numpy.cumsum(per_text) - per_text
    owners = numpy.repeat(numpy.arange(len(texts)), per_text)
    inside = numpy.arange(len(owners)) - first_cells[owners]
    cell_starts = starts[owners] + inside * lengths[owners] // per_text[owners]
    letters, places = _letters(codes)
    return TextFeatures(codes, letters, owners, first_cells, cell_starts, places[cell_starts])


def _letters(codes: CodePointArray) -> tuple[CodePointArray, NDArray[numpy.int64]]:
    """Syllables taken apart, initial and final consonants alike; and where each code begins among the letters."""
    syllable = is_syllable(codes)
    number = numpy.where(syllable, codes - numpy.uint32(0xAC00), 0)
    apart = numpy.zeros((len(codes), 3), dtype=numpy.uint32)
    apart[:, 0] = numpy.where(syllable, _INITIALS[number // 588], codes)
    apart[:, 1] = numpy.where(syllable, _FIRST_MEDIAL + number % 588 // 28, 0)
    apart[:, 2] = numpy.where(syllable, _FINALS[number % 28], 0)
    present = apart != 0
    present[:, 0] = True
    sizes = present.sum(axis=1)
    return apart[present], numpy.cumsum(sizes) - sizes


def _ngrams(codes: CodePointArray, sizes: Sequence[int], salt: int) -> Iterator[tuple[Slots, NDArray[numpy.bool_]]]:
    """Slots as long as the codes; the last places, where no n-gram fits, are marked as none."""
    count = len(codes)
    padded = numpy.concatenate([codes, numpy.zeros(max(sizes), dtype=numpy.uint32)])
    hashes = numpy.full(count, salt, dtype=numpy.uint32)
    is_gram = numpy.ones(count, dtype=bool)
    for size in range(1, max(sizes) + 1):
        added = padded[size - 1 : size - 1 + count]
        hashes = (hashes ^ added) * _MULTIPLIER
        hashes ^= hashes >> numpy.uint32(15)
        is_gram = is_gram & (added != SEPARATOR)
        if size in sizes:
            slots = (hashes * numpy.uint32(0x85EBCA6B + 2 * size * (salt + 1))) >> numpy.uint32(32 - BITS)
            yield slots, is_gram & (codes != _SPACE) if size == 1 else is_gram
