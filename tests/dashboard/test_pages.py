"""Every page, in both languages, over a real database."""

from pathlib import Path

import pytest

from contracts.enums import Arm, DecisionCause, ExperimentStatus, JobStatus, Method, ReplayMeasure, ReplaySource
from contracts.experiment_decisions import ExperimentDecision
from contracts.experiment_replays import PairedReading, ReplayABTestRequest, ReplayPlan, ReplayResult
from contracts.experiment_verdicts import Bounds, ExperimentVerdict
from contracts.record import utc_now
from contracts.training import TrainRequest
from dashboard import reading
from dashboard.views.ab_answer import NOBODY
from tests.dashboard.conftest import PAGES, come_in_earlier, open_page, text_of
from tests.dashboard.story import COMPLETE_RUN, FAILED_JOB, FINISHED_JOB, REFUSED_RUN, RUNNING_JOB, Story
from tests.ports import free_port
from tests.stages.compression import compression_report
from tests.stages.finished_job import finished_job

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("visit")]

EXPECTED = {
    ("overview", "ko"): [
        "최근 파이프라인 실행", "● 진행 중", "2026. 11. 22. 15:20", "학습 중 · 120 / 280 스텝 (43 %)", "남은 시간 1분 49초",
        "손실 0.661", "CPU 작업자 2개 가운데 1개 사용 중", "train-3#1", "regulations-assistant v1", "demo-base (base)",
        "24 / 200 (12 %)", "평점을 남긴 사용자가 약 36명 더 필요합니다", "A demo-base (base) 30 20 2.50 400 ms",
        "B regulations-assistant v1 32 24 4.25 450 ms",
    ],
    ("overview", "en"): [
        "Newest pipeline run", "● Running", "2026-11-22 15:20", "Training · step 120 / 280 (43 %)", "Time left 1 min 49 s",
        "1 of 2 CPU workers in use", "about 36 more users who rate are needed",
    ],
    ("datasets", "ko"): [
        "regulations v1.0", "표본 1,234건", "학습 1,110건", "검증 62건", "품질 점수 0.912", "개인정보 ✓ 통과", "모든 검사를 통과했습니다",
        "제거한 행과 그 이유", "1,234행 가운데 73행에서 개인정보를 가렸습니다", "정책에 따라 남긴 것: 이메일 3",
        "이름 담당자 [이름] 대리에게 문의", "영업소 [전화번호]로 <b>연락</b>", "장애 장애 일반 18 1.5 % 0.051 0 1 0",
        "표본 1,234행 가운데 18행이", "살펴볼 행 1건",
    ],
    ("datasets", "en"): ["Samples 1,234 rows", "Train 1,110 rows", "Personal data ✓ passed", "Rows removed, and why",
        "Personal data was masked in 73 of 1,234 rows", "disability disability at large 18 1.5 %", "Rows to look at: 1",
    ],
    ("models", "ko"): [
        "regulations-assistant v1", "○ 준비", "● 응답 중", "✓ 합격", "94.5 %", "90.4–96.9 %", "http://127.0.0.1:18100", "2.6 MB",
        "내력", "굵은 테두리가 이 모델입니다",
    ],
    ("models", "en"): ["○ Staging", "● answering", "✓ Pass", "94.5 % 90.4–96.9 % · 189 / 200", "LoRA adapter"],
    ("ab-tests", "ko"): [
        "아직 판정하지 않았습니다. 평점을 남긴 사용자가 약 36명 더 필요합니다.", "평점을 남긴 사용자 24명 / 계획 200명", "A · 현재 모델 demo-base (base) 12 30 20 2.50 400 ms",
        "B · 새 모델 regulations-assistant v1 12 32 24 4.25 450 ms", "50 % : 50 %",
    ],
    ("ab-tests", "en"): [
        "Not decided yet: about 36 more users who rate are needed.", "it decides nothing", "B · new model regulations-assistant v1 12 32 24 4.25",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("page", "language"), EXPECTED, ids="-".join)
def test_a_page_shows_the_numbers_of_the_installation(story, page, language):
    text = text_of(open_page(page, language))
    assert [expected for expected in EXPECTED[page, language] if expected not in text] == []


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        (
            "ko",
            [
                "✓ 완료 2026. 11. 22. 14:03 · 5분 32초", "✓ 가져오기 1,357건 3.0초", "✓ 정제 v1.0 · 1,234건 21초",
                "✓ 학습 손실 0.0812 3분 18초", "✓ 평가 94.5 % 1분 1초", "✓ 판정 합격", "가져온 행 1,357", "남은 행 1,234",
                "제거한 행 123", "가린 개인정보 81", "기반 모델 11.0 % 7.4–16.1 % · 22 / 200",
                "학습한 모델 94.5 % 90.4–96.9 % · 189 / 200", "새로 맞힘 173", "새로 틀림 6", "단측 95 % 신뢰 하한 91.21 %",
                "정확도가 합격 기준 90.0 %를 넘어 합격입니다(200문항 중 181문항부터 합격).", "등록한 모델 버전 regulations-assistant v1",
                "http://127.0.0.1:18001/v1/chat/completions", "새로 맞힌 문항 173", "173건 가운데 1–8번째",
                "정답: 2천만 원 ✕ 기반 모델의 답 규정에서 정한 바에 따릅니다. ✓ 학습한 모델의 답 2천만 원입니다.",
                "출처: 작업 폴더의 metrics.jsonl",
            ],
        ),
        (
            "en",
            [
                "✓ Finished 2026-11-22 14:03 · 5 min 32 s", "✓ Import 1,357 rows 3.0 s", "✓ Gate Pass", "Rows imported 1,357",
                "Tuned model 94.5 % 90.4–96.9 % · 189 / 200", "One-sided 95 % lower bound 91.21 %",
                "The verdict's reasons are recorded in Korean.", "정확도가 합격 기준 90.0 %를 넘어 합격입니다(200문항 중 181문항부터 합격).",
                "Newly right 173", "1–8 of 173",
            ],
        ),
    ],
    ids=["ko", "en"],
)  # fmt: skip
def test_a_finished_run_tells_its_whole_story(story, language, expected):
    text = text_of(open_page("runs", language, run=COMPLETE_RUN))
    assert [sentence for sentence in expected if sentence not in text] == []


