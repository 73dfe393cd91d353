"""A chain of labels over words (a linear conditional random field): its marginals and its best labels.

`transitions` is (labels + 1, labels); the last row is that of the beginning. A chain for each text: `starts` are the first words
of the texts and the number of all words.
"""

import numpy
from numpy.typing import NDArray

from data_prep.compiled import compiled

OUTSIDE, BEGIN, INSIDE = 0, 1, 2
LABELS = 3
FORBIDDEN = -30.0

Floats = NDArray[numpy.float64]


@compiled("f4[][]", "i4[][]", "f8[][]!")
def add_weights(weights: NDArray[numpy.float32], rows: NDArray[numpy.int32], scores: Floats) -> None:
    """`scores` (words, labels) of the features whose rows of the weights are given; -1 stands for an unknown one."""
    for word in range(rows.shape[0]):
        for label in range(scores.shape[1]):
            scores[word, label] = 0.0
        for place in range(rows.shape[1]):
            row = rows[word, place]
            if row >= 0:
                for label in range(scores.shape[1]):
                    scores[word, label] += weights[row, label]


@compiled("u4[][]", "u4[]", "i4[]", "i4[][]!")
def look_up(
    hashes: NDArray[numpy.uint32], keys: NDArray[numpy.uint32], rows: NDArray[numpy.int32], found: NDArray[numpy.int32]
) -> None:
    """Rows of features in an open hash table of a power of two of places; -1 in `rows` marks a free one."""
    last = numpy.uint64(len(keys) - 1)
    for word in range(hashes.shape[0]):
        for feature in range(hashes.shape[1]):
            key = hashes[word, feature]
            place = numpy.uint64(key) & last
            found[word, feature] = -1
            while rows[place] >= 0:
                if keys[place] == key:
                    found[word, feature] = rows[place]
                    break
                place = (place + numpy.uint64(1)) & last


@compiled("u4[]", "u4[]!", "i4[]!")
def enter(entries: NDArray[numpy.uint32], keys: NDArray[numpy.uint32], rows: NDArray[numpy.int32]) -> None:
    """Fill an empty table for `look_up`: entry n gets row n."""
    last = numpy.uint64(len(keys) - 1)
    for number in range(len(entries)):
        place = numpy.uint64(entries[number]) & last
        while rows[place] >= 0:
            place = (place + numpy.uint64(1)) & last
        keys[place] = entries[number]
        rows[place] = number


@compiled("f8[][]", "f8[][]", "i8[]", "f8[][]!")
def find_marginals(scores: Floats, transitions: Floats, starts: NDArray[numpy.int64], marginals: Floats) -> None:
    """Probability of each label of each word (forward and backward)."""
    labels = scores.shape[1]
    steps = numpy.exp(transitions)
    for text in range(len(starts) - 1):
        first, size = starts[text], starts[text + 1] - starts[text]
        own = numpy.zeros((size, labels))
        forward = numpy.zeros((size, labels))
        backward = numpy.ones((size, labels))
        scale = numpy.zeros(size)
        for word in range(size):
            top = scores[first + word].max()
            for label in range(labels):
                own[word, label] = numpy.exp(scores[first + word, label] - top)
                reached = steps[labels, label]
                if word > 0:
                    reached = 0.0
                    for before in range(labels):
                        reached += forward[word - 1, before] * steps[before, label]
                forward[word, label] = reached * own[word, label]
                scale[word] += forward[word, label]
            for label in range(labels):
                forward[word, label] /= scale[word]
        for word in range(size - 2, -1, -1):
            for label in range(labels):
                reached = 0.0
                for behind in range(labels):
                    reached += steps[label, behind] * own[word + 1, behind] * backward[word + 1, behind]
                backward[word, label] = reached / scale[word + 1]
        for word in range(size):
            for label in range(labels):
                marginals[first + word, label] = forward[word, label] * backward[word, label]


@compiled("f8[][]", "f8[][]", "i8[]", "i8[]!")
def find_best(scores: Floats, transitions: Floats, starts: NDArray[numpy.int64], best: NDArray[numpy.int64]) -> None:
    """The most probable chain of labels of each text (Viterbi)."""
    labels = scores.shape[1]
    for text in range(len(starts) - 1):
        first, end = starts[text], starts[text + 1]
        if first == end:
            continue
        reached = numpy.zeros((end - first, labels))
        came_from = numpy.zeros((end - first, labels), dtype=numpy.int64)
        for word in range(first, end):
            for label in range(labels):
                if word == first:
                    reached[0, label] = transitions[labels, label] + scores[word, label]
                    continue
                top = -1e30
                for before in range(labels):
                    through = reached[word - first - 1, before] + transitions[before, label]
                    if through > top:
                        top = through
                        came_from[word - first, label] = before
                reached[word - first, label] = top + scores[word, label]
        label_now = numpy.argmax(reached[end - first - 1])
        for word in range(end - 1, first - 1, -1):
            best[word] = label_now
            label_now = came_from[word - first, label_now]
