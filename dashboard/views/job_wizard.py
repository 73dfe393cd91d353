"""A fine-tuning job in five steps: dataset version, base model, method, settings beside their plan, review and start."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from contracts.access import ResourceKind
from contracts.enums import Method, Priority
from contracts.errors import TunewayError
from contracts.fitting import FitVerdict
from contracts.jobs import DEFAULT_PROJECT
from dashboard import parts, reading, writing
from dashboard.formats import number, small
from dashboard.job_draft import LARGEST_SEED, STEPS, JobDraft, WizardStep
from dashboard.links import link
from dashboard.views.job_plan import show_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from contracts.datasets import DatasetVersion
    from dashboard.texts import Words
    from dashboard.visits import Visit
    from training.recipe import Recipe

DRAFT = "job-draft"
OPEN = "new"
ADDRESSED = (OPEN, "dataset", "clone")
LIMITS: dict[str, tuple[int, int]] = {
    "lora_rank": (1, 1024),
    "lora_alpha": (1, 4096),
    "batch_size": (1, 4096),
    "gradient_accumulation_steps": (1, 4096),
    "warmup_steps": (0, 1_000_000),
    "max_seq_length": (16, 262_144),
}


def offer(visit: Visit, words: Words) -> None:
    """The button that opens the wizard, for those who may start jobs."""
    if visit.may(ResourceKind.JOB, "create"):
        st.button(
            words("job_wizard.open"), key="wizard-open", icon=":material/add:", type="primary", on_click=open_wizard
        )


def offer_clone(visit: Visit, job_id: int, words: Words) -> None:
    """The button that opens it with a job's settings."""
    if not visit.may(ResourceKind.JOB, "create"):
        return
    if st.button(words("job_wizard.clone"), key=f"clone-{job_id}", icon=":material/content_copy:"):
        open_wizard(clone=job_id)
        st.rerun()


def open_wizard(**named: int) -> None:
    """Go on with what was begun, or begin with what is named."""
    st.query_params[OPEN] = "1"
    for name, value in named.items():
        st.query_params[name] = str(value)


def is_open() -> bool:
    """The address asks for the wizard."""
    asked: str | None = st.query_params.get(OPEN)
    return asked == "1"


def show_wizard(visit: Visit, words: Words) -> None:
    """The wizard at the step where the person is; a viewer is told that it is not theirs."""
    visit.require(ResourceKind.JOB, "create")
    draft = _draft(visit)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.header(words("job_wizard.title"), anchor=False)
        with st.container(horizontal=True, width="content"):
            st.button(
                words("job_wizard.anew"),
                key="wizard-anew",
                icon=":material/restart_alt:",
                on_click=_forget,
                args=(visit,),
            )
            st.button(words("job_wizard.close"), key="wizard-close", icon=":material/close:", on_click=_close)
    if draft.cloned_from:
        _tell_clone(draft, words)
    parts.html(_progress(draft.step, words))
    draw: dict[WizardStep, Callable[[Visit, JobDraft, Words], None]] = {
        WizardStep.DATASET: _dataset,
        WizardStep.BASE_MODEL: _base_model,
        WizardStep.METHOD: _method,
        WizardStep.SETTINGS: _settings,
        WizardStep.REVIEW: _review,
    }
    draw[draft.step](visit, draft, words)


def _draft(visit: Visit) -> JobDraft:
    """The session's draft, also after a reload, unless the address names another beginning."""
    origin = (st.query_params.get("dataset", ""), st.query_params.get("clone", ""))
    draft: JobDraft | None = st.session_state.get(DRAFT)
    if draft is None:
        begun = visit.shelf.get(DRAFT)
        draft = begun if isinstance(begun, JobDraft) else None
        st.session_state[DRAFT] = draft
    if draft is None or (origin != draft.origin and any(origin)):
        draft = JobDraft(origin=origin)
        dataset, clone = origin
        if clone.isdecimal():
            _fill(draft, reading.cloned_job(visit, int(clone)), visit)
        elif dataset.isdecimal():
            visit.require(ResourceKind.DATASET, "read", int(dataset))
            draft.dataset_id, draft.step = int(dataset), WizardStep.BASE_MODEL
        _clear_fields()
        st.session_state[DRAFT] = visit.shelf[DRAFT] = draft
    return draft