def test_every_run_has_a_line_in_the_list(story):
    frame = open_page("runs", "ko").dataframe[0].value
    assert list(frame["상태"]) == ["진행 중", "완료", "불합격으로 종료"]
    assert list(frame["데이터셋"]) == ["regulations v1.0"] * 3
    assert list(frame["학습한 모델"]) == ["–", "94.5 %", "85.5 %"]
    assert list(frame["판정"]) == ["–", "합격", "불합격"]


def test_a_run_below_the_bar_says_why_and_shows_no_model(story):
    text = text_of(open_page("runs", "ko", run=REFUSED_RUN))
    assert "! 불합격으로 종료" in text
    assert "200문항 중 181문항부터 합격이며 10문항이 모자랍니다." in text
    assert "등록된 모델이 없습니다" in text
    assert "! 판정 불합격" in text


def test_a_run_that_trains_shows_its_curve_and_what_is_still_missing(story):
    text = text_of(open_page("runs", "ko"))
    assert "학습 중 · 120 / 280 스텝 (43 %)" in text
    assert "출처: 작업 폴더의 metrics.jsonl" in text
    assert "평가 결과가 아직 없습니다" in text
    assert "판정이 아직 없습니다" in text


def test_the_lost_cases_are_a_click_away_and_answers_are_never_markup(story):
    app = open_page("runs", "ko", run=COMPLETE_RUN)
    app.segmented_control(key="case-outcome").set_value(reading.CaseOutcome.LOST).run()
    drawn = "".join(element.value for element in app.html)
    assert "6건 가운데 1–6번째" in text_of(app)
    assert "10일 &lt;b&gt;이내&lt;/b&gt;입니다." in drawn
    assert "<b>이내</b>" not in drawn


def test_a_test_that_waits_for_an_answer_says_so_and_one_with_a_breach_says_which(story: Story, services):
    decision = ExperimentDecision(
        experiment_id=story.experiment_id, winner=Arm.A, cause=DecisionCause.GUARDRAIL, reason="r", look=None,
        guardrails=["failures"], actor="monitor_ab_test", decided_at=utc_now(),
    )  # fmt: skip
    with services.unit_of_work() as uow:
        uow.experiment_decisions.decide(decision)
    text = text_of(open_page("ab-tests", "ko"))
    assert "새 모델(B)이 안전장치를 어겨 테스트를 끝내고 현재 모델(A)로 되돌립니다: 답변 실패." in text
    assert "결론이 사람의 답을 기다립니다" in text


