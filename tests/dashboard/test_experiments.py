"""Trainings beside each other: which lines are drawn, what differs, what cannot be compared."""

import csv
import io
import json
import re
from base64 import b64decode
from itertools import pairwise

import pytest
from streamlit.testing.v1 import AppTest

from contracts.access import ResourceKind
from contracts.enums import JobStatus
from contracts.identity import Role
from dashboard import reading
from dashboard.curve_charts import RunLine, curve_chart
from dashboard.reading import CurveAxis, CurveMetric
from dashboard.sweep_charts import sweep_chart
from dashboard.texts import Language, Words
from dashboard.theme import RUN_COLOURS, RUN_DASHES
from tests.dashboard.conftest import come_in, open_page, text_of
from tests.dashboard.curves_story import START, STEPS, SWEEP, Curves, sweep_report, tell_curves, tell_sweep

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("visit")]

KOREAN = Words(Language.KOREAN)


@pytest.fixture
def curves(services) -> Curves:
    return tell_curves(services)


def compare(visit, *job_ids, axis=CurveAxis.STEP, smoothing=0.0) -> list[reading.ComparedJob]:
    return reading.compare_jobs(visit, job_ids, axis, smoothing).jobs


def drawn(app) -> list[str]:
    return [heading.value for heading in app.subheader]


def table(app: AppTest, title: str) -> str:
    """The markup of the table that begins with this heading cell."""
    (found,) = [str(element.value) for element in app.html if f'<th scope="col">{title}</th>' in element.value]
    return found


