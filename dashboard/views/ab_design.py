"""An A/B test before it starts: what it is to find, how many users and days that takes, and its start."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, time
from html import escape
from typing import TYPE_CHECKING

import streamlit as st
from pydantic import ValidationError

from contracts.access import ResourceKind
from contracts.arms import arm_label
from contracts.enums import ExperimentPolicy, GuardrailName
from contracts.errors import TunewayError
from contracts.experiments import StartABTestRequest
from contracts.training import NAME_PATTERN
from dashboard import charts, parts, reading, writing
from dashboard.formats import SEOUL, duration, number, percent
from dashboard.views.ab_design_arms import arms_fields

if TYPE_CHECKING:
    from contracts.models import ModelVersion
    from dashboard.reading import PlannedTest
    from dashboard.texts import Words
    from dashboard.visits import Visit

OPEN = "design"
PREFIX = "design-"
NAMELESS = "new"
METRICS = ("user_rating", "response_time_ms")
EFFECTS = {"user_rating": (0.05, 2.0, 0.3, 0.05), "response_time_ms": (0.02, 2.0, 0.1, 0.01)}
"""Least, most, proposed and step, in the metric's unit."""
PROPOSED_TARGET = 200
DAY_SECONDS = 86_400


def offer(visit: Visit, words: Words) -> None:
    """The button that opens the form, for those who may start A/B tests."""
    if visit.may(ResourceKind.AB_TEST, "create"):
        st.button(words("ab_design.open"), key="design-open", icon=":material/add:", type="primary", on_click=_open)


def is_open() -> bool:
    """The address asks for the form."""
    asked: str | None = st.query_params.get(OPEN)
    return asked == "1"


def show(visit: Visit, words: Words) -> None:
    """The form, what the planner says of it, and the start."""
    visit.require(ResourceKind.AB_TEST, "create")
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.header(words("ab_design.title"), anchor=False)
        st.button(words("ab_design.close"), key="design-close", icon=":material/close:", on_click=_close)
    models = {model.model_id: model for model in reading.models_to_compare(visit)}
    if len(models) < 2:
        parts.empty(words("ab_design.too_few"), words("ab_design.too_few_text"))
        return
    left, right = st.columns([3, 2], gap="large")
    with left:
        given = _fields(models, words)
    with right:
        st.subheader(words("ab_design.plan"), anchor=False)
        try:
            # what it takes can be told before the test has a name
            request = StartABTestRequest.model_validate({**given, "experiment_name": NAMELESS})
        except ValidationError as error:
            for line in _wrong(error, words):
                st.error(line, icon=":material/error:")
            return
        planned = _plan(visit, request, words)
    if planned is None:
        return
    name = str(given["experiment_name"])
    if re.fullmatch(NAME_PATTERN, name):
        _start(visit, request.model_copy(update={"experiment_name": name}), planned, words)
    else:
        st.info(words("ab_design.wrong_experiment_name"), icon=":material/edit:")


def _open() -> None:
    st.query_params[OPEN] = "1"


def _close() -> None:
    if OPEN in st.query_params:
        del st.query_params[OPEN]
    for key in [str(key) for key in st.session_state if str(key).startswith(PREFIX)]:
        del st.session_state[key]


# The fields


def _fields(models: dict[int, ModelVersion], words: Words) -> dict[str, object]:
    """What the request says, as far as it was given."""
    name = st.text_input(words("ab_design.name"), key="design-name", max_chars=100, help=words("ab_design.name_help"))
    compared = arms_fields(models, words)
    columns = st.columns(2)
    with columns[0]:
        metric = st.selectbox(
            words("ab_tests.metric"), METRICS, format_func=lambda key: words(f"ab_design.{key}"), key="design-metric"
        )
    least, most, proposed, step = EFFECTS[metric]
    with columns[1]:
        effect = st.number_input(
            words("ab_design.effect"),
            min_value=least,
            max_value=most,
            value=proposed,
            step=step,
            help=words(f"ab_design.effect_help_{metric}"),
            key=f"design-effect-{metric}",
        )
    columns = st.columns(2)
    with columns[0]:
        target = st.number_input(
            words("ab_design.target"),
            min_value=0,
            max_value=10**9,
            value=PROPOSED_TARGET,
            step=50,
            help=words("ab_design.target_help"),
            key="design-target",
        )
    with columns[1]:
        values_per_user = st.number_input(
            words("ab_design.values_per_user"),
            min_value=1.0,
            max_value=1000.0,
            value=1.0,
            step=0.5,
            help=words("ab_design.values_per_user_help"),
            key="design-values",
        )
    columns = st.columns(2)
    with columns[0]:
        layer = st.slider(
            words("ab_design.layer"),
            1,
            100,
            100,
            1,
            format="%d %%",
            help=words("ab_design.layer_help"),
            key="design-layer",
        )
    with columns[1]:
        holdout = st.slider(
            words("ab_design.holdout"),
            0,
            50,
            0,
            1,
            format="%d %%",
            help=words("ab_design.holdout_help"),
            key="design-out",
        )
    policy = st.radio(
        words("ab_design.policy"),
        list(ExperimentPolicy),
        index=list(ExperimentPolicy).index(ExperimentPolicy.APPROVE),
        format_func=words.of,
        captions=[words(f"ab_design.policy_{policy.value}") for policy in ExperimentPolicy],
        key="design-policy",
    )
    guardrails = st.multiselect(
        words("ab_design.guardrails"),
        list(GuardrailName),
        default=list(GuardrailName),
        format_func=lambda found: words(f"ab_tests.guardrail_{found.value}"),
        help=words("ab_design.guardrails_help"),
        key="design-guardrails",
    )
    columns = st.columns(2)
    with columns[0]:
        starts = _moment("start", words)
    with columns[1]:
        ends = _moment("end", words)
    return {
        "experiment_name": name.strip(),
        **compared,
        "target_samples": target or None,
        "success_metric": metric,
        "effect": effect,
        "values_per_user": values_per_user,
        "guardrails": guardrails,
        "policy": policy,
        "layer_share": layer / 100,
        "traffic": {"holdout": holdout / 100, "starts_at": starts, "ends_at": ends},
    }


