"""Compiled functions: one signature, and no need for a folder that can be written."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest

from data_prep.compiled import compiled

REPOSITORY_ROOT = Path(__file__).resolve().parent.parent.parent


@compiled("u4[]", "i8[]!")
def _total(codes, total):
    for place in range(len(codes)):
        total[0] += codes[place]


def test_an_array_that_may_not_be_written_is_read():
    codes, total = numpy.arange(5, dtype=numpy.uint32), numpy.zeros(1, dtype=numpy.int64)
    codes.flags.writeable = False

    _total(codes, total)

    assert total[0] == 10


def test_other_types_are_refused_instead_of_compiled_anew():
    with pytest.raises(TypeError):
        _total(numpy.arange(5, dtype=numpy.float64), numpy.zeros(1, dtype=numpy.int64))


def test_a_function_whose_code_can_be_kept_nowhere_runs_all_the_same():
    made: dict[str, Any] = {}
    exec(
        "def double(values):\n    for place in range(len(values)):\n        values[place] *= 2", made
    )  # no file, no cache
    values = numpy.arange(4, dtype=numpy.int64)

    compiled("i8[]!")(made["double"])(values)

    assert values.tolist() == [0, 2, 4, 6]


def test_masking_and_judging_are_imported_without_the_libraries_that_take_seconds():
    code = (
        "import sys, data_prep.masking.masker, data_prep.quality.judging;"
        "print([name for name in ('presidio_analyzer', 'numba', 'torch', 'transformers') if name in sys.modules])"
    )

    told = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY_ROOT, capture_output=True, text=True, check=True)

    assert told.stdout.strip() == "[]"
