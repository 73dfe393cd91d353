"""Review of generated samples: one after another, beside the passage they were made from, by mouse or by keyboard."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from contracts.enums import ReviewVerdict
from contracts.errors import ConflictError, InvalidRequestError, TunewayError
from contracts.generation import CurateRequest
from dashboard import parts, reading
from dashboard.formats import NOTHING, moment, number, percent
from dashboard.links import choose
from dashboard.writing import curate, decide_sample
from storage.stored_files import read_stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contracts.enums import QuestionTemplate
    from contracts.generation import GenerationReport, ReviewCounts, SampleReview
    from contracts.record import JsonObject
    from dashboard.reading import GenerationStory
    from dashboard.texts import Words
    from dashboard.visits import Visit

WAITING, ALL = "waiting", "all"
_TONES = {
    None: "waiting",
    ReviewVerdict.ACCEPT: "succeeded",
    ReviewVerdict.EDIT: "succeeded",
    ReviewVerdict.REJECT: "failed",
}
_CURRENT, _EDITING, _TROUBLE = "review-current", "review-editing", "review-trouble"


def show(visit: Visit, words: Words) -> None:
    """Draw the page."""
    stories = reading.list_generations(visit)
    if not stories:
        parts.empty(words("review.empty"), words("review.empty_text"))
        return
    by_id = {story.generation_id: story for story in stories}
    generation_id = choose("generation", words("review.choose"), list(by_id), str)
    story = by_id.get(generation_id)
    if story is None:
        # the address names one that is not listed: the same words as for every other missing item
        reading.review_counts(visit, generation_id)
        return
    if story.counts is None:
        st.warning(words("review.nothing_passed"), icon=":material/report:")
        _report(story, words, expanded=True)
        return
    _progress(story.counts, words)
    _queue(visit, generation_id, words)
    _export(visit, generation_id, words)
    _report(story, words, expanded=False)


def _progress(counts: ReviewCounts, words: Words) -> None:
    done = counts.total - counts.waiting
    share = done / counts.total if counts.total else 0.0
    st.progress(
        share, text=words("review.done", done=number(done), total=number(counts.total), share=percent(share, 0))
    )
    parts.html(
        parts.figures(
            [
                (words("review.total"), number(counts.total)),
                (words("review.waiting"), number(counts.waiting)),
                (words.of(ReviewVerdict.ACCEPT), number(counts.accepted)),
                (words.of(ReviewVerdict.EDIT), number(counts.edited)),
                (words.of(ReviewVerdict.REJECT), number(counts.rejected)),
            ]
        )
    )


def _queue(visit: Visit, generation_id: str, words: Words) -> None:
    """The chosen samples, one at a time."""
    template, shown = _filters(visit, generation_id, words)
    verdict = ReviewVerdict(shown) if shown in set(ReviewVerdict) else None
    ids = reading.samples_to_review(visit, generation_id, verdict, shown == WAITING, template)
    trouble = st.session_state.pop(_TROUBLE, None)
    if trouble:
        st.warning(words(trouble), icon=":material/group:")
    if not ids:
        nothing_waits = shown == WAITING and template is None
        st.info(words("review.all_done" if nothing_waits else "review.none_left"), icon=":material/task_alt:")
        return
    current = st.session_state.get(_CURRENT)
    if current not in ids:
        current = ids[0]
    st.session_state[_CURRENT] = current
    sample = reading.sample_to_review(visit, current)
    _sample(visit, sample, ids, words)


def _filters(visit: Visit, generation_id: str, words: Words) -> tuple[QuestionTemplate | None, str]:
    every = [WAITING, *(verdict.value for verdict in ReviewVerdict), ALL]
    labels = {WAITING: words("review.waiting"), ALL: words("review.all")}
    labels |= {verdict.value: words.of(verdict) for verdict in ReviewVerdict}
    # columns stand below each other in a narrow window, where the choices of a row would be cut off
    left, right = st.columns(2)
    with left:
        shown = st.segmented_control(
            words("review.show"), every, default=WAITING, format_func=labels.__getitem__, key="review-show"
        )
    there = reading.templates_to_review(visit, generation_id)
    template = None
    if len(there) > 1:
        with right:
            template = st.segmented_control(
                words("review.template"), there, format_func=words.of, key=f"review-template-{generation_id}"
            )
    return template, shown or WAITING


def _sample(visit: Visit, sample: SampleReview, ids: Sequence[int], words: Words) -> None:
    position = ids.index(sample.review_id)
    verdict = words("review.waiting") if sample.verdict is None else words.of(sample.verdict)
    judged = ""
    if sample.reviewed_at is not None:
        at = moment(sample.reviewed_at, words.language)
        judged = f" <small>{escape(words('review.judged', reviewer=sample.reviewer, at=at))}</small>"
    parts.html(
        f"{parts.badge(verdict, _TONES[sample.verdict])} &nbsp;<b>{escape(words.of(sample.template))}</b>"
        f' &nbsp;<span class="quiet">{escape(words("review.sample_of", number=number(position + 1), total=number(len(ids))))}'
        f"</span>{judged}"
    )
    is_editing = st.session_state.get(_EDITING) == sample.review_id
    if not is_editing:
        _buttons(visit, sample, ids, words)
    left, right = st.columns([3, 2], gap="large")
    with left:
        if is_editing:
            _editor(visit, sample, ids, words)
        else:
            _turns(sample, words)
    with right:
        _source(sample, words)


def _buttons(visit: Visit, sample: SampleReview, ids: Sequence[int], words: Words) -> None:
    position = ids.index(sample.review_id)

    def judge(verdict: ReviewVerdict | None) -> None:
        _decide(visit, sample, verdict, ids)

    with st.container(horizontal=True, gap="small"):
        st.button(
            words("review.accept"), key="review-accept", type="primary", icon=":material/check:", shortcut="a",
            disabled=sample.verdict is ReviewVerdict.ACCEPT, on_click=judge, args=(ReviewVerdict.ACCEPT,),
        )  # fmt: skip
        st.button(
            words("review.edit"), key="review-edit", icon=":material/edit:", shortcut="e",
            on_click=st.session_state.__setitem__, args=(_EDITING, sample.review_id),
        )  # fmt: skip
        st.button(
            words("review.reject"), key="review-reject", icon=":material/close:", shortcut="x",
            disabled=sample.verdict is ReviewVerdict.REJECT, on_click=judge, args=(ReviewVerdict.REJECT,),
        )  # fmt: skip
        if sample.verdict is not None:
            st.button(
                words("review.undo"),
                key="review-undo",
                icon=":material/undo:",
                shortcut="u",
                on_click=judge,
                args=(None,),
            )
        st.button(
            words("review.previous"), key="review-previous", icon=":material/chevron_left:", shortcut="left",
            disabled=position == 0, on_click=_go, args=(ids[max(position - 1, 0)],),
        )  # fmt: skip
        st.button(
            words("review.next"), key="review-next", icon=":material/chevron_right:", shortcut="right",
            disabled=position == len(ids) - 1, on_click=_go, args=(ids[min(position + 1, len(ids) - 1)],),
        )  # fmt: skip


def _go(review_id: int) -> None:
    st.session_state[_CURRENT] = review_id
    st.session_state.pop(_EDITING, None)


def _decide(
    visit: Visit,
    sample: SampleReview,
    verdict: ReviewVerdict | None,
    ids: Sequence[int],
    edited: list[JsonObject] | None = None,
    note: str | None = None,
) -> bool:
    """Record the verdict and go on to the next sample. False, with the trouble on the page, where it is not taken."""
    try:
        decide_sample(
            visit,
            sample,
            verdict,
            edited_messages=edited,
            note=note,
        )
    except ConflictError:
        st.session_state[_TROUBLE] = "review.conflict"
        return False
    except InvalidRequestError:
        st.session_state[_TROUBLE] = "review.turn_empty"
        return False
    except TunewayError as error:
        parts.refuse(error)
        return False
    position = ids.index(sample.review_id)
    if verdict is not None and position + 1 < len(ids):
        _go(ids[position + 1])
    else:
        _go(sample.review_id)
    return True


def _turns(sample: SampleReview, words: Words) -> None:
    if sample.edited_messages is not None:
        st.caption(words("review.edited_by_hand"))
    parts.html("".join(_turn(message, words) for message in sample.edited_messages or sample.messages))
    if sample.note:
        parts.html(f"<small>{escape(words('review.note'))}</small><br>{escape(sample.note)}")


def _turn(message: JsonObject, words: Words) -> str:
    role = str(message.get("role"))
    label = words(f"review.{role}") if role in {"system", "user", "assistant"} else role
    return (
        f'<div class="tw-turn {escape(role)}"><b>{escape(label)}</b>'
        f'<div class="tw-text" tabindex="0">{escape(str(message.get("content", "")))}</div></div>'
    )


def _editor(visit: Visit, sample: SampleReview, ids: Sequence[int], words: Words) -> None:
    """Every turn as a field."""
    present = sample.edited_messages or sample.messages
    contents = []
    for index, message in enumerate(present):
        role = str(message.get("role"))
        label = words(f"review.{role}") if role in {"system", "user", "assistant"} else role
        text = str(message.get("content", ""))
        contents.append(
            st.text_area(label, value=text, key=f"review-turn-{sample.review_id}-{index}", height=_height(text))
        )
    note = st.text_input(
        words("review.note"), value=sample.note or "", key=f"review-note-{sample.review_id}", max_chars=500
    )
    with st.container(horizontal=True, gap="small"):
        saved = st.button(
            words("review.save"), key="review-save", type="primary", icon=":material/check:", shortcut="ctrl+enter"
        )
        st.button(words("review.cancel"), key="review-cancel", on_click=st.session_state.pop, args=(_EDITING, None))
    if not saved:
        return
    edited: list[JsonObject] = [
        {**message, "content": content.strip()} for message, content in zip(present, contents, strict=True)
    ]
    if edited == sample.messages:
        _decide(visit, sample, ReviewVerdict.ACCEPT, ids, note=note)
    else:
        _decide(visit, sample, ReviewVerdict.EDIT, ids, edited, note)
    st.rerun()


def _height(text: str) -> int:
    """Pixels that show most texts whole."""
    return min(max(90, 26 * (text.count("\n") + len(text) // 40 + 2)), 420)


def _source(sample: SampleReview, words: Words) -> None:
    """The passage, the words in it that the answer rests on, and where it stands."""
    lineage = sample.metadata.get("lineage")
    known = lineage if isinstance(lineage, dict) else {}
    headings = known.get("headings")
    place = [str(part) for part in (headings if isinstance(headings, list) else [])]
    if known.get("article"):
        place.append(str(known["article"]))
    if known.get("page"):
        place.append(words("review.page_number", n=known["page"]))
    facts = [
        ("review.document", escape(sample.document)),
        ("review.place", escape(" › ".join(place))),
        ("review.grounding", number(sample.grounding, 2)),
        ("review.quality", number(sample.quality, 2)),
    ]
    lines = [[f'<span class="whole">{escape(words(label))}</span>', value] for label, value in facts if value]
    st.markdown(f"**{words('review.source')}**")
    parts.html(f'<div class="tw-passage tw-text" tabindex="0">{_marked(sample.passage, known)}</div>')
    parts.html(parts.rows(["", ""], lines))


def _marked(passage: str, lineage: JsonObject) -> str:
    """The passage as markup; the quoted evidence stands out where the offsets are those of this text."""
    places = [lineage.get(name) for name in ("start", "end", "evidence_start", "evidence_end")]
    begin, end, first, last = (place if isinstance(place, int) else -1 for place in places)
    if min(begin, end, first, last) < 0 or len(passage) != end - begin:
        return escape(passage)
    first, last = first - begin, last - begin
    return f"{escape(passage[:first])}<mark>{escape(passage[first:last])}</mark>{escape(passage[last:])}"


def _export(visit: Visit, generation_id: str, words: Words) -> None:
    with st.expander(words("review.export"), icon=":material/download:"):
        st.markdown(words("review.export_text"))
        include_waiting = st.checkbox(words("review.include_waiting"), key="review-include-waiting")
        if not st.button(words("review.write"), key="review-write"):
            return
        curated = curate(visit, CurateRequest(generation_id=generation_id, include_waiting=include_waiting))
        if not curated.rows:
            st.info(words("review.nothing_to_export"))
            return
        st.success(words("review.written", n=number(curated.rows)))
        st.code(curated.path, language=None, wrap_lines=True)
        path = Path(curated.path)
        st.download_button(
            words("review.download"),
            read_stored(path),
            f"{generation_id}.jsonl",
            "application/jsonl",
            on_click="ignore",
        )


def _report(story: GenerationStory, words: Words, *, expanded: bool) -> None:
    report = story.report
    if report is None:
        return
    if report.unanswered:
        st.info(words("review.incomplete", n=number(report.unanswered)), icon=":material/hourglass_empty:")
    with st.expander(words("review.report"), icon=":material/summarize:", expanded=expanded):
        parts.html(parts.figures(_report_figures(report, words)))
        if report.rejected:
            lines = [[escape(words.of(fault)), number(count)] for fault, count in report.rejected.items()]
            parts.html(parts.rows([words("review.fault"), words("review.count")], lines, numeric=(1,)))


def _report_figures(report: GenerationReport, words: Words) -> list[tuple[str, str] | tuple[str, str, str]]:
    remark = words("review.estimated") if report.tokens_estimated else ""
    return [
        (words("review.documents"), number(len(report.documents))),
        (words("review.passages"), number(report.chunks)),
        (words("review.without_samples"), number(report.without_samples)),
        (words("review.generated"), number(report.generated)),
        (words("review.accepted_samples"), number(report.accepted)),
        (words("review.grounding"), number(report.mean_grounding, 2) if report.accepted else NOTHING),
        (words("review.quality"), number(report.mean_quality, 2) if report.accepted else NOTHING),
        (words("review.model"), report.model),
        (words("review.input_tokens"), number(report.input_tokens), remark),
        (words("review.output_tokens"), number(report.output_tokens), remark),
        (words("review.cost"), f"{number(report.cost, 0 if report.cost >= 100 else 2)} {report.currency}"),
    ]