def _moment(which: str, words: Words) -> datetime | None:
    """A day and a time in Seoul; no day means at once, or until somebody ends it."""
    day: date | None = st.date_input(
        words(f"ab_design.{which}"), value=None, key=f"design-{which}-day", help=words(f"ab_design.{which}_help")
    )
    if day is None:
        return None
    clock: time = st.time_input(words(f"ab_design.{which}_time"), value=time(9), key=f"design-{which}-time")
    return datetime.combine(day, clock, SEOUL)


def _wrong(error: ValidationError, words: Words) -> list[str]:
    """Which fields do not hold what they must."""
    fields = {str(fault["loc"][0]) if fault["loc"] else "" for fault in error.errors()}
    # what is wrong with the request as a whole are two arms of one name
    told = {"traffic": "ab_design.wrong_traffic", "arms": "ab_design_arms.wrong", "": "ab_design_arms.wrong"}
    return [words(key) for key in sorted({told.get(field, "ab_design.wrong") for field in fields})]


# What the planner says


def _plan(visit: Visit, request: StartABTestRequest, words: Words) -> PlannedTest | None:
    per_day = st.number_input(
        words("ab_design.per_day"),
        min_value=0,
        max_value=10**8,
        value=50,
        step=10,
        help=words("ab_design.per_day_help"),
        key="design-per-day",
    )
    try:
        with st.spinner(words("ab_design.planning")):
            planned = reading.planned_size(visit, request, float(per_day) or None)
            curve = reading.size_curve(visit, request)
    except TunewayError as error:
        parts.error_parts(error.as_record(), words("ab_design.no_plan"), words)
        return None
    plan = planned.pair
    needed = planned.of_all(plan.samples_needed_with_looks)
    users = {arm.name: round(needed * arm.share / request.values_per_user) for arm in request.planned_arms}
    of_each = " · ".join(f"{arm_label(arm)} {number(count)}" for arm, count in users.items())
    once = words("ab_design.classical", n=number(planned.of_all(plan.samples_needed)))
    is_pair = len(users) == 2
    parts.html(
        parts.figures(
            [
                (words("ab_design.needed"), number(needed), once),
                (words("ab_design.users"), of_each if is_pair else number(math.ceil(needed / request.values_per_user))),
                (words("ab_design.days"), _days(plan.days_needed, words)),
            ]
        )
    )
    if not is_pair:
        header = [words(f"ab_design_arms.{name}") for name in ("arm", "of_users", "users")]
        lines = [
            [escape(arm_label(arm.name)), percent(arm.share, 0), number(users[arm.name])]
            for arm in request.planned_arms
        ]
        parts.html(parts.rows(header, lines, numeric=(1, 2)))
    if request.target_samples is not None:
        power = plan.power_at_samples if plan.outlook is None else plan.outlook.power
        parts.html(
            parts.figures(
                [
                    (words("ab_design.detectable"), number(plan.detectable_effect, 2)),
                    (words("ab_design.power"), percent(power, 0)),
                    (words("ab_design.days_at_target"), _days(plan.days_at_samples, words)),
                ]
            )
        )
        if plan.outlook is not None:
            st.caption(
                words(
                    "ab_design.outlook" if is_pair else "ab_design_arms.outlook",
                    false=percent(plan.outlook.false_winners),
                    users=number(plan.outlook.expected_users),
                )
            )
    figure = charts.size_chart(curve, request.effect, request.target_samples or needed, words)
    parts.chart(figure, "design-curve", words("ab_design.curve_alt"), picture="ab-size")
    st.caption(words("ab_design.curve_caption"))
    return planned


def _days(days: float | None, words: Words) -> str:
    return words("ab_design.days_unknown") if days is None else duration(days * DAY_SECONDS, words)


# The start


def _start(visit: Visit, request: StartABTestRequest, planned: PlannedTest, words: Words) -> None:
    accepted, plan = False, planned.pair
    if plan.is_enough is False:
        found = (
            words("ab_design.finds_nothing")
            if plan.detectable_effect is None
            else words("ab_design.finds", effect=number(plan.detectable_effect, 2))
        )
        st.warning(
            words(
                "ab_design.underpowered",
                samples=number(request.target_samples),
                found=found,
                wanted=number(request.effect, 2),
                needed=number(planned.of_all(plan.samples_needed_with_looks)),
            ),
            icon=":material/warning:",
        )
        accepted = st.checkbox(words("ab_design.accept"), key="design-accept")
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button(
            words("ab_design.start_now"),
            key="design-start-now",
            type="primary",
            icon=":material/science:",
            disabled=plan.is_enough is False and not accepted,
        )
        st.caption(words("ab_design.start_text"))
    if not pressed:
        return
    try:
        with st.spinner(words("ab_design.starting")):
            started = writing.start_experiment(visit, request.model_copy(update={"accept_underpowered": accepted}))
    except TunewayError as error:
        parts.error_parts(error.as_record(), words("ab_design.refused"), words)
        return
    _close()
    st.query_params["experiment"] = str(started.experiment_id)
    st.session_state.pop("choose-experiment", None)
    st.cache_data.clear()
    st.toast(words("ab_design.started", name=parts.plain(started.experiment_name)), icon=":material/science:")
    st.rerun()
