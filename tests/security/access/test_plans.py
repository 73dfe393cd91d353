"""A plan is turned into a filter that is never wider than it."""

import pytest

from contracts.access import EVERYTHING, NOTHING, Visibility
from contracts.errors import UnavailableError
from security.access.plans import visibility_of

OWNER = {"variable": "request.resource.attr.owner"}
PROJECTS = {"variable": "request.resource.attr.projects"}


def expression(operator, *operands):
    return {"expression": {"operator": operator, "operands": list(operands)}}


def conditional(node):
    return visibility_of({"kind": "KIND_CONDITIONAL", "condition": node})


def test_all_nothing_and_some():
    assert visibility_of({"kind": "KIND_ALWAYS_ALLOWED"}) == EVERYTHING
    assert visibility_of({"kind": "KIND_ALWAYS_DENIED"}) == NOTHING
    mine = expression("eq", OWNER, {"value": "kim"})
    ours = expression("hasIntersection", PROJECTS, {"value": ["roads"]})
    nobodys = expression("eq", OWNER, {"value": ""})
    assert conditional(expression("or", expression("or", ours, mine), nobodys)) == Visibility(
        owners=["", "kim"], projects=["roads"]
    )


@pytest.mark.parametrize(
    "node",
    [
        {},
        expression("and", expression("eq", OWNER, {"value": "kim"})),
        expression("not", expression("eq", OWNER, {"value": "kim"})),
        expression("ne", OWNER, {"value": "kim"}),
        expression("eq", {"variable": "request.resource.attr.grade"}, {"value": "kim"}),
        expression("eq", OWNER, {"value": 7}),
        expression("hasIntersection", PROJECTS, {"value": [7]}),
        expression("or", expression("eq", OWNER, {"value": "kim"}), expression("lt", OWNER, {"value": "x"})),
    ],
)
def test_a_plan_that_is_not_understood_shows_nothing(node):
    with pytest.raises(UnavailableError):
        conditional(node)
    with pytest.raises(UnavailableError):
        visibility_of({"kind": "KIND_UNSPECIFIED"})
