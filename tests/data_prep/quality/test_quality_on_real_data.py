"""The bars of the toxicity and fluency models on sides of real data that they were not trained on."""

import numpy
import pytest

from contracts.data_policy import QualityPolicy
from data_prep.quality.corpora import read_beep, read_bills, read_chatbot, read_curses, side_of
from data_prep.quality.fluency import load_fluency_model
from data_prep.quality.judging import QualityJudge
from data_prep.quality.toxicity import toxicity_of
from data_prep.rows import Message, Row

pytestmark = pytest.mark.slow


def macro_f1(found: list[bool], true: list[bool]) -> float:
    def f1(of: bool) -> float:
        both = sum(a == b == of for a, b in zip(found, true, strict=True))
        return 2 * both / (found.count(of) + true.count(of))

    return (f1(True) + f1(False)) / 2


def test_toxicity_is_recognised_in_comments_and_forums(shared_data):
    dev = read_beep(shared_data, "dev")
    curses = [pair for pair in read_curses(shared_data) if side_of(pair[0]) in {0, 1}]

    comments = (toxicity_of([comment.text for comment in dev]) >= 0.5).tolist()
    forums = (toxicity_of([text for text, _ in curses]) >= 0.5).tolist()
    assert macro_f1(comments, [comment.hate != "none" for comment in dev]) >= 0.71
    assert macro_f1(forums, [foul for _, foul in curses]) >= 0.78


def test_hardly_any_official_text_or_small_talk_is_removed_as_toxic(shared_data):
    bills = [text for text in read_bills(shared_data) if side_of(text) < 5][:1500]
    talk = [pair for pair in read_chatbot(shared_data) if side_of(pair[0]) < 5 and side_of(pair[1]) < 5]

    for pairs in ([("제안 이유는?", bill) for bill in bills], talk):
        rows = [Row("a", (Message("user", question), Message("assistant", answer))) for question, answer in pairs]
        judged = QualityJudge(QualityPolicy(), 0, 1).judge(rows)
        assert sum(quality.toxicity >= 0.7 for quality in judged) <= 0.005 * len(rows)


def test_good_text_is_fluent_and_the_same_syllables_in_random_order_are_not(shared_data):
    bills = [text for text in read_bills(shared_data) if side_of(text) in {0, 1}][:200]
    random = numpy.random.default_rng(0)
    model = load_fluency_model()

    assert model.fluency(bills).min() > 0.9
    assert model.fluency(["".join(random.permutation(list(text))) for text in bills]).max() < 0.6
