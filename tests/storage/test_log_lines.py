"""Lines of logs: what they are about, as JSON and as a person reads them."""

import io
import json
import logging
import threading

import pytest

from storage.log_lines import JSON, TEXT, ReadableWriter, log_context, log_to_stream, readable


@pytest.fixture
def logged():
    """A stream; the root logger is as before afterwards."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield io.StringIO()
    root.handlers[:] = before
    root.setLevel(level)


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_line_says_what_it_is_about(logged):
    log_to_stream(JSON, "runner", stream=logged, job="train-7", run_id="")
    with log_context(request_id="0123456789abcdef"):
        logging.getLogger("runner").info("작업 %s 시작", "train-7")
    logging.getLogger("runner").warning("two\nlines")
    first, second = lines(logged)
    assert (
        first.items()
        >= {
            "level": "INFO",
            "logger": "runner",
            "message": "작업 train-7 시작",
            "service": "runner",
            "job": "train-7",
            "request_id": "0123456789abcdef",
        }.items()
    )
    assert first["time"].endswith("+00:00")
    assert "run_id" not in first
    assert second["message"] == "two\nlines"
    assert "request_id" not in second


def test_a_thread_that_was_not_told_is_about_nothing_of_the_call(logged):
    log_to_stream(JSON, "api", stream=logged)
    with log_context(request_id="0123456789abcdef"):
        thread = threading.Thread(target=lambda: logging.getLogger("other").info("beside"))
        thread.start()
        thread.join()
    assert "request_id" not in lines(logged)[0]


def test_a_traceback_is_part_of_its_line_and_is_read_below_it(logged):
    log_to_stream(JSON, "api", stream=logged)
    try:
        raise ValueError("무엇")
    except ValueError:
        logging.getLogger("api").exception("failed")
    (line,) = logged.getvalue().splitlines()
    assert json.loads(line)["exception"].endswith("ValueError: 무엇")
    shown = readable(line).splitlines()
    assert shown[0].endswith(" api ERROR failed")
    assert shown[-1] == "ValueError: 무엇"


def test_text_names_the_request_at_its_end(logged):
    log_to_stream(TEXT, "api", stream=logged)
    with log_context(request_id="0123456789abcdef"):
        logging.getLogger("api").info("done")
    assert logged.getvalue().rstrip().endswith("api INFO done [0123456789abcdef]")


@pytest.mark.parametrize("line", ["", "plain", '{"time": 3}', '{"time": "yesterday", "logger": "x"}', '{"time":'])
def test_what_is_no_line_of_ours_is_read_as_it_is(line):
    assert readable(line) == line


def test_parts_of_a_log_are_readable_whatever_is_cut(logged):
    log_to_stream(JSON, "api", stream=logged)
    logging.getLogger("api").info("first")
    logging.getLogger("api").info("second")
    written = f"50 %\r100 %\n{logged.getvalue()}rest"
    for step in (1, 7, 1000):
        out = io.StringIO()
        writer = ReadableWriter(out)
        for start in range(0, len(written), step):
            writer.write(written[start : start + step])
        first, second, third, rest = out.getvalue().split("\n")
        assert first == "50 %\r100 %"
        assert second.endswith("api INFO first")
        assert third.endswith("api INFO second")
        assert rest == "rest"
