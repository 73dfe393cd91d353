"""What looks again by itself meets a moment in which nobody decides what may be read: the page says so, and looks on."""

import pytest

from contracts.errors import UnavailableError
from dashboard import reading
from dashboard.views import uploading
from stages.uploads import complete_upload
from tests.dashboard.conftest import open_page, text_of
from tests.dashboard.test_uploading import UPLOAD, sent, table

pytestmark = pytest.mark.slow

UNDECIDED = UnavailableError("There is no decision on whether this is allowed, so it is refused.", value="TimeoutError")
TOLD = "권한을 판단하는 프로그램(Cerbos)이 응답하지 않습니다"


def test_a_job_whose_log_is_waited_for(story, visit, monkeypatch):
    looks = [None]

    def job_log(*_: object) -> None:
        if not looks:
            raise UNDECIDED
        looks.pop()

    monkeypatch.setattr(reading, "job_log", job_log)
    app = open_page("jobs", "ko", job=story.running_job)
    assert TOLD in text_of(app)


def test_an_upload_that_becomes_a_dataset(services, visit, monkeypatch):
    sent(visit, table())
    assert complete_upload(UPLOAD, services, user_id=visit.principal.user_id)

    def nobody_decides(*_: object) -> None:
        raise UNDECIDED

    monkeypatch.setattr(uploading, "go_on_with_upload", nobody_decides)
    assert TOLD in text_of(open_page("datasets", "ko"))
