"""Person names in running Korean text: a conditional random field over the words of a morphological analyser.

It was trained on the persons of KLUE-NER and on texts without names by data_prep/masking/train_names.py;
docs/data/personal_data.md has what it finds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy
from numpy.typing import NDArray

from data_prep.masking.lexicon import Lexicon
from data_prep.masking.name_chain import (
    BEGIN,
    INSIDE,
    LABELS,
    OUTSIDE,
    add_weights,
    enter,
    find_best,
    find_marginals,
    look_up,
)
from data_prep.masking.name_features import hash_features, templates
from data_prep.masking.name_gate import NameGate
from data_prep.masking.name_words import WordReader, Words
from data_prep.masking.names import FoundName

WEIGHTS_FILE = Path(__file__).parent / "weights" / "names.npz"
LEAN, OFFICIAL_LEAN = 0.2, -2.0
"""Added to the score of a name's beginning when the best labels are chosen: people are rare in statutes and official letters,
and in other texts a missed name costs more than a false one. Chosen on folds of KLUE-NER and on bills."""


@dataclass(frozen=True, slots=True)
class NameWeights:
    """What the model weighs, by the hashes of its features in ascending order."""

    keys: NDArray[numpy.uint32]
    weights: NDArray[numpy.float32]
    """(keys, labels)"""
    transitions: NDArray[numpy.float64]
    """(labels + 1, labels); the last row is that of a text's beginning."""


class NameModel:
    """Finds names in texts."""

    def __init__(self, weights: NameWeights, lexicon: Lexicon) -> None:
        self._weights = weights.weights
        self._transitions = weights.transitions
        self._reader = WordReader(lexicon)
        self._templates = templates(lexicon.columns)
        size = 1 << max(8, int(2 * len(weights.keys)).bit_length())
        self._keys = numpy.zeros(size, dtype=numpy.uint32)
        self._rows = numpy.full(size, -1, dtype=numpy.int32)
        enter(weights.keys, self._keys, self._rows)

    def find(self, texts: Sequence[str]) -> list[list[FoundName]]:
        """Names in each shadow, in order, with the probability that a name stands just there or around."""
        words = [self._reader.read(text) for text in texts]
        scores, starts = self._score(words)
        if not len(scores):
            return [[] for _ in texts]
        marginals = numpy.zeros_like(scores)
        find_marginals(scores, self._transitions, starts, marginals)
        official = numpy.concatenate([one.numbers[:, -1] for one in words]) == 1
        scores[:, BEGIN] += numpy.where(official, OFFICIAL_LEAN, LEAN)
        best = numpy.zeros(len(scores), dtype=numpy.int64)
        find_best(scores, self._transitions, starts, best)
        named = 1 - marginals[:, OUTSIDE]
        return [
            list(_names_of(one, best[first:end].tolist(), named[first:end].tolist()))
            for one, first, end in zip(words, starts[:-1].tolist(), starts[1:].tolist(), strict=True)
        ]

    def _score(self, words: Sequence[Words]) -> tuple[NDArray[numpy.float64], NDArray[numpy.int64]]:
        starts = numpy.cumsum([0, *(len(one.starts) for one in words)], dtype=numpy.int64)
        hashes = numpy.zeros((int(starts[-1]), len(self._templates)), dtype=numpy.uint32)
        if not len(hashes):
            return numpy.zeros((0, LABELS)), starts
        hash_features(numpy.concatenate([one.numbers for one in words]), starts, self._templates, hashes)
        rows = numpy.zeros(hashes.shape, dtype=numpy.int32)
        look_up(hashes, self._keys, self._rows, rows)
        scores = numpy.zeros((len(hashes), LABELS))
        add_weights(self._weights, rows, scores)
        return scores, starts


@cache
def open_name_model() -> tuple[NameGate, NameModel]:
    """The gate and the model of this process. Memory: 30 MB."""
    with numpy.load(WEIGHTS_FILE, allow_pickle=False) as stored:
        scale, gate_scale = stored["scales"]
        steps = stored["weights"].astype(numpy.float32)
        weights = NameWeights(
            numpy.cumsum(stored["keys"], dtype=numpy.uint32),
            numpy.column_stack([numpy.zeros(len(steps), dtype=numpy.float32), steps * numpy.float32(scale)]),
            stored["transitions"],
        )
        lexicon = Lexicon(
            numpy.cumsum(stored["words"], dtype=numpy.uint32), stored["classes"], stored["marks"], stored["odds"]
        )
        gate = NameGate(stored["gate"].astype(numpy.float32) * numpy.float32(gate_scale))
    return gate, NameModel(weights, lexicon)


def _names_of(words: Words, labels: Sequence[int], named: Sequence[float]) -> Iterator[FoundName]:
    place = 0
    while place < len(labels):
        if labels[place] == OUTSIDE:
            place += 1
            continue
        end = place + 1
        while end < len(labels) and labels[end] == INSIDE:
            end += 1
        yield FoundName(words.starts[place], words.ends[end - 1], min(named[place:end]))
        place = end
