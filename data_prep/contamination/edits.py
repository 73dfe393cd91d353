"""Edit distances between texts as arrays of code points, whole to whole and whole to part."""

import numpy as np
from numpy.typing import NDArray

from data_prep.compiled import compiled


@compiled("u4[]", "i8[]", "i8[]", "u4[]", "i8[]", "i8[]", "i8[]", "i8[]", "i8[]", "b1", "i8[][]!")
def align_pairs(
    cases: NDArray[np.uint32],
    case_starts: NDArray[np.int64],
    case_lengths: NDArray[np.int64],
    texts: NDArray[np.uint32],
    text_starts: NDArray[np.int64],
    text_lengths: NDArray[np.int64],
    which_case: NDArray[np.int64],
    which_text: NDArray[np.int64],
    limits: NDArray[np.int64],
    may_be_part: bool,
    found: NDArray[np.int64],
) -> None:
    """For each pair the Levenshtein distance, where in the text the case begins, and where it ends.

    With `may_be_part` the distance of the case to the part of the text that is nearest to it (Sellers 1980), else to the
    whole text. A pair beyond its limit has the distance -1.
    """
    longest = 0
    for pair in range(len(which_case)):
        longest = max(longest, case_lengths[which_case[pair]])
    distances = np.empty(longest + 1, np.int64)
    begins = np.empty(longest + 1, np.int64)
    for pair in range(len(which_case)):
        case, text = which_case[pair], which_text[pair]
        first_of_case, size = case_starts[case], case_lengths[case]
        first_of_text, length = text_starts[text], text_lengths[text]
        for row in range(size + 1):
            distances[row] = row
            begins[row] = 0
        best, best_begin, best_end = distances[size], 0, 0
        for column in range(1, length + 1):
            character = texts[first_of_text + column - 1]
            diagonal, diagonal_begin = distances[0], begins[0]
            distances[0] = 0 if may_be_part else column
            begins[0] = column if may_be_part else 0
            least = distances[0]
            for row in range(1, size + 1):
                above, above_begin = distances[row], begins[row]
                value = diagonal
                begin = diagonal_begin
                if cases[first_of_case + row - 1] != character:
                    value += 1
                if above + 1 < value:
                    value, begin = above + 1, above_begin
                if distances[row - 1] + 1 < value:
                    value, begin = distances[row - 1] + 1, begins[row - 1]
                diagonal, diagonal_begin = above, above_begin
                distances[row], begins[row] = value, begin
                least = min(least, value)
            if may_be_part:
                if distances[size] < best:
                    best, best_begin, best_end = distances[size], begins[size], column
                    if best == 0:
                        break
            elif least > limits[pair]:
                break
        if not may_be_part:
            best, best_begin, best_end = distances[size], 0, length
            if length > 0 and least > limits[pair]:
                best = limits[pair] + 1
        found[pair, 0] = best if best <= limits[pair] else -1
        found[pair, 1] = best_begin
        found[pair, 2] = best_end
