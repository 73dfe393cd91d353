"""A file in segments is the file, and what was not kept is not there."""

import os

import pytest

from storage import segments
from storage.segments import SegmentReader, SegmentWriter, arriving_bytes, received_bytes, remove_unfinished


@pytest.fixture(autouse=True)
def small_segments(monkeypatch):
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 10)


def test_what_was_written_is_read_from_any_place(tmp_path):
    content = bytes(range(97))
    for start, end in ((0, 3), (3, 25), (25, 25), (25, 97)):
        writer = SegmentWriter(tmp_path)
        assert writer.place == start
        writer.write(content[start:end])
        writer.close()
    assert received_bytes(tmp_path) == 97
    reader = SegmentReader(tmp_path)
    assert reader.read() == content
    for place, size in ((0, 1), (9, 2), (50, 40), (96, 10), (97, 1)):
        reader.seek(place)
        assert reader.read(size) == content[place : place + size]
    assert reader.seek(-7, os.SEEK_END) == 90
    reader.close()


def test_a_writer_that_is_killed_keeps_the_whole_segments(tmp_path):
    writer = SegmentWriter(tmp_path)
    writer.write(bytes(25))
    del writer  # neither closed nor abandoned: as by a kill
    assert received_bytes(tmp_path) == 20
    remove_unfinished(tmp_path)
    assert arriving_bytes(tmp_path) == 0
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 20


def test_segments_behind_a_gap_do_not_count(tmp_path):
    writer = SegmentWriter(tmp_path)
    writer.write(bytes(30))
    (tmp_path / f"{10:015d}-{10:015d}.segment").unlink()
    assert received_bytes(tmp_path) == 10