def _fill(draft: JobDraft, cloned: reading.ClonedJob, visit: Visit) -> None:
    training = cloned.request.training
    draft.cloned_from = training.job_name
    draft.dataset_id, draft.base_model, draft.method = training.dataset_id, training.base_model, training.method
    known = reading.recipes_for(visit, draft.method)
    if training.recipe in known:
        draft.recipe, draft.left_out, draft.step = training.recipe, cloned.left_out, WizardStep.SETTINGS
        recipe = known[training.recipe]
        draft.numbers = {
            name: small(value) if name == "learning_rate" else value
            for name, value in cloned.numbers.items()
            if value != getattr(recipe, name)
        }
    else:
        draft.step = WizardStep.METHOD
    draft.cards = min(training.num_gpus, max(1, len(reading.job_cards(visit))))
    draft.seed, draft.project, draft.priority = training.seed, cloned.request.project, cloned.request.priority
    draft.job_name = reading.free_job_name(visit, training.job_name)


def _tell_clone(draft: JobDraft, words: Words) -> None:
    st.caption(words("job_wizard.cloned", name=parts.plain(draft.cloned_from)))
    if draft.left_out:
        told = ", ".join(f"{name} {value}" for name, value in draft.left_out.items())
        st.warning(words("job_wizard.left_out", settings=parts.plain(told)), icon=":material/difference:")


def _progress(present: WizardStep, words: Words) -> str:
    """The five steps, and which one this is."""
    items = []
    for place, step in enumerate(STEPS, start=1):
        is_done, is_here = place <= STEPS.index(present), step is present
        tone = "running" if is_here else "succeeded" if is_done else "waiting"
        here = ' aria-current="step"' if is_here else ""
        items.append(f'<li class="tw-{tone}"{here}><i>{"✓" if is_done else place}</i>{escape(words.of(step))}</li>')
    return f'<ol class="tw-wizard">{"".join(items)}</ol>'


# The steps


def _dataset(visit: Visit, draft: JobDraft, words: Words) -> None:
    versions = {dataset.dataset_id: dataset for dataset in reading.trainable_datasets(visit)}
    if not versions:
        parts.empty(words("job_wizard.no_datasets"), words("job_wizard.no_datasets_text"))
        link("datasets", words("job_wizard.to_datasets"), words)
        return
    chosen = st.selectbox(
        words("job_wizard.dataset"),
        list(versions),
        index=list(versions).index(draft.dataset_id) if draft.dataset_id in versions else None,
        format_func=lambda dataset_id: _version(versions[dataset_id], words),
        placeholder=words("job_wizard.choose"),
        key="wizard-dataset",
    )
    draft.dataset_id = chosen
    if chosen is not None:
        dataset = versions[chosen]
        parts.html(
            parts.figures(
                [
                    (words("job_wizard.train_rows"), words("unit.rows", n=number(dataset.train_samples))),
                    (words("job_wizard.validation_rows"), words("unit.rows", n=number(dataset.val_samples))),
                    (words("job_wizard.quality"), f"{dataset.quality_score:.3f}"),
                ]
            )
        )
        link("datasets", words("runs.open_dataset"), words, dataset=chosen)
    _buttons(draft, words, missing="" if chosen is not None else words("job_wizard.dataset_missing"))


def _version(dataset: DatasetVersion, words: Words) -> str:
    return f"{dataset.name} {dataset.version} · {words('unit.rows', n=number(dataset.train_samples))}"


def _base_model(visit: Visit, draft: JobDraft, words: Words) -> None:
    names = reading.base_models(visit)
    if draft.base_model is not None and draft.base_model not in names:
        names = [draft.base_model, *names]
    if not names:
        parts.empty(words("job_wizard.no_models"), words("job_wizard.no_models_text"))
        _buttons(draft, words, missing=words("job_wizard.model_missing"))
        return
    before = draft.base_model
    draft.base_model = st.selectbox(
        words("job_wizard.base_model"),
        names,
        index=names.index(before) if before is not None else 0 if len(names) == 1 else None,
        placeholder=words("job_wizard.choose"),
        help=words("job_wizard.base_model_help"),
        key="wizard-model",
    )
    if draft.base_model != before:
        draft.recipe = None
    if draft.base_model is not None and draft.dataset_id is not None:
        reading.begin_measuring(visit, draft.dataset_id, draft.base_model)
    _buttons(draft, words, missing="" if draft.base_model is not None else words("job_wizard.model_missing"))


