"""What the review repository promises, on a real PostgreSQL."""

import pytest

from contracts.enums import QuestionTemplate, ReviewVerdict
from contracts.errors import ConflictError, InvalidRequestError, NotFoundError
from contracts.generation import NewReview
from contracts.record import JsonObject
from database.unit_of_work import unit_of_work


def sample(position: int, template: QuestionTemplate = QuestionTemplate.QA) -> NewReview:
    return NewReview(
        sample_id=f"s{position}", position=position, template=template, document="a.md", grounding=0.9, quality=0.8,
        messages=[{"role": "user", "content": "가?"}, {"role": "assistant", "content": f"나 {position}."}],
        metadata={"source": "a.md"}, passage="나.",
    )  # fmt: skip


def turns(*contents: str) -> list[JsonObject]:
    return [{"role": role, "content": text} for role, text in zip(("user", "assistant"), contents, strict=True)]


@pytest.fixture
def ids(database_url):
    with unit_of_work(database_url) as uow:
        assert uow.reviews.put_up("g1", "demo", [sample(0), sample(1, QuestionTemplate.RAG), sample(2)]) == 3
        return uow.reviews.positions("g1")


def test_samples_put_up_again_keep_their_verdicts_and_new_ones_join(database_url, ids):
    with unit_of_work(database_url) as uow:
        uow.reviews.decide(ids[0], ReviewVerdict.REJECT, reviewer="a", seen=None)
        assert uow.reviews.put_up("g1", "demo", [sample(0), sample(3)]) == 1
        assert uow.reviews.get(ids[0]).verdict is ReviewVerdict.REJECT
        assert uow.reviews.counts("g1").total == 4


def test_the_counts_are_those_of_the_verdicts(database_url, ids):
    with unit_of_work(database_url) as uow:
        uow.reviews.put_up("g2", "other", [sample(0)])
        uow.reviews.decide(ids[0], ReviewVerdict.ACCEPT, reviewer="a", seen=None)
        uow.reviews.decide(ids[1], ReviewVerdict.EDIT, reviewer="a", seen=None, edited_messages=turns("다?", "라."))
        counts = uow.reviews.counts("g1")
        assert (counts.total, counts.accepted, counts.edited, counts.rejected, counts.waiting) == (3, 1, 1, 0, 1)
        assert {found.generation_id for found in uow.reviews.generations()} == {"g1", "g2"}


def test_samples_are_found_by_verdict_and_kind_in_their_order(database_url, ids):
    with unit_of_work(database_url) as uow:
        uow.reviews.decide(ids[2], ReviewVerdict.ACCEPT, reviewer="a", seen=None)
        assert uow.reviews.positions("g1", waiting=True) == ids[:2]
        assert uow.reviews.positions("g1", verdict=ReviewVerdict.ACCEPT) == [ids[2]]
        assert uow.reviews.positions("g1", template=QuestionTemplate.RAG) == [ids[1]]
        assert uow.reviews.templates("g1") == [QuestionTemplate.QA, QuestionTemplate.RAG]
        assert [found.position for found in uow.reviews.samples("g1")] == [0, 1, 2]


def test_a_verdict_on_what_somebody_else_judged_is_refused(database_url, ids):
    with unit_of_work(database_url) as uow:
        uow.reviews.decide(ids[0], ReviewVerdict.ACCEPT, reviewer="a", seen=None)
    with pytest.raises(ConflictError, match="accept by a"), unit_of_work(database_url) as uow:
        uow.reviews.decide(ids[0], ReviewVerdict.REJECT, reviewer="b", seen=None)
    with unit_of_work(database_url) as uow:
        seen = uow.reviews.get(ids[0]).reviewed_at
        assert uow.reviews.decide(ids[0], ReviewVerdict.REJECT, reviewer="b", seen=seen).reviewer == "b"


def test_a_verdict_taken_back_leaves_nothing_of_it(database_url, ids):
    with unit_of_work(database_url) as uow:
        found = uow.reviews.decide(
            ids[0], ReviewVerdict.EDIT, reviewer="a", seen=None, edited_messages=turns("다?", "라."), note="말투"
        )
        assert (found.note, found.edited_messages) == ("말투", turns("다?", "라."))
        found = uow.reviews.decide(ids[0], None, reviewer="a", seen=found.reviewed_at)
        assert (found.verdict, found.reviewer, found.edited_messages, found.note) == (None, None, None, None)


@pytest.mark.parametrize(
    "edited",
    [turns("다?", " "), turns("다?", "라.")[:1], turns("다?", "라.")[::-1]],
    ids=["an empty turn", "a turn fewer", "other speakers"],
)
def test_an_edit_keeps_the_form_of_the_sample(database_url, ids, edited):
    with pytest.raises(InvalidRequestError), unit_of_work(database_url) as uow:
        uow.reviews.decide(ids[0], ReviewVerdict.EDIT, reviewer="a", seen=None, edited_messages=edited)


def test_new_turns_belong_to_an_edit_and_to_nothing_else(database_url, ids):
    for verdict, edited in ((ReviewVerdict.EDIT, None), (ReviewVerdict.ACCEPT, turns("다?", "라."))):
        with pytest.raises(InvalidRequestError), unit_of_work(database_url) as uow:
            uow.reviews.decide(ids[0], verdict, reviewer="a", seen=None, edited_messages=edited)


def test_what_is_not_there_is_said(database_url):
    with unit_of_work(database_url) as uow:
        with pytest.raises(NotFoundError):
            uow.reviews.get(1)
        with pytest.raises(NotFoundError):
            uow.reviews.counts("g1")