def test_the_address_names_the_jobs_follows_the_choice_and_each_keeps_its_colour(curves):
    app = open_page("experiments", "ko", jobs=f"{curves.fast},{curves.slow}")
    text = text_of(app)
    assert app.multiselect(key="choose-jobs").value == [curves.fast, curves.slow]
    assert f"#{curves.fast} rates-fast ✓ 완료 작업 보기 · MLflow에서 보기" in text
    assert drawn(app)[:6] == ["학습 손실", "검증 손실", "퍼플렉시티", "학습률", "초당 토큰", "기울기 크기"]
    assert len(app.get("plotly_chart")) == 6
    app.multiselect(key="choose-jobs").set_value([curves.slow]).run()
    assert app.query_params["jobs"] in (str(curves.slow), [str(curves.slow)])
    # the other's colour and dash are not taken over
    (legend,) = [element.value for element in app.html if '<ul class="tw-runs">' in element.value]
    (picture,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', legend)
    assert (
        f'stroke="{RUN_COLOURS[1]}" stroke-dasharray="{RUN_DASHES[1].replace("px", "")}"' in b64decode(picture).decode()
    )


def test_a_job_has_the_same_colour_and_dash_in_every_chart_and_no_two_share_them(visit, curves):
    jobs = compare(visit, curves.slow, curves.fast, smoothing=0.9)
    for metric in (CurveMetric.LOSS, CurveMetric.GRAD_NORM):
        lines = [RunLine(f"#{slot}", slot, item.curves[metric]) for slot, item in enumerate(jobs)]
        figure = curve_chart(metric, lines, CurveAxis.STEP, KOREAN, log=False)
        shown = [trace for trace in figure.data if trace.showlegend]
        assert [(trace.line.color, trace.line.dash) for trace in shown] == list(
            zip(RUN_COLOURS[:2], RUN_DASHES[:2], strict=True)
        )
        behind = [trace for trace in figure.data if not trace.showlegend]
        assert [trace.opacity < 0.5 for trace in behind] == [True, True]
        assert figure.layout.yaxis.title.text == KOREAN.of(metric)


def test_a_line_has_at_most_400_points_and_the_smoothed_one_scatters_less(visit, curves):
    (job,) = compare(visit, curves.slow, smoothing=0.95)
    curve = job.curves[CurveMetric.LOSS]
    assert curve.smooth is not None
    assert len(curve.measured) <= 400
    assert len(curve.smooth) <= 400
    assert curve.measured[0][0] == curve.smooth[0][0] == 1
    assert curve.measured[-1][0] == curve.smooth[-1][0] == STEPS

    def scatter(points):
        return sum(abs(after - before) for (_, before), (_, after) in pairwise(points))

    assert scatter(curve.smooth) < 0.2 * scatter(curve.measured)
    # what was measured over every validation row is not smoothed away
    assert job.curves[CurveMetric.EVAL_LOSS].smooth is None


def test_lines_are_drawn_by_epochs_and_by_time_as_they_were_recorded(visit, curves):
    (job,) = compare(visit, curves.slow, axis=CurveAxis.EPOCH)
    assert job.curves[CurveMetric.EVAL_LOSS].measured[-1][0] == 5.0
    (job,) = compare(visit, curves.slow, axis=CurveAxis.TIME)
    # two seconds a step, counted from the first value
    assert job.curves[CurveMetric.LOSS].measured[-1][0] == 2 * (STEPS - 1)
    line = RunLine("#1", 0, job.curves[CurveMetric.LOSS])
    figure = curve_chart(CurveMetric.LOSS, [line], CurveAxis.TIME, KOREAN, log=True)
    assert figure.layout.xaxis.title.text == "경과 시간(분)"
    assert figure.data[0].x[-1] == pytest.approx(2 * (STEPS - 1) / 60)
    assert figure.layout.yaxis.type == "log"


def test_the_way_of_looking_stands_in_the_address(curves):
    app = open_page("experiments", "ko", jobs=f"{curves.slow},x,,", axis="epoch", smoothing="0.6", log="maybe")
    assert app.multiselect(key="choose-jobs").value == [curves.slow]
    assert app.get("button_group")[0].value == CurveAxis.EPOCH
    assert app.slider(key="curve-smoothing").value == 0.6
    assert app.toggle(key="curve-log").value is False
    app.slider(key="curve-smoothing").set_value(0.0).run()
    assert "smoothing" not in app.query_params
    assert app.query_params["axis"] in ("epoch", ["epoch"])


def test_only_what_differs_is_listed_and_marked_until_everything_is_asked_for(curves):
    app = open_page("experiments", "ko", jobs=f"{curves.slow},{curves.fast}")
    told = table(app, "항목")
    assert '<code>learning_rate</code> <span title="작업마다 다른 값">≠</span>' in told
    assert '<td class="n">0.001</td><td class="n">0.005</td>' in told
    assert "lora_rank" not in told
    assert "서로 다른 값만 보기(1개)" in text_of(app)
    app.toggle(key="only-differing").set_value(False).run()
    told = table(app, "항목")
    assert '<th scope="row"><code>lora_rank</code></th><td class="n">8</td><td class="n">8</td>' in told
    assert "description" not in told


def test_jobs_of_other_objectives_are_said_not_to_be_comparable(curves):
    text = text_of(open_page("experiments", "ko", jobs=f"{curves.slow},{curves.preferences},{curves.fast}"))
    groups = f"지도 학습(SFT) #{curves.slow}, #{curves.fast}, 선호 학습(DPO) #{curves.preferences}"
    assert f"{groups}. 손실의 뜻이 서로 달라" in text
    assert "보상 차이" in text


def test_a_job_without_values_says_when_they_come_and_has_no_figures_yet(curves):
    app = open_page("experiments", "en", jobs=f"{curves.slow},{curves.waiting}")
    assert f"#{curves.waiting}: nothing recorded yet" in text_of(app)
    figures = table(app, "Figure")
    assert '<th scope="row">Eval loss</th><td class="n">0.300</td><td class="n">–</td>' in figures
    assert '<th scope="row">State</th><td class="n">Completed</td><td class="n">Waiting</td>' in figures
    assert "the values so far" in text_of(app)


def test_what_was_not_recorded_is_said(curves, services):
    path = services.settings.jobs_dir / f"train-{curves.slow}" / "metrics.jsonl"
    path.write_text(json.dumps({"step": 1, "timestamp": START, "loss": 2.0}) + "\n", encoding="utf-8")
    with services.unit_of_work() as uow:
        uow.jobs.fail(curves.waiting, JobStatus.FAILED, {"what": "no memory"})
    app = open_page("experiments", "en", jobs=f"{curves.slow},{curves.waiting}", axis="epoch")
    text = text_of(app)
    assert f"#{curves.slow}: not drawn, because Epoch was not recorded" in text
    assert f"#{curves.waiting}: ended before anything was recorded" in text
    app.get("button_group")[0].set_value(CurveAxis.STEP).run()
    assert "Not recorded by these jobs: Eval loss, Perplexity, Learning rate, Tokens/s" in text_of(app)


def test_jobs_that_are_not_there_or_not_for_the_reader_are_left_out_alike(curves, monkeypatch, services):
    with services.unit_of_work() as uow:
        engineer = uow.users.ensure("engineer", Role.ML_ENGINEER)
        uow.users.change("engineer", projects=["roads"])
        uow.ownership.claim(ResourceKind.JOB, curves.slow, engineer)
    outsider = come_in(monkeypatch, "seo", Role.VIEWER, ("tolls",))
    text = text_of(open_page("experiments", "ko", jobs=f"{curves.slow},{curves.fast},999", sweep="nothing"))
    assert f"#{curves.slow}, #999 작업은 없거나 볼 수 있는 권한이 없어 뺐습니다" in text
    assert "rates-slow" not in text
    assert "아직 탐색이 없습니다" in text
    assert reading.curves_as_csv(outsider, (curves.slow,)).splitlines() == [
        "job_id,job_name,metric,step,epoch,time,value"
    ]


def test_the_csv_holds_every_value_and_not_only_what_is_drawn(visit, curves):
    rows = list(csv.DictReader(io.StringIO(reading.curves_as_csv(visit, (curves.slow, curves.fast)))))
    losses = [row for row in rows if row["metric"] == "loss" and row["job_id"] == str(curves.slow)]
    assert len(losses) == STEPS
    assert (losses[-1]["step"], losses[-1]["epoch"], losses[0]["job_name"]) == (str(STEPS), "5.0", "rates-slow")
    assert losses[0]["time"].endswith("+00:00")
    assert {row["job_id"] for row in rows} == {str(curves.slow), str(curves.fast)}


def test_values_that_are_added_are_seen_although_the_file_was_read_before(visit, curves, services):
    (before,) = compare(visit, curves.slow)
    path = services.settings.jobs_dir / f"train-{curves.slow}" / "metrics.jsonl"
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"step": STEPS + 1, "timestamp": START + 9999, "loss": 0.07}) + "\n")
    reading_anew()
    (after,) = compare(visit, curves.slow)
    assert before.curves[CurveMetric.LOSS].measured[-1][0] == STEPS
    assert after.curves[CurveMetric.LOSS].measured[-1] == (STEPS + 1, 0.07)