def _method(visit: Visit, draft: JobDraft, words: Words) -> None:
    methods = list(Method)
    method = st.radio(
        words("job_wizard.method"),
        methods,
        index=methods.index(draft.method),
        format_func=words.of,
        captions=[words(f"job_wizard.method_{method.value}") for method in methods],
        key="wizard-method",
    )
    if method is not draft.method:
        draft.method, draft.recipe = method, None
    found = reading.recipes_for(visit, method)
    assert draft.base_model is not None, "the step before is done"
    named = reading.default_recipe(visit, draft.base_model, method)
    at = draft.recipe if draft.recipe in found else named
    recipe = st.selectbox(
        words("job_wizard.recipe"),
        list(found),
        index=list(found).index(at) if at in found else None,
        format_func=lambda name: f"{name} ★" if name == named else name,
        placeholder=words("job_wizard.choose"),
        help=words("job_wizard.recipe_help"),
        key=f"wizard-recipe-{method.value}",
    )
    if recipe is None:
        _buttons(draft, words, missing=words("job_wizard.recipe_missing"))
        return
    if recipe != draft.recipe:
        draft.take(recipe)
        draft.cards = min(found[recipe].num_gpus, max(1, len(reading.job_cards(visit))))
    st.caption(parts.plain(found[recipe].description))
    _buttons(draft, words)


def _settings(visit: Visit, draft: JobDraft, words: Words) -> None:
    recipe = _recipe_of(visit, draft)
    if not draft.job_name:
        dataset = next((one for one in reading.list_datasets(visit) if one.dataset_id == draft.dataset_id), None)
        draft.job_name = reading.free_job_name(visit, dataset.name if dataset else "job", draft.method.value)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _fields(visit, draft, recipe, words)
    problems = draft.problems()
    with right:
        st.subheader(words("job_plan.title"), anchor=False)
        if problems:
            st.caption(words("job_plan.correct_first"))
            plan = None
        else:
            plan = show_plan(visit, draft, recipe, words, propose=_propose)
    if problems:
        missing = words("job_wizard.correct")
    elif plan is None:
        missing = words("job_wizard.cannot_start")
    elif plan.fit.verdict is FitVerdict.TOO_LARGE:
        missing = words("job_wizard.too_large")
    elif plan.fit.disk is not None and not plan.fit.disk.fits:
        missing = words("job_wizard.disk_full")
    else:
        missing = ""
    _buttons(draft, words, missing=missing)


def _fields(visit: Visit, draft: JobDraft, recipe: Recipe, words: Words) -> None:
    draft.job_name = _text("job_name", words("job_wizard.job_name"), draft.job_name, 127, words("job_wizard.name_help"))
    if "job_name" in draft.problems():
        st.error(words("job_wizard.name_wrong"), icon=":material/error:")
    fields = draft.fields()
    for pair in (fields[place : place + 2] for place in range(0, len(fields), 2)):
        for column, name in zip(st.columns(2), pair, strict=False):
            with column:
                _number(draft, name, recipe, words)
    columns = st.columns(2)
    cards = reading.job_cards(visit)
    with columns[0]:
        sizes = list(range(1, max(1, len(cards)) + 1))
        key = "wizard-cards"
        st.session_state.setdefault(key, min(draft.cards, sizes[-1]))
        draft.cards = st.selectbox(
            words("job_wizard.cards"), sizes, help=words("job_wizard.cards_help"), disabled=len(sizes) == 1, key=key
        )
    with columns[1]:
        key = "wizard-priority"
        st.session_state.setdefault(key, draft.priority)
        draft.priority = st.selectbox(
            words("job_wizard.priority"),
            list(Priority),
            format_func=words.of,
            help=words("job_wizard.priority_help"),
            key=key,
        )
    projects = list(dict.fromkeys([draft.project, DEFAULT_PROJECT, *visit.principal.projects]))
    columns = st.columns(2)
    with columns[0]:
        st.session_state.setdefault("wizard-seed", draft.seed)
        draft.seed = int(
            st.number_input(
                words("job_wizard.seed"),
                min_value=0,
                max_value=LARGEST_SEED,
                step=1,
                help=words("job_wizard.seed_help"),
                key="wizard-seed",
            )
        )
    if len(projects) > 1:
        with columns[1]:
            st.session_state.setdefault("wizard-project", draft.project)
            draft.project = st.selectbox(
                words("job_wizard.project"), projects, help=words("job_wizard.project_help"), key="wizard-project"
            )