def test_a_replay_stands_beside_the_live_result_and_says_that_it_promotes_nothing(story: Story, services):
    reading_of_judge = PairedReading(
        measure=ReplayMeasure.JUDGE, pairs=40, units=31, wins_a=5, wins_b=25, ties=10, difference=0.48,
        bounds=Bounds(lower=0.21, upper=0.75, level=0.96), p_value=0.001, verdict=ExperimentVerdict.BETTER_B,
    )  # fmt: skip
    plan = ReplayPlan(
        request=ReplayABTestRequest(experiment_id=story.experiment_id), source=ReplaySource.RECORDED, source_name="",
        served_a="a", served_b="b", question_ids=["r"] * 40, units=31, decides=ReplayMeasure.JUDGE, alpha=0.04,
        detectable=0.39,
    )  # fmt: skip
    with services.unit_of_work() as uow:
        first = uow.experiment_replays.begin(1, plan)
        uow.experiment_replays.finish(
            first.replay_id,
            ReplayResult(readings=[reading_of_judge], judge_consistency=0.8, unstable_a=0, unstable_b=0),
        )
        uow.experiment_replays.begin(2, plan)
    text = text_of(open_page("ab-tests", "ko"))
    assert "리플레이 1: 새 모델(B)의 답이 더 좋습니다." in text
    assert "이 결과만으로 모델이 바뀌지 않습니다" in text
    assert "0.21 ~ 0.75" in text
    assert "리플레이 2: 질문 40개를 묻고 있습니다" in text


def test_an_answer_on_the_page_ends_the_test_with_name_and_reason(story: Story, services):
    decision = ExperimentDecision(
        experiment_id=story.experiment_id, winner=Arm.B, cause=DecisionCause.VERDICT, reason="r", look=None,
        actor="monitor_ab_test", decided_at=utc_now(),
    )  # fmt: skip
    with services.unit_of_work() as uow:
        uow.experiment_decisions.decide(decision)
    app = open_page("ab-tests", "ko")
    (send,) = [button for button in app.button if button.label == "답 보내기"]
    send.click().run()
    assert "이유를 적어 주십시오" in text_of(app)
    app.radio(key=f"answer-winner-{story.experiment_id}").set_value(NOBODY)
    app.text_input(key=f"answer-reason-{story.experiment_id}").set_value("더 지켜봅니다")
    (send,) = [button for button in app.button if button.label == "답 보내기"]
    send.click().run()
    assert "답을 기록하고 결론을 실행했습니다" in text_of(app)
    # and at the next look, which comes by itself
    assert "답을 기록하고 결론을 실행했습니다" in text_of(app.run())
    with services.unit_of_work() as uow:
        kept = uow.experiment_decisions.get(story.experiment_id)
        assert uow.experiments.get(story.experiment_id).status is ExperimentStatus.COMPLETED
    assert kept is not None and kept.answer is not None
    assert (kept.answer.winner, kept.answer.actor, kept.answer.reason) == (None, "kim", "더 지켜봅니다")


def test_jobs_are_listed_and_one_is_told_with_its_error_in_four_parts(story: Story):
    app = open_page("jobs", "ko", job=story.failed_job)
    text = text_of(app)
    assert list(app.dataframe[0].value["상태"]) == ["실패", "진행 중", "완료", "완료"]
    assert "무엇이 The batch does not fit into the memory" in text
    assert "받은 값 batch_size=4096" in text
    assert "허용되는 값 at most 64 with this model on this machine" in text
    assert "해야 할 일 start the job again with batch_size 64" in text
    assert "이 작업은 손실을 기록하기 전에 끝났습니다." in text


def test_a_finished_job_shows_its_report_settings_and_log(story: Story):
    app = open_page("jobs", "en", job=story.finished_job)
    text = text_of(app)
    for expected in (FINISHED_JOB, "✓ Completed", "Eval loss 0.119", "Perplexity 1.127", "Peak memory 1,388 MB",
                     "lora_rank 8", "learning_rate 0.005", "checkpoint-280 280 2.6 MB", "Newest lines: 3"):  # fmt: skip
        assert expected in text
    (log,) = [element.value for element in app.main.get("html") if "tw-log" in element.value]
    assert "학습을 시작합니다\nstep 280/280 loss 0.0812\nsaved output" in log


@pytest.mark.parametrize(
    ("language", "column", "method", "told"),
    [
        ("ko", "방식", "압축: INT8(가중치와 활성값 8비트 정수)", "초당 100.0토큰에서 150.0토큰으로, 1.50배"),
        ("en", "Method", "compression: INT8 (weights and activations in 8-bit integers)", "x 1.50"),
    ],
)
def test_a_compression_is_no_training_and_says_what_it_did(services, language, column, method, told):
    parent = finished_job(services, base_model=Path("/base"), output=services.settings.data_dir)
    with services.unit_of_work() as uow:
        job_id = uow.jobs.create(
            TrainRequest(
                job_name="small", dataset_id=parent.dataset_id, base_model="regulations-1", method=Method.FULL
            ),
            hyperparameters={"compression": "int8"},
            base_model_path="/parent",
        )
        uow.jobs.complete(job_id, compression_report(job_id=job_id, dataset_id=parent.dataset_id))
    app = open_page("jobs", language, job=job_id)
    assert next(iter(app.dataframe[0].value[column])) == method
    text = text_of(app)
    assert told in text
    assert "손실 곡선" not in text
    assert "Loss curve" not in text


