"""Pieces of work in several processes: whole, in spite of errors and kills."""

import json
import os
import signal
from pathlib import Path

import pytest

from contracts.errors import InvalidDataError, UnavailableError
from data_prep.workers import run_pieces

MODULE = "tests.data_prep.test_workers"


def open_squares(plan: Path):
    """A task that squares, and does on a piece what the plan says."""
    what = json.loads(plan.read_text(encoding="utf-8"))

    def square(piece: int):
        if what.get("refuse") == piece:
            raise InvalidDataError("The piece is bad", value=piece, next_step="correct it")
        if what.get("die") == piece:
            os.kill(os.getpid(), signal.SIGKILL)
        print("what a library prints stands between no answers")
        return {"square": piece**2, "process": os.getpid()}

    return square


def test_every_piece_is_done_once_by_some_process(plan):
    told = dict(run_pieces(MODULE, "open_squares", plan(), range(9), workers=3))

    assert {piece: answer["square"] for piece, answer in told.items()} == {piece: piece**2 for piece in range(9)}
    assert os.getpid() not in {answer["process"] for answer in told.values()}


def test_one_piece_is_done_without_another_process(plan):
    ((piece, told),) = run_pieces(MODULE, "open_squares", plan(), [4], workers=3)

    assert (piece, told) == (4, {"square": 16, "process": os.getpid()})


def test_no_piece_is_no_work(plan):
    assert list(run_pieces(MODULE, "open_squares", plan(), [], workers=3)) == []


def test_the_error_of_a_piece_arrives_as_itself(plan):
    with pytest.raises(InvalidDataError, match=r"The piece is bad\. Got: 5\. Next: correct it"):
        list(run_pieces(MODULE, "open_squares", plan(refuse=5), range(9), workers=2))


def test_a_process_that_vanishes_is_told_and_can_be_tried_again(plan):
    with pytest.raises(UnavailableError, match="vanished") as error:
        list(run_pieces(MODULE, "open_squares", plan(die=3), range(9), workers=2))

    assert error.value.retryable
