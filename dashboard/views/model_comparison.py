"""A version beside the one in production: scores, cases won and lost, and the answers themselves."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from contracts.enums import ModelStatus, PairedOutcome
from contracts.words import significance
from dashboard import parts, reading
from dashboard.differences import marked
from dashboard.formats import NOTHING, model_label, number, score
from dashboard.links import choose, link, pick

if TYPE_CHECKING:
    from contracts.model_comparison import ModelComparison, ModelPair, PairedCase, SuiteComparison, ValueDifference
    from dashboard.texts import Words
    from dashboard.visits import Visit

EVERY_CATEGORY = "*"
_RIGHT = {
    PairedOutcome.WON: (False, True),
    PairedOutcome.LOST: (True, False),
    PairedOutcome.BOTH_RIGHT: (True, True),
    PairedOutcome.BOTH_WRONG: (False, False),
}


def show(visit: Visit, model_id: int, words: Words) -> None:
    """Draw the part."""
    compared = reading.comparison_with_production(visit, model_id)
    if compared is None:
        parts.missing(words("model_comparison.no_measure"))
        return
    (pair,) = compared.pairs
    measure = compared.models[0].version
    is_production = measure.status is ModelStatus.PRODUCTION
    told = "model_comparison.with_production" if is_production else "model_comparison.with_previous"
    st.markdown(words(told, model=f"**{parts.plain(model_label(measure))}**"))
    link("models", words("model_comparison.open_measure"), words, model=measure.model_id)
    if not pair.suites:
        parts.missing(words("model_comparison.no_suite", model=model_label(measure)))
        _only(pair, words)
        return
    by_key = {f"{suite.source}:{suite.suite}": suite for suite in pair.suites}
    chosen = choose("compared", words("model_comparison.suite"), list(by_key), lambda key: _title(by_key, key, words))
    suite = by_key.get(chosen)
    if suite is None:
        st.warning(words("model_comparison.no_such_suite"), icon=":material/search_off:")
        return
    if not suite.is_comparable:
        st.warning(words("model_comparison.not_comparable"), icon=":material/rule:")
        parts.html(_conditions(suite.differing, compared, words))
        return
    _scores(suite, compared, words)
    if suite.counts is None:
        st.caption(words("model_comparison.no_cases"))
    else:
        _counts(suite, words)
        _cases(visit, model_id, suite, compared, words)
    _only(pair, words)
    if pair.configuration:
        with st.expander(words("model_comparison.configuration", n=number(len(pair.configuration)))):
            parts.html(_conditions(pair.configuration, compared, words))


def _title(by_key: dict[str, SuiteComparison], key: str, words: Words) -> str:
    suite = by_key.get(key)
    if suite is None:
        return key
    version = "" if suite.suite_version is None else f" v{suite.suite_version}"
    source = "" if suite.source == "suite" else f" ({words('model_comparison.of_evaluation')})"
    return f"{suite.suite}{version}{source}"


def _names(compared: ModelComparison) -> list[str]:
    return [model_label(listing.version) for listing in compared.models]


def _conditions(differing: list[ValueDifference], compared: ModelComparison, words: Words) -> str:
    lines = [
        [f"<code>{escape(found.name)}</code>", escape(_value(found.reference)), escape(_value(found.other))]
        for found in differing
    ]
    return parts.rows([words("model_comparison.condition"), *_names(compared)], lines)


def _value(value: object) -> str:
    return NOTHING if value is None else str(value)


def _scores(suite: SuiteComparison, compared: ModelComparison, words: Words) -> None:
    lines = [
        [
            escape(words.named("score_name", found.name)),
            *(escape(score(side)) for side in (found.reference, found.other)),
        ]
        for found in suite.scores
    ]
    parts.html(parts.rows([words("model_comparison.score"), *_names(compared)], lines))


def _counts(suite: SuiteComparison, words: Words) -> None:
    counts = suite.counts
    assert counts is not None
    parts.html(
        parts.figures(
            [
                (words.of(PairedOutcome.WON), number(counts.won)),
                (words.of(PairedOutcome.LOST), number(counts.lost)),
                (words.of(PairedOutcome.BOTH_RIGHT), number(counts.both_right)),
                (words.of(PairedOutcome.BOTH_WRONG), number(counts.both_wrong)),
                (words("model_comparison.reworded"), number(counts.reworded)),
                (words("model_comparison.mcnemar"), significance(counts.mcnemar_p)),
            ]
        )
    )
    st.caption(words("model_comparison.mcnemar_caption"))


def _cases(visit: Visit, model_id: int, suite: SuiteComparison, compared: ModelComparison, words: Words) -> None:
    counts = suite.counts
    assert counts is not None
    st.subheader(words("model_comparison.cases"))
    by_outcome = {
        PairedOutcome.WON: counts.won,
        PairedOutcome.LOST: counts.lost,
        PairedOutcome.BOTH_RIGHT: counts.both_right,
        PairedOutcome.BOTH_WRONG: counts.both_wrong,
    }
    outcome = PairedOutcome(
        pick(
            "outcome",
            words("model_comparison.outcome"),
            list(PairedOutcome),
            lambda name: f"{words.of(PairedOutcome(name))} {number(by_outcome[PairedOutcome(name)])}",
        )
    )
    first = reading.compared_cases(visit, model_id, suite.suite, suite.source, outcome, None, 0)
    if first is None:
        st.caption(words("model_comparison.no_cases"))
        return
    names = [found.category for found in first.categories]
    category = choose(
        "category",
        words("model_comparison.category"),
        [EVERY_CATEGORY, *names],
        lambda name: words("model_comparison.every_category") if name == EVERY_CATEGORY else name,
    )
    with st.expander(words("model_comparison.by_category")):
        lines = [
            [escape(found.category), *(number(found.counts.get(kind, 0)) for kind in PairedOutcome)]
            for found in first.categories
        ]
        header = [words("model_comparison.category"), *(words.of(kind) for kind in PairedOutcome)]
        parts.html(parts.rows(header, lines, numeric=range(1, 5)))
    wanted = None if category == EVERY_CATEGORY else category
    total = sum(found.counts.get(outcome, 0) for found in first.categories if wanted in {None, found.category})
    if not total:
        st.caption(words("model_comparison.none_of_these"))
        return
    pages, page = -(-total // reading.CASES_A_PAGE), 1
    if pages > 1:
        page = int(
            st.number_input(
                words("runs.case_page"), 1, pages, 1, key=f"compared-page-{outcome}-{category}-{suite.suite}", width=160
            )
        )
    shown = reading.compared_cases(visit, model_id, suite.suite, suite.source, outcome, wanted, page - 1)
    if shown is None:
        return
    start = (page - 1) * reading.CASES_A_PAGE
    st.caption(
        words("runs.case_pages", total=number(total), first=number(start + 1), last=number(start + len(shown.cases)))
        + " "
        + words("model_comparison.marks")
    )
    if any(case.question is None for case in shown.cases):
        st.caption(words("model_comparison.no_question"))
    parts.html("".join(_case(case, _names(compared), words) for case in shown.cases))


def _case(case: PairedCase, names: list[str], words: Words) -> str:
    sides = zip(names, marked(case.reference_answer, case.other_answer), _RIGHT[case.outcome], strict=True)
    expected = ", ".join(case.expected)
    told = f"<small>{escape(words('runs.accepted'))}: {escape(expected)}</small>" if expected else ""
    return (
        f'<div class="tw-case"><b>{escape(case.question or case.case_id)}</b> <small>{escape(case.category)} · '
        f"{escape(case.case_id)}</small><br>{told}"
        f'<div class="answers">{"".join(_answer(name, text, is_right, words) for name, text, is_right in sides)}</div></div>'
    )


def _answer(name: str, text: str, is_right: bool, words: Words) -> str:
    tone, mark = ("succeeded", "✓") if is_right else ("failed", "✕")
    word = words("model_comparison.right" if is_right else "model_comparison.wrong")
    said = text or f'<span class="quiet">{escape(words("runs.no_answer"))}</span>'
    return f'<div class="answer tw-{tone}"><small>{mark} {escape(name)} · {escape(word)}</small>\n{said}</div>'


def _only(pair: ModelPair, words: Words) -> None:
    for title, suites in ((pair.reference, pair.only_reference), (pair.other, pair.only_other)):
        if suites:
            st.caption(words("model_comparison.only", model=parts.plain(title), suites=", ".join(suites)))
