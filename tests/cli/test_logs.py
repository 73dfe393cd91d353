"""Logs: the end of a file, what is added to it, and over a rotation."""

import io

import pytest

from cli.logs import follow, last_lines, log_path
from contracts.errors import NotFoundError
from contracts.jobs import JobSubmission
from settings import Settings
from storage.files import write_text_atomically
from storage.job_folder import JobFolder


@pytest.mark.parametrize(
    ("text", "count", "end"),
    [
        ("a\nb\nc\n", 2, "b\nc\n"),
        ("a\nb\nc", 2, "b\nc"),
        ("a\n", 5, "a\n"),
        ("", 5, ""),
        ("a\nb\n", 0, ""),
        ("가\n나다\n" * 30_000, 3, "나다\n가\n나다\n"),
    ],
)
def test_the_last_lines_are_the_last_lines(tmp_path, text, count, end):
    path = tmp_path / "x.log"
    path.write_text(text, encoding="utf-8")
    assert last_lines(path, count) == (end, len(text.encode()))


def test_following_shows_what_is_added_and_goes_on_after_a_rotation(tmp_path):
    path = tmp_path / "x.log"
    path.write_text("old\n", encoding="utf-8")
    out = io.StringIO()
    acts = iter(
        [
            lambda: None,
            lambda: path.open("a", encoding="utf-8").write("added\n"),
            lambda: path.rename(tmp_path / "x.log.1"),
            lambda: path.write_text("after the rotation\n", encoding="utf-8"),
            lambda: None,
            lambda: None,
        ]
    )

    def goes_on():
        act = next(acts, None)
        if act is not None:
            act()
        return act is not None

    follow(path, path.stat().st_size, out, goes_on=goes_on)
    assert out.getvalue() == "added\nafter the rotation\n"


def test_a_job_is_named_like_a_process_and_shows_its_newest_attempt(tmp_path):
    settings = Settings(data_dir=tmp_path)
    folder = JobFolder(settings.jobs_dir / "train-7")
    submission = JobSubmission(job_key="train-7", kind="train", request={}, attempt=2)
    write_text_atomically(folder.submission, submission.model_dump_json())
    assert log_path(settings, "train-7") == folder.attempt(2).log


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    settings = Settings(data_dir=tmp_path)
    write_text_atomically(settings.logs_dir / "postgres.log", "")
    with pytest.raises(NotFoundError) as caught:
        log_path(settings, "redis")
    assert caught.value.allowed == "postgres"
