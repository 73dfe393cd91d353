"""How deep JSON goes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security.limits.json_depth import json_depth

VALUES = st.recursive(
    st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


def depth_of(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


@pytest.mark.parametrize(
    ("body", "depth"),
    [(b"", 0), (b"7", 0), (b'"[[["', 0), (rb'{"a\"[": [1]}', 2), (b"[" * 5000, 5000), (b'{"a": "\\\\", "b": [[]]}', 3)],
)
def test_brackets_in_texts_do_not_count(body, depth):
    assert json_depth(body) == depth


@given(VALUES)
def test_it_is_the_depth_of_the_parsed_value(value):
    assert json_depth(json.dumps(value).encode()) == depth_of(value)
