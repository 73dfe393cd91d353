"""What tests of work in pieces share."""

import json

import pytest


@pytest.fixture
def plan(tmp_path):
    """Writes the plan of a piece of work, as a stage leaves it for its workers."""

    def write(**what):
        path = tmp_path / "plan.json"
        path.write_text(json.dumps(what), encoding="utf-8")
        return path

    return write
