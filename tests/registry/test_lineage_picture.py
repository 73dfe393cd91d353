"""The picture of a lineage: columns in order, no box on another, many documents as one."""

import itertools
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.enums import LineageKind
from contracts.lineage import LineageEdge, LineageGraph, LineageNode
from registry.lineage_layout import condense, lay_out
from registry.lineage_picture import HEIGHT, WIDTH, draw_dot, draw_svg, facts_of

SVG = "{http://www.w3.org/2000/svg}"


def node(node_id: str, label: str = "") -> LineageNode:
    kind, _, key = node_id.partition(":")
    return LineageNode(kind=LineageKind(kind), key=key, label=label or node_id)


def graph(edges: list[tuple[str, str]], root: str) -> LineageGraph:
    names = dict.fromkeys([root, *(name for edge in edges for name in edge)])
    return LineageGraph(
        root=root,
        nodes=[node(name) for name in names],
        edges=[LineageEdge(source=source, target=target) for source, target in edges],
    )


CHAIN = graph(
    [*((f"document:{n}", "dataset:1") for n in range(9)), ("dataset:1", "job:1"), ("job:1", "model:1")], "model:1"
)


def test_many_documents_of_one_dataset_are_one_box():
    svg = draw_svg(CHAIN, "ko")
    assert "document:0 외 8건" in svg
    assert "document:3" not in svg
    assert "document:0 and 8 more" in draw_svg(CHAIN, "en")


def test_the_picture_is_a_whole_svg_with_the_root_marked():
    picture = ElementTree.fromstring(draw_svg(CHAIN, "ko"))
    boxes = picture.findall(f"{SVG}g/{SVG}rect")
    assert [box.get("stroke-width") for box in boxes].count("3") == 1
    assert len(boxes) == 4
    assert len(picture.findall(f"{SVG}path")) == 3


def test_a_label_with_markup_stays_a_label():
    marked = LineageGraph(root="job:1", nodes=[node("job:1", '<script>"x"&</script>')], edges=[])
    assert "<script>" not in draw_svg(marked, "en")
    assert ElementTree.fromstring(draw_svg(marked, "en")).findall(f".//{SVG}script") == []
    assert '\\"x\\"' in draw_dot(marked, "en")


def test_dot_has_every_box_and_edge():
    dot = draw_dot(CHAIN, "en")
    assert len(re.findall(r"\[label=", dot)) == 4
    assert len(re.findall(r" -> ", dot)) == 3


NAMES = [f"job:{number}" for number in range(8)]
DAGS = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda pair: pair[0] < pair[1]), max_size=16, unique=True
)


@given(DAGS)
def test_in_any_lineage_boxes_never_overlap_and_lines_go_to_the_right(pairs):
    layout = lay_out(graph([(NAMES[one], NAMES[other]) for one, other in pairs], NAMES[0]))
    placed = sorted(layout.places.values())
    for (column, row), (other_column, other_row) in itertools.pairwise(placed):
        assert column != other_column or other_row - row >= 1 - 1e-9
    assert all(0 <= row <= layout.rows - 1 + 1e-9 for _, row in placed)
    for line in layout.lines:
        columns = [column for column, _ in line]
        assert columns == list(range(columns[0], columns[-1] + 1))
        assert len(columns) >= 2


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_picture_is_as_large_as_its_boxes_need(language):
    picture = ElementTree.fromstring(draw_svg(CHAIN, language))
    assert float(picture.get("width", "0")) >= 4 * WIDTH
    assert float(picture.get("height", "0")) >= HEIGHT


def test_what_is_told_beside_a_name_is_in_the_readers_language():
    facts = {"cases": 200, "status": "completed", "step": 365}
    told = LineageGraph(root="job:1", nodes=[node("job:1").model_copy(update={"details": facts})], edges=[])
    (box,) = condense(told)[0].values()
    assert facts_of(box, "ko") == "200문항 · 365스텝 · 완료"
    assert facts_of(box, "en") == "200 cases · step 365 · completed"
    benchmark = LineageGraph(
        root="suite:1", nodes=[node("suite:1").model_copy(update={"details": {"cases": 0}})], edges=[]
    )
    (box,) = condense(benchmark)[0].values()
    assert facts_of(box, "ko") == ""
