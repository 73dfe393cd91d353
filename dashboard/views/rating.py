"""Rating by experts: two answers side by side, or one on a scale, without telling whose they are; and how far all agree."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from contracts.enums import Preference, RatingKind
from contracts.errors import TunewayError
from contracts.judging import JUDGE_PREFIX
from contracts.ratings import SCORES
from dashboard import parts, reading
from dashboard.formats import NOTHING, number, percent
from dashboard.links import choose
from dashboard.writing import rate_item, take_rating_back
from evaluation.rating_items import shown_first

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contracts.ratings import (
        Agreement,
        Coefficient,
        Confusion,
        JudgeAgreement,
        JudgeLicence,
        Rating,
        RatingItem,
        RatingTask,
    )
    from dashboard.texts import Words
    from dashboard.visits import Visit

WAITING, RATED, ALL = "waiting", "rated", "all"
_CURRENT = "rating-current"


def show(visit: Visit, words: Words) -> None:
    """Draw the page."""
    tasks = reading.rating_tasks(visit)
    if not tasks:
        parts.empty(words("rating.empty"), words("rating.empty_text"))
        return
    by_name = {task.name: task for task, _ in tasks}
    rated = {task.name: ratings for task, ratings in tasks}
    name = choose(
        "task",
        words("rating.choose"),
        list(by_name),
        lambda one: _task_label(by_name.get(one), rated, words) or one,
    )
    task = by_name.get(name)
    if task is None:
        # the address names one that is not listed: the same words as for every other missing item
        reading.rating_items(visit, name)
        return
    rate, agreement = st.tabs([words("rating.rate"), words("rating.agreement")])
    with rate:
        _rate(visit, task, visit.principal.username, words)
    with agreement:
        _agreement(visit, task, words)


def _task_label(task: RatingTask | None, rated: dict[str, int], words: Words) -> str:
    """Name, size and ratings so far; nothing for an address that names no task."""
    if task is None:
        return ""
    so_far = words("rating.so_far", items=number(task.items), ratings=number(rated.get(task.name, 0)))
    return f"{task.name} · {so_far}"


def _rate(visit: Visit, task: RatingTask, rater: str, words: Words) -> None:
    items = reading.rating_items(visit, task.name)
    done = reading.ratings_of(visit, task.name, rater)
    share = len(done) / len(items)
    st.progress(
        share, text=words("rating.done", done=number(len(done)), total=number(len(items)), share=percent(share, 0))
    )
    shown = st.segmented_control(
        words("rating.show"),
        [WAITING, RATED, ALL],
        default=WAITING,
        format_func=lambda kind: words(f"rating.{kind}"),
        key="rating-show",
    )
    kinds = {WAITING: {False}, RATED: {True}, ALL: {True, False}}[shown or WAITING]
    keys = [item.item_key for item in items if (item.item_key in done) in kinds]
    if not keys:
        everything = len(done) == len(items)
        st.info(words("rating.all_done" if everything else "rating.none_left"), icon=":material/task_alt:")
        return
    current = st.session_state.get(_CURRENT)
    if current not in keys:
        current = keys[0]
    st.session_state[_CURRENT] = current
    item = next(item for item in items if item.item_key == current)
    _item(visit, task, item, rater, done.get(current), keys, words)


def _item(
    visit: Visit,
    task: RatingTask,
    item: RatingItem,
    rater: str,
    given: Rating | None,
    keys: Sequence[str],
    words: Words,
) -> None:
    position = keys.index(item.item_key)
    said = words("rating.waiting") if given is None else words("rating.rated")
    parts.html(
        f"{parts.badge(said, 'waiting' if given is None else 'succeeded')}"
        f' &nbsp;<span class="quiet">{escape(words("rating.item_of", number=number(position + 1), total=number(len(keys))))}'
        f" · {escape(item.category)}</span>"
    )
    first = shown_first(rater, item.item_key)
    comment_key = f"rating-comment-{item.item_key[:16]}"

    def rate(value: str) -> None:
        try:
            rate_item(visit, task, item, value, str(st.session_state.get(comment_key) or "").strip())
        except TunewayError as error:
            parts.refuse(error)
            return
        _go(keys[min(position + 1, len(keys) - 1)])

    def undo() -> None:
        try:
            take_rating_back(visit, item)
        except TunewayError as error:
            parts.refuse(error)
            return
        _go(item.item_key)

    with st.container(horizontal=True, gap="small"):
        for value, label, icon, shortcut in _choices(task.kind, first, words):
            is_given = given is not None and given.value == value
            st.button(
                label, key=f"rating-{shortcut}", icon=icon, shortcut=shortcut, type="primary" if is_given else "secondary",
                on_click=rate, args=(value,),
            )  # fmt: skip
        st.button(
            words("rating.previous"), key="rating-previous", icon=":material/chevron_left:", shortcut="left",
            disabled=position == 0, on_click=_go, args=(keys[max(position - 1, 0)],),
        )  # fmt: skip
        st.button(
            words("rating.skip"), key="rating-skip", icon=":material/chevron_right:", shortcut="right",
            disabled=position == len(keys) - 1, on_click=_go, args=(keys[min(position + 1, len(keys) - 1)],),
        )  # fmt: skip
        if given is not None:
            st.button(words("rating.undo"), key="rating-undo", icon=":material/undo:", shortcut="u", on_click=undo)
    parts.html(_text(words("rating.question"), item.question, "user"))
    if task.kind is RatingKind.PAIRWISE:
        answers = [item.answer_a, item.answer_b or ""]
        if first is Preference.B:
            answers.reverse()
        for column, label, answer in zip(st.columns(2, gap="large"), ("answer_1", "answer_2"), answers, strict=True):
            with column:
                parts.html(_text(words(f"rating.{label}"), answer, "assistant"))
    else:
        parts.html(_text(words("rating.answer"), item.answer_a, "assistant"))
    if item.rubric or item.accepted_answers:
        with st.expander(words("rating.reference")):
            if item.accepted_answers:
                parts.html(_text(words("rating.accepted"), "\n".join(item.accepted_answers), "user"))
            if item.rubric:
                parts.html(_text(words("rating.rubric"), item.rubric, "user"))
    st.text_input(
        words("rating.comment"), value="" if given is None else given.comment, key=comment_key, max_chars=500,
        help=words("rating.comment_help"),
    )  # fmt: skip


def _choices(kind: RatingKind, first: Preference, words: Words) -> list[tuple[str, str, str, str]]:
    """Value, label, icon and key of every button, as they stand for this rater."""
    if kind is RatingKind.RUBRIC:
        return [(score, words(f"rating.score_{score}"), ":material/star:", score) for score in SCORES]
    second = Preference.B if first is Preference.A else Preference.A
    return [
        (first.value, words("rating.first_better"), ":material/arrow_back:", "1"),
        (second.value, words("rating.second_better"), ":material/arrow_forward:", "2"),
        (Preference.TIE.value, words("rating.tie"), ":material/drag_handle:", "3"),
        (Preference.BOTH_BAD.value, words("rating.both_bad"), ":material/thumbs_up_down:", "4"),
    ]


def _go(key: str) -> None:
    st.session_state[_CURRENT] = key


def _text(label: str, text: str, role: str) -> str:
    return f'<div class="tw-turn {role}"><b>{escape(label)}</b><div class="tw-text" tabindex="0">{escape(text)}</div></div>'


def _agreement(visit: Visit, task: RatingTask, words: Words) -> None:
    found = reading.rating_agreement(visit, task.name)
    report = found.report
    if not report.counts.by_rater:
        parts.missing(words("rating.no_ratings"))
        return
    parts.html(
        parts.rows(
            [words("rating.rater"), words("rating.rated")],
            [
                [escape(rater), f"{number(rated)} / {number(task.items)}"]
                for rater, rated in report.counts.by_rater.items()
            ],
            numeric=[1],
        )
    )
    st.subheader(words("rating.among_experts"), anchor=False)
    if report.experts is None:
        parts.missing(words("rating.one_expert"))
    else:
        parts.html(_figures(report.experts, words))
    for judge, licence in zip(report.judges, found.licences, strict=True):
        _judge(judge, licence, words)


def _judge(judge: JudgeAgreement, licence: JudgeLicence, words: Words) -> None:
    st.subheader(words("rating.with_judge", judge=parts.plain(judge.judge.removeprefix(JUDGE_PREFIX))), anchor=False)
    numbers = {
        "bar": f"{licence.bar:g}",
        "items": number(licence.items),
        "min_items": number(licence.min_items),
    }
    if licence.may_gate:
        st.success(words("rating.may_gate", **numbers), icon=":material/verified:")
    else:
        st.warning(words("rating.may_not_gate", **numbers), icon=":material/block:")
    parts.html(_figures(judge.agreement, words))
    parts.html(_confusion(judge.confusion, words))
    if len(judge.by_category) > 1:
        with st.expander(words("rating.by_category")):
            for category, confusion in judge.by_category.items():
                parts.html(f"<b>{escape(category)}</b>{_confusion(confusion, words)}")


def _figures(agreement: Agreement, words: Words) -> str:
    items = [
        (words("rating.items"), number(agreement.items)),
        (words("rating.observed"), percent(agreement.observed)),
        (words("rating.alpha"), _coefficient(agreement.deciding)),
    ]
    if agreement.kappa is not None:
        items.append((words("rating.kappa"), _coefficient(agreement.kappa)))
    if agreement.weighted_kappa is not None:
        items.append((words("rating.weighted_kappa"), _coefficient(agreement.weighted_kappa)))
    return parts.figures(items)


def _coefficient(found: Coefficient) -> str:
    if found.value is None:
        return NOTHING
    bounds = "" if found.interval is None else f" ({found.interval.lower:.2f}~{found.interval.upper:.2f})"
    return f"{found.value:.2f}{bounds}"


def _confusion(confusion: Confusion, words: Words) -> str:
    """Rows are what experts said, columns what the judge said; the models keep their letters."""
    labels = [words.named("rating_value", label) for label in confusion.labels]
    return parts.rows(
        [words("rating.experts_by_judge"), *labels],
        [[escape(label), *map(number, counts)] for label, counts in zip(labels, confusion.counts, strict=True)],
        numeric=range(1, len(labels) + 1),
    )