def _text(name: str, label: str, value: str, most: int, tip: str) -> str:
    key = f"wizard-{name}"
    st.session_state.setdefault(key, value)
    given: str = st.text_input(label, max_chars=most, help=tip, key=key)
    return given.strip()


def _number(draft: JobDraft, name: str, recipe: Recipe, words: Words) -> None:
    """One number's field; below it the recipe's, where it was changed."""
    key, label = f"wizard-{name}-{draft.recipe}", words(f"job_wizard.{name}")
    own, present = getattr(recipe, name), draft.number(name, recipe)
    if name == "learning_rate":
        st.session_state.setdefault(key, str(present))
        given: int | float | str = st.text_input(label, help=words("job_wizard.learning_rate_help"), key=key).strip()
        own = small(own)
    elif name == "num_epochs":
        st.session_state.setdefault(key, float(present))
        given = st.number_input(label, min_value=0.01, max_value=1000.0, step=0.5, format="%.2f", key=key)
    else:
        least, most = LIMITS[name]
        st.session_state.setdefault(key, int(present))
        given = st.number_input(
            label, min_value=least, max_value=most, step=1, help=words(f"job_wizard.{name}_help"), key=key
        )
    draft.numbers[name] = given
    if name in draft.problems():
        st.error(words("job_wizard.rate_wrong"), icon=":material/error:")
    elif given != own:
        st.caption(words("job_wizard.recipe_says", value=small(own)))


def _review(visit: Visit, draft: JobDraft, words: Words) -> None:
    recipe = _recipe_of(visit, draft)
    changed = draft.changed(recipe)
    versions = {dataset.dataset_id: dataset for dataset in reading.list_datasets(visit)}
    dataset = versions.get(draft.dataset_id or 0)
    lines = [
        (words("job_wizard.job_name"), draft.job_name),
        (words("job_wizard.dataset"), f"#{draft.dataset_id}" if dataset is None else _version(dataset, words)),
        (words("job_wizard.base_model"), draft.base_model or ""),
        (words("job_wizard.method"), words.of(draft.method)),
        (words("job_wizard.recipe"), draft.recipe or ""),
    ]
    for name in draft.fields():
        value, own = changed.get(name), getattr(recipe, name)
        told = small(own) if value is None else words("job_wizard.instead", value=small(value), recipe=small(own))
        lines.append((words(f"job_wizard.{name}"), told))
    lines += [
        (words("job_wizard.cards"), str(draft.cards)),
        (words("job_wizard.priority"), words.of(draft.priority)),
        (words("job_wizard.project"), draft.project),
        (words("job_wizard.seed"), str(draft.seed)),
    ]
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.subheader(words("job_wizard.review"), anchor=False)
        parts.html(parts.rows(["", ""], [[escape(name), f"<b>{escape(value)}</b>"] for name, value in lines]))
    with right:
        st.subheader(words("job_plan.title"), anchor=False)
        show_plan(visit, draft, recipe, words)
    _start(visit, draft, recipe, words)