def test_a_spike_of_one_step_survives_the_thinning():
    points = [(step, 1.0) for step in range(10_000)]
    points[4321] = (4321, 9.0)
    assert (4321, 9.0) in reading.thinned(points, 400)


def test_the_moving_average_starts_at_the_first_value():
    # 0.25 * 1 + 0.5 * 2, over the weights 0.25 + 0.5
    assert reading.smoothed([1.0, 2.0], 0.5) == pytest.approx([1.0, 1.25 / 0.75])
    assert reading.smoothed([3.0, 1.0, 2.0], 0.0) == [3.0, 1.0, 2.0]


def test_a_sweeps_trials_are_lines_and_the_best_stands_out():
    figure = sweep_chart(sweep_report(), KOREAN)
    by_name = {trace.name.partition(" (")[0]: trace for trace in figure.data}
    best = by_name["가장 좋음"]
    # the fourth trial: 0.008 lies at log(8)/log(20) of the range, rank 32 is the last of three, its loss the lowest
    assert best.y[:3] == pytest.approx((0.694, 0.833, 0.0), abs=0.001)
    assert best.line.width > max(trace.line.width for name, trace in by_name.items() if name != "가장 좋음")
    assert by_name["결과 없음"].x == (0, 1, None)
    assert sum(int(trace.name.rpartition("(")[2].rstrip(")")) for trace in figure.data) == 6


def test_the_best_trials_are_one_click_from_their_curves(curves, services):
    tell_sweep(services, [curves.slow, curves.fast])
    app = open_page("experiments", "ko", jobs=curves.preferences, sweep=SWEEP)
    text = text_of(app)
    assert "rates · 6 / 8" in text
    assert list(app.dataframe[0].value["시행"]) == ["3 ★", "2", "1", "4", "0"]
    app.button(key="compare-best").click().run()
    # the second trial came to 0.5, the first to 0.9
    assert app.multiselect(key="choose-jobs").value == [curves.fast, curves.slow]
    assert app.query_params["jobs"] in (f"{curves.fast},{curves.slow}", [f"{curves.fast},{curves.slow}"])


def reading_anew() -> None:
    """As seconds later."""
    import streamlit

    streamlit.cache_data.clear()
