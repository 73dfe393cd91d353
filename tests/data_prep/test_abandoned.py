"""Folders that killed attempts have left, beside attempts that still write."""

import shutil
import threading
from datetime import timedelta

from data_prep.abandoned import remove_abandoned_folders


def test_a_folder_that_another_attempt_takes_away_meanwhile_is_no_error(tmp_path):
    has_ended = threading.Event()

    def write_and_take_away(of: int):
        number = 0
        while not has_ended.is_set():
            number += 1
            folder = tmp_path / f".attempt.{of}-{number}.tmp"
            (folder / "within").mkdir(parents=True)
            (folder / "within" / "rows").write_bytes(b"rows")
            shutil.rmtree(folder)

    others = [threading.Thread(target=write_and_take_away, args=[of]) for of in range(2)]
    for other in others:
        other.start()
    try:
        removed = [remove_abandoned_folders(tmp_path, older_than=timedelta(hours=1)) for _ in range(2000)]
    finally:
        has_ended.set()
        for other in others:
            other.join()
    assert set(removed) == {0}