def test_jobs_can_be_narrowed_to_a_state(story):
    app = open_page("jobs", "en")
    app.segmented_control(key="job-status").set_value(JobStatus.RUNNING).run()
    assert list(app.dataframe[0].value["Job"]) == [RUNNING_JOB]
    assert FAILED_JOB not in text_of(app)


@pytest.mark.parametrize("language", ["ko", pytest.param("en", marks=pytest.mark.deep)])
@pytest.mark.parametrize("page", PAGES)
def test_an_empty_installation_says_what_would_fill_the_page(services, page, language):
    expected = {
        "overview": ("아직 실행한 파이프라인이 없습니다", "No pipeline has run yet"),
        "runs": ("아직 실행한 파이프라인이 없습니다", "No pipeline has run yet"),
        "datasets": ("아직 데이터셋 버전이 없습니다", "There is no dataset version yet"),
        "review": ("검토할 표본이 아직 없습니다", "There are no samples to review yet"),
        "rating": ("평가할 답변이 아직 없습니다", "There are no answers to rate yet"),
        "test-cases": ("시험 세트가 아직 없습니다", "There is no test suite yet"),
        "jobs": ("아직 학습 작업이 없습니다", "There is no fine-tuning job yet"),
        "experiments": ("비교할 학습 작업이 아직 없습니다", "There is no fine-tuning job to compare yet"),
        "models": ("아직 등록된 모델이 없습니다", "No model is registered yet"),
        "ab-tests": ("진행 중인 테스트가 없습니다", "No test is running"),
    }
    assert expected[page][language == "en"] in text_of(open_page(page, language))


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(
    ("language", "title", "step"),
    [
        ("ko", "PostgreSQL이 응답하지 않습니다", "`tuneway up`으로"),
        pytest.param("en", "PostgreSQL does not answer", "`tuneway up` starts", marks=pytest.mark.deep),
    ],
    ids=["ko", "en"],
)
def test_a_database_that_is_away_is_said_with_what_to_do(monkeypatch, tmp_path, page, language, title, step):
    monkeypatch.setenv("TUNEWAY_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TUNEWAY_DATABASE_URL", f"postgresql+psycopg://tuneway:x@127.0.0.1:{free_port()}/tuneway")
    come_in_earlier(monkeypatch)
    text = text_of(open_page(page, language))
    assert title in text
    assert step in text


def test_a_database_without_tables_is_said_with_what_to_do(monkeypatch, tmp_path, postgres_server):
    monkeypatch.setenv("TUNEWAY_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TUNEWAY_DATABASE_URL", postgres_server.url("postgres"))
    come_in_earlier(monkeypatch)
    text = text_of(open_page("runs", "ko"))
    assert "데이터베이스에 테이블이 아직 없습니다" in text


def test_an_installation_that_was_never_started_is_told_to_start(monkeypatch, tmp_path):
    monkeypatch.setenv("TUNEWAY_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("TUNEWAY_DATABASE_URL", raising=False)
    assert "`tuneway up`을 한 번 실행합니다." in text_of(open_page("overview", "ko"))


def test_a_setting_that_is_wrong_is_said_instead_of_a_traceback(monkeypatch):
    monkeypatch.setenv("TUNEWAY_GPU_SLOTS", "none")
    text = text_of(open_page("overview", "ko"))
    assert "화면을 불러오지 못했습니다" in text
    assert "TUNEWAY_GPU_SLOTS" in text


@pytest.mark.parametrize(
    ("page", "name", "value"),
    [("runs", "run", "manual__nothing"), ("datasets", "dataset", 999), ("jobs", "job", 999), ("models", "model", 999),
     ("ab-tests", "experiment", 999)],
)  # fmt: skip
def test_an_address_that_names_nothing_is_said_to_be_not_found(story, page, name, value):
    assert "찾을 수 없습니다" in text_of(open_page(page, "ko", **{name: value}))


def test_korean_comes_first_and_english_is_one_click_away(story):
    app = open_page("ab-tests")
    assert "아직 판정하지 않았습니다" in text_of(app)
    app.button(key="switch-language").click().run()
    assert "Not decided yet" in text_of(app)
    assert app.query_params["lang"] in ("en", ["en"])
    app.button(key="switch-language").click().run()
    assert "아직 판정하지 않았습니다" in text_of(app)


def test_a_language_that_does_not_exist_is_read_as_korean(services):
    assert "아직 실행한 파이프라인이 없습니다" in text_of(open_page("overview", "fr"))
