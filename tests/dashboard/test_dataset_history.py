"""The page of datasets: versions as a graph, and what is different between two."""

import pytest

from contracts.access import ResourceKind
from contracts.dataset_versions import LoggedCommit
from contracts.errors import ForbiddenError
from contracts.identity import Role
from dashboard import reading
from dashboard.commit_graph import Place, draw_svg, lay_out
from stages.dataset_versions import branch_version
from stages.prepare import prepare
from tests.dashboard.conftest import come_in, open_page, text_of
from tests.stages.test_prepare import imported, request, rows


def commit(name, *parents):
    return LoggedCommit(
        commit=name, parents=list(parents), created_at="2026-11-28T09:00:00+00:00", operation="prepare", message="",
        rows=1, samples={}, removed=0, masked=0, quality_score=1, branches=[], tags=[], version=None, dataset_id=None,
    )  # fmt: skip


def test_a_branch_has_a_lane_of_its_own_until_it_is_merged():
    history = [commit("m", "b", "x"), commit("b", "a"), commit("x", "a"), commit("a", "gone")]
    assert lay_out(history) == {"m": Place(0, 0), "b": Place(1, 0), "x": Place(2, 1), "a": Place(3, 0)}
    picture = draw_svg(history, "b")
    assert (picture.count("<circle"), picture.count("<path")) == (4, 4)


def test_versions_without_a_common_past_do_not_share_a_line():
    places = lay_out([commit("b"), commit("a")])
    assert places == {"b": Place(0, 0), "a": Place(1, 0)}
    assert "<path" not in draw_svg([commit("b"), commit("a")], None)


@pytest.fixture
def versions(services):
    """Two versions; in the second a question was added, one taken out and one answered otherwise."""
    first = prepare(request(imported(services, rows())), services)
    changed = rows()[1:]
    changed[0] = {**changed[0], "answer": "이제는 고객지원센터에서 담당합니다."}
    changed.append(
        {"question": "터널 조명 고장은 어디에 알립니까?", "answer": "교통관제센터에 알립니다.", "category": "터널"}
    )
    second = prepare(request(imported(services, changed)), services)
    branch_version("demo", "tried", services)
    return first, second


@pytest.mark.slow
def test_the_second_version_is_shown_after_the_first_and_compared_with_it(visit, versions):
    first, second = versions
    app = open_page("datasets", "ko", dataset=second.dataset_id, part="history")
    text = text_of(app)
    assert "버전 이력" in text
    assert text.index(f"{second.version} main tried") < text.index("정제 15행")
    assert "비교를 누르면" in text and "추가된 행" not in text
    app.button(key=f"compare-{second.dataset_id}").click().run()
    text = text_of(app)
    assert "추가된 행 1 삭제된 행 1 바뀐 행 1" in text
    assert "터널 조명 고장은 어디에 알립니까? 교통관제센터에 알립니다." in text
    assert "이전 · messages[1].content 영업관리처에서 담당합니다." in text
    assert app.query_params["from"] == str(first.dataset_id)

    english = open_page("datasets", "en", dataset=second.dataset_id, **{"from": first.dataset_id})
    assert "Rows added 1 Rows removed 1 Rows changed 1" in text_of(english)
    # a version with itself is not offered, and a number that is no version is not taken
    nonsense = open_page("datasets", "en", dataset=second.dataset_id, **{"from": 999})
    assert "Rows added" not in text_of(nonsense)


@pytest.mark.slow
def test_who_may_read_one_version_only_sees_nothing_of_the_others(visit, versions, services, monkeypatch):
    first, second = versions
    with services.unit_of_work() as uow:
        engineer = uow.users.ensure("engineer", Role.ML_ENGINEER)
        uow.users.change("engineer", projects=["roads"])
        uow.ownership.claim(ResourceKind.DATASET, first.dataset_id, engineer)
    stranger = come_in(monkeypatch, "lee", Role.VIEWER, ("tolls",))
    assert [commit.dataset_id for commit in reading.dataset_history(stranger, second.dataset_id)] == [second.dataset_id]
    for read in (reading.dataset_difference, lambda *given: reading.dataset_history(*given[:2])):
        with pytest.raises(ForbiddenError):
            read(stranger, first.dataset_id, second.dataset_id)
    text = text_of(open_page("datasets", "en", dataset=second.dataset_id, **{"from": first.dataset_id}))
    assert "There is one version only" in text and "Rows added" not in text