def _start(visit: Visit, draft: JobDraft, recipe: Recipe, words: Words) -> None:
    said = st.container()
    with st.container(horizontal=True):
        st.button(words("job_wizard.back"), key="wizard-back", icon=":material/arrow_back:", on_click=_go, args=(-1,))
        pressed = st.button(words("job_wizard.start"), key="wizard-start", type="primary", icon=":material/play_arrow:")
    st.caption(words("job_wizard.start_text"))
    if not pressed:
        return
    try:
        with said, st.spinner(words("job_wizard.starting")):
            created = writing.start_job(visit, draft.request(recipe, reading.job_cards(visit)), draft.key)
    except TunewayError as error:
        with said:
            parts.error_parts(error.as_record(), words("job_wizard.refused"), words)
        return
    if not created.is_started:
        with said:
            st.warning(words("job_wizard.kept", name=parts.plain(created.job.job_name)), icon=":material/cloud_off:")
            st.text(created.waiting_for or "")
        return
    _forget(visit)
    _close()
    st.query_params["job"] = str(created.job.job_id)
    st.session_state.pop("choose-job", None)
    st.cache_data.clear()
    st.toast(words("job_wizard.started", name=parts.plain(created.job.job_name)), icon=":material/task_alt:")
    st.rerun()


# Moving about


def _recipe_of(visit: Visit, draft: JobDraft) -> Recipe:
    """The chosen recipe; without it, the step before is not done."""
    found = reading.recipes_for(visit, draft.method)
    if draft.recipe not in found:
        # a recipe of the site's that was taken away meanwhile
        draft.step, draft.recipe = WizardStep.METHOD, None
        st.rerun()
    assert draft.recipe is not None, "a rerun does not come back"
    return found[draft.recipe]


def _buttons(draft: JobDraft, words: Words, *, missing: str = "") -> None:
    """Back and next; what is missing stands beside the button that waits for it."""
    place = STEPS.index(draft.step)
    with st.container(horizontal=True, vertical_alignment="center"):
        if place:
            st.button(
                words("job_wizard.back"), key="wizard-back", icon=":material/arrow_back:", on_click=_go, args=(-1,)
            )
        st.button(
            words("job_wizard.next"),
            key="wizard-next",
            type="primary",
            icon=":material/arrow_forward:",
            disabled=bool(missing),
            on_click=_go,
            args=(1,),
        )
        if missing:
            st.caption(missing)


def _go(by: int) -> None:
    draft: JobDraft | None = st.session_state.get(DRAFT)
    if draft is not None and (by < 0 or _take_fields(draft)):
        draft.step = STEPS[min(max(STEPS.index(draft.step) + by, 0), len(STEPS) - 1)]


def _take_fields(draft: JobDraft) -> bool:
    """Take what was entered a moment before the button was pressed: the step is left without being drawn once more.

    False where it has to be drawn once more.
    """
    fields = st.session_state
    match draft.step:
        case WizardStep.DATASET:
            draft.dataset_id = fields.get("wizard-dataset", draft.dataset_id)
        case WizardStep.BASE_MODEL:
            if (chosen := fields.get("wizard-model", draft.base_model)) != draft.base_model:
                draft.base_model, draft.recipe = chosen, None
        case WizardStep.METHOD:
            method = fields.get("wizard-method", draft.method)
            # another method has other recipes, and another recipe other numbers
            return bool(
                method is draft.method and fields.get(f"wizard-recipe-{method.value}", draft.recipe) == draft.recipe
            )
        case WizardStep.SETTINGS:
            draft.job_name = str(fields.get("wizard-job_name", draft.job_name)).strip()
            for name in draft.fields():
                given = fields.get(f"wizard-{name}-{draft.recipe}")
                if given is not None:
                    draft.numbers[name] = given.strip() if isinstance(given, str) else given
            draft.cards = int(fields.get("wizard-cards", draft.cards))
            draft.seed = int(fields.get("wizard-seed", draft.seed))
            draft.priority = fields.get("wizard-priority", draft.priority)
            draft.project = fields.get("wizard-project", draft.project)
            return not draft.problems()
        case _:
            pass
    return True


def _propose(changes: dict[str, str]) -> None:
    draft: JobDraft = st.session_state[DRAFT]
    draft.propose(changes)
    _clear_fields()


def _clear_fields() -> None:
    """The fields are filled from the draft when they are drawn again."""
    for key in [str(key) for key in st.session_state if str(key).startswith("wizard-")]:
        del st.session_state[key]


def _forget(visit: Visit) -> None:
    st.session_state.pop(DRAFT, None)
    visit.shelf.pop(DRAFT, None)
    _clear_fields()


def _close() -> None:
    for name in ADDRESSED:
        if name in st.query_params:
            del st.query_params[name]
