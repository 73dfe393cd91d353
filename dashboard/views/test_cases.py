"""Test suites: their versions, their cases to filter and edit, files brought in, and the lock."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from contracts.access import ResourceKind
from contracts.enums import SuiteKind, SuiteStatus
from contracts.errors import ConflictError, NotFoundError, TunewayError
from contracts.suite_versions import CaseProblem, ImportSuiteRequest
from contracts.suites import SUITE_NAME_PATTERN
from dashboard import parts, reading
from dashboard.formats import NOTHING, moment, number
from dashboard.links import choose
from dashboard.writing import import_suite, lock_suite, put_case, remove_case
from evaluation.case_columns import CASE_COLUMNS
from evaluation.case_rows import case_from_cells, row_of_case
from evaluation.case_tables import export_bytes, scorer_name, template_bytes
from evaluation.scorers.registry import SCORERS
from evaluation.scorers.score import UnusableCaseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contracts.evaluation import TestCase
    from contracts.suite_versions import ImportedSuite, StoredCase, SuiteListing
    from contracts.suites import SuiteVersion
    from dashboard.texts import Words
    from dashboard.visits import Visit

PAGE_CASES = 25
MOST_SHOWN_PROBLEMS = 20
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_TONES = {SuiteStatus.DRAFT: "waiting", SuiteStatus.LOCKED: "succeeded", SuiteStatus.ARCHIVED: "skipped"}
_TROUBLE, _SAID, _CHOSEN, _LOCKING, _ADDING = (
    f"test-cases-{name}" for name in ("trouble", "said", "chosen", "locking", "adding")
)
_TEXT_FIELDS = ("category", "pass_score", "source_document", "note")


def show(visit: Visit, words: Words) -> None:
    """Draw the page."""
    listings = {listing.name: listing for listing in reading.list_suites(visit)}
    if not listings:
        parts.empty(words("test_cases.empty"), words("test_cases.empty_text"))
        if visit.may(ResourceKind.SUITE, "create"):
            _import(visit, words)
        return
    left, right = st.columns([3, 2], gap="medium", vertical_alignment="bottom")
    with left:
        name = choose(
            "suite", words("test_cases.choose"), list(listings), lambda name: _described(listings, name, words)
        )
    versions = reading.suite_versions(visit, name)
    if not versions:
        raise NotFoundError(words("test_cases.not_there"), value=name)
    with right:
        version = _chosen_version(name, versions, words)
    _tell()
    _summary(version, words)
    if version.kind is SuiteKind.CASES:
        if visit.may(ResourceKind.SUITE, "lock"):
            _lock(visit, version, words)
        _cases(visit, version, words)
    _files(visit, version, words)
    if visit.may(ResourceKind.SUITE, "create"):
        _import(visit, words, version)


def _described(listings: dict[str, SuiteListing], name: str, words: Words) -> str:
    listing = listings.get(name)
    return name if listing is None else f"{name} · {words('unit.cases', n=number(listing.newest.case_count))}"


def _chosen_version(name: str, versions: Sequence[SuiteVersion], words: Words) -> SuiteVersion:
    by_number = {version.version: version for version in versions}
    key = f"{_CHOSEN}-{name}"
    wanted = st.session_state.pop(f"{key}-next", None)
    if wanted in by_number:
        st.session_state[key] = wanted
    elif st.session_state.get(key) not in by_number:
        in_use = [version for version in versions if version.status is not SuiteStatus.ARCHIVED]
        st.session_state[key] = (in_use or versions)[0].version
    chosen = st.selectbox(
        words("test_cases.version"),
        list(by_number),
        format_func=lambda number: f"v{number} · {words.of(by_number[number].status)}",
        key=key,
    )
    return by_number[chosen]


def _tell() -> None:
    """What the last action came to."""
    trouble, said = st.session_state.pop(_TROUBLE, None), st.session_state.pop(_SAID, None)
    if trouble:
        st.warning(parts.plain(trouble), icon=":material/report:")
    if said:
        st.success(parts.plain(said), icon=":material/task_alt:")


def _summary(version: SuiteVersion, words: Words) -> None:
    parts.html(parts.badge(words.of(version.status), _TONES[version.status]) + f" &nbsp;{escape(version.description)}")
    locked = NOTHING if version.locked_at is None else moment(version.locked_at, words.language)
    parts.html(
        parts.figures(
            [
                (words("test_cases.cases"), number(version.case_count)),
                (words("test_cases.categories"), number(len(version.categories))),
                (words("test_cases.made"), moment(version.created_at, words.language), version.created_by),
                (words("test_cases.locked"), locked, version.locked_by or ""),
            ]
        )
    )


def _lock(visit: Visit, version: SuiteVersion, words: Words) -> None:
    """The lock, asked twice."""
    if version.status is not SuiteStatus.DRAFT:
        if version.status is SuiteStatus.LOCKED:
            st.caption(words("test_cases.locked_text"))
        return
    if st.session_state.get(_LOCKING) != version.suite_id:
        st.button(
            words("test_cases.lock"), key="test-cases-lock", icon=":material/lock:", disabled=not version.case_count,
            on_click=st.session_state.__setitem__, args=(_LOCKING, version.suite_id),
        )  # fmt: skip
        return
    st.warning(
        words("test_cases.lock_question", title=parts.plain(version.title), n=number(version.case_count)),
        icon=":material/lock:",
    )

    def lock() -> None:
        st.session_state.pop(_LOCKING, None)
        try:
            locked = lock_suite(visit, version.suite_id)
        except TunewayError as error:
            st.session_state[_TROUBLE] = error.sentence()
        else:
            st.session_state[_SAID] = words("test_cases.was_locked", title=locked.title)

    with st.container(horizontal=True, gap="small"):
        st.button(words("test_cases.lock_yes"), key="test-cases-lock-yes", type="primary", on_click=lock)
        st.button(
            words("test_cases.cancel"), key="test-cases-lock-no", on_click=st.session_state.pop, args=(_LOCKING, None)
        )


def _cases(visit: Visit, version: SuiteVersion, words: Words) -> None:
    """The filtered table, and one case to edit."""
    every = words("test_cases.every_category")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        category = st.selectbox(
            words("test_cases.category"), [every, *version.categories], key=f"test-cases-category-{version.name}"
        )
        search = st.text_input(
            words("test_cases.search"), key=f"test-cases-search-{version.name}", help=words("test_cases.search_help"),
            icon=":material/search:",
        )  # fmt: skip
        pages = st.session_state.get(f"test-cases-pages-{version.name}", 1)
        page = st.number_input(
            words("test_cases.page", n=number(pages)),
            min_value=1,
            max_value=max(pages, 1),
            key=f"test-cases-page-{version.name}",
        )
    chosen = None if category == every else category
    found, total = reading.suite_cases(
        visit, version.suite_id, chosen, search or "", (page - 1) * PAGE_CASES, PAGE_CASES
    )
    needed = max(1, -(-total // PAGE_CASES))
    if needed != pages:
        st.session_state[f"test-cases-pages-{version.name}"] = needed
        st.rerun()
    st.caption(words("test_cases.found", n=number(total), total=number(version.case_count)))
    if found:
        parts.html(_table(found, words))
    if version.status is SuiteStatus.ARCHIVED or not visit.may(ResourceKind.SUITE, "update"):
        return
    if version.status is SuiteStatus.LOCKED:
        st.info(words("test_cases.edit_locked"), icon=":material/edit_note:")
    st.toggle(words("test_cases.add"), key=_ADDING)
    if st.session_state.get(_ADDING):
        _editor(visit, version, None, words)
    elif found:
        by_id = {stored.case.id: stored for stored in found}
        case_id = st.selectbox(
            words("test_cases.edit"),
            list(by_id),
            format_func=lambda name: f"{name} · {by_id[name].case.question[:60]}",
            key=f"test-cases-case-{version.suite_id}",
        )
        _editor(visit, version, by_id[case_id], words)


def _table(found: Sequence[StoredCase], words: Words) -> str:
    headers = {column.key: column.header.of(words.language.value) for column in CASE_COLUMNS}
    head = [headers[key] for key in ("id", "question", "accepted_answers", "category", "scorer", "note")]
    lines = []
    for stored in found:
        case = stored.case
        answers = " | ".join(case.accepted_answers) or ", ".join(
            f"{name}: {value}" for name, value in case.options.items()
        )
        edited = "" if stored.edited_at is None else f"{stored.edited_by} · {moment(stored.edited_at, words.language)}"
        cells = (
            case.id,
            case.question,
            answers,
            case.category,
            scorer_name(case.scorer, words.language.value),
            case.note,
        )
        lines.append([*(escape(cell) for cell in cells), escape(edited)])
    return parts.rows([*head, words("test_cases.edited")], lines)


def _editor(visit: Visit, version: SuiteVersion, stored: StoredCase | None, words: Words) -> None:
    """Every field of a case; a new one where there is none."""
    language = words.language.value
    headers = {column.key: column.header.of(language) for column in CASE_COLUMNS}
    cells = {} if stored is None else row_of_case(stored.case)
    mark = f"{version.suite_id}-{'new' if stored is None else stored.case.id}"
    keys: dict[str, str] = {}

    def field(key: str) -> str:
        keys[key] = f"test-cases-{key}-{mark}"
        return keys[key]

    names = list(SCORERS)
    scorer = st.selectbox(
        headers["scorer"],
        names,
        index=names.index(cells["scorer"]) if cells.get("scorer") in names else 0,
        format_func=lambda name: scorer_name(name, language),
        key=field("scorer"),
        help=words("test_cases.scorer_help"),
    )
    explained = words.named("scorer_explanation", scorer)
    if explained != scorer:
        st.caption(explained)
    with st.form(f"test-cases-form-{mark}"):
        st.text_area(headers["question"], value=cells.get("question", ""), key=field("question"), height=100)
        st.text_input(
            headers["accepted_answers"],
            value=cells.get("accepted_answers", ""),
            key=field("accepted_answers"),
            help=words("test_cases.parted"),
        )
        if scorer == "multiple_choice" or cells.get("choices"):
            st.text_input(
                headers["choices"],
                value=cells.get("choices", ""),
                key=field("choices"),
                help=words("test_cases.parted"),
            )
        for option in SCORERS[scorer].options:
            column = f"options.{option}"
            if column in headers:
                st.text_input(headers[column], value=cells.get(column, ""), key=field(column))
        for key in _TEXT_FIELDS:
            st.text_input(headers[key], value=cells.get(key, ""), key=field(key))
        st.form_submit_button(
            words("test_cases.save"),
            key=f"test-cases-save-{mark}",
            type="primary",
            icon=":material/check:",
            on_click=_save,
            args=(visit, version, stored, keys, words),
        )
    if stored is not None:
        _removal(visit, version, stored, words)


def _save(visit: Visit, version: SuiteVersion, stored: StoredCase | None, keys: dict[str, str], words: Words) -> None:
    """Store what the fields say, or leave the trouble for the page to tell."""
    cells = {} if stored is None else row_of_case(stored.case)
    scorer = str(st.session_state[keys["scorer"]])
    known = {f"options.{option}" for option in SCORERS[scorer].options}
    cells = {key: text for key, text in cells.items() if not key.startswith("options.") or key in known}
    cells |= {key: str(st.session_state.get(widget) or "") for key, widget in keys.items()}
    found = case_from_cells(cells)
    if isinstance(found, CaseProblem):
        st.session_state[_TROUBLE] = _problem(found, words)
        return
    _store(visit, version, stored, found, words)


def _store(visit: Visit, version: SuiteVersion, stored: StoredCase | None, case: TestCase, words: Words) -> None:
    try:
        kept = put_case(visit, version.suite_id, case, None if stored is None else stored.edited_at)
    except UnusableCaseError as error:
        st.session_state[_TROUBLE] = f"{words.of(error.fault)} ({error.value})"
    except ConflictError as error:
        st.session_state[_TROUBLE] = words("test_cases.conflict", who=error.value)
    except TunewayError as error:
        parts.refuse(error)
    else:
        _go_to(kept)
        st.session_state[_ADDING] = False
        st.session_state[_SAID] = words("test_cases.saved", case=case.id, title=kept.title)


def _removal(visit: Visit, version: SuiteVersion, stored: StoredCase, words: Words) -> None:
    case_id = stored.case.id

    def remove() -> None:
        try:
            kept = remove_case(visit, version.suite_id, case_id)
        except (ConflictError, NotFoundError) as error:
            st.session_state[_TROUBLE] = words("test_cases.conflict", who=error.value)
            return
        except TunewayError as error:
            parts.refuse(error)
            return
        _go_to(kept)
        st.session_state[_SAID] = words("test_cases.removed", case=case_id, title=kept.title)

    with st.container(horizontal=True, vertical_alignment="center"):
        sure = st.checkbox(
            words("test_cases.remove_sure", case=parts.plain(case_id)),
            key=f"test-cases-sure-{version.suite_id}-{case_id}",
        )
        st.button(
            words("test_cases.remove"),
            key="test-cases-remove",
            icon=":material/delete:",
            disabled=not sure,
            on_click=remove,
        )


def _go_to(version: SuiteVersion) -> None:
    """The next drawing shows the version that has the change."""
    st.session_state[f"{_CHOSEN}-{version.name}-next"] = version.version


def _problem(problem: CaseProblem, words: Words) -> str:
    headers = {column.key: column.header.of(words.language.value) for column in CASE_COLUMNS}
    place = f"{headers.get(problem.column, problem.column)}: " if problem.column else ""
    return f"{place}{words.of(problem.fault)}" + (f" ({problem.value})" if problem.value else "")


def _files(visit: Visit, version: SuiteVersion, words: Words) -> None:
    """The version as a file, and one to fill in."""
    language = words.language.value
    with st.expander(words("test_cases.files"), icon=":material/download:"), st.container(horizontal=True):
        st.download_button(
            words("test_cases.export"),
            data=lambda: export_bytes(reading.every_case(visit, version.suite_id), ".xlsx", language),
            file_name=f"{version.name}-v{version.version}.xlsx",
            mime=XLSX,
            key="test-cases-export",
        )
        _template(words)


def _template(words: Words) -> None:
    st.download_button(
        words("test_cases.template"),
        data=lambda: template_bytes(".xlsx", words.language.value),
        file_name="test-cases.xlsx",
        mime=XLSX,
        key="test-cases-template",
    )


def _import(visit: Visit, words: Words, version: SuiteVersion | None = None) -> None:
    """A file of cases: what it would bring, every wrong row, then the import."""
    with st.expander(words("test_cases.import"), icon=":material/upload_file:", expanded=version is None):
        st.caption(words("test_cases.import_where", folder=parts.plain(str(visit.settings.data_dir / "inbox"))))
        if version is None:
            _template(words)
        files = [file.path for file in reading.input_files(visit)]
        chosen = st.selectbox(
            words("test_cases.file"),
            files,
            index=None,
            placeholder=words("test_cases.choose_file"),
            key="test-cases-file",
        )
        name = st.text_input(
            words("test_cases.name"),
            value="" if version is None else version.name,
            max_chars=100,
            help=words("test_cases.name_help"),
            key=f"test-cases-name-{'' if version is None else version.name}",
        )
        adding = st.toggle(words("test_cases.add_to"), key="test-cases-add-to")
        if chosen is None or not name:
            return
        if re.fullmatch(SUITE_NAME_PATTERN, name) is None:
            st.warning(words("test_cases.name_help"), icon=":material/edit:")
            return
        request = ImportSuiteRequest(name=name, file=chosen, add=adding, dry_run=True)
        try:
            preview = import_suite(visit, request)
        except TunewayError as error:
            parts.error_parts(error.as_record(), words("test_cases.refused"), words)
            return
        _preview(preview, words)
        st.button(
            words("test_cases.bring_in"), key="test-cases-import", type="primary", disabled=bool(preview.problems),
            on_click=_bring_in, args=(visit, request, words),
        )  # fmt: skip


def _preview(preview: ImportedSuite, words: Words) -> None:
    counts = (
        ("cases", preview.cases),
        ("added", preview.added),
        ("changed", preview.changed),
        ("gone", preview.removed),
    )
    parts.html(parts.figures([(words(f"test_cases.{name}"), number(count)) for name, count in counts]))
    if not preview.problems:
        return
    st.error(words("test_cases.problems", n=number(len(preview.problems))), icon=":material/error:")
    lines = [
        [number(problem.row), escape(_problem(problem, words))] for problem in preview.problems[:MOST_SHOWN_PROBLEMS]
    ]
    parts.html(parts.rows([words("test_cases.row"), words("test_cases.problem")], lines, numeric=(0,)))


def _bring_in(visit: Visit, request: ImportSuiteRequest, words: Words) -> None:
    try:
        imported = import_suite(visit, request.model_copy(update={"dry_run": False}))
    except TunewayError as error:
        st.session_state[_TROUBLE] = error.sentence()
        return
    if imported.suite is not None:
        _go_to(imported.suite)
        key = "was_imported" if imported.is_new else "was_the_same"
        st.session_state[_SAID] = words(f"test_cases.{key}", title=imported.suite.title, n=number(imported.cases))
