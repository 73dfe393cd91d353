"""Chunks end where the content says so."""

import io
import random

import pytest

from stages.backups.chunks import MAX_BYTES, MIN_BYTES, content_chunks, gear_table

GEAR = gear_table(b"a key")


def chunks(content, gear=GEAR):
    return list(content_chunks(io.BytesIO(content), gear))


@pytest.fixture(scope="module")
def content():
    return random.Random(1).randbytes(40 * 1024 * 1024)


def test_chunks_are_the_content_and_keep_the_bounds(content):
    cut = chunks(content)
    assert b"".join(cut) == content
    assert len(cut) >= 4
    assert all(MIN_BYTES < len(chunk) <= MAX_BYTES for chunk in cut[:-1])


def test_an_insertion_changes_the_chunks_around_it_only(content):
    before = chunks(content)
    after = chunks(content[:100] + b"a few bytes more" + content[100:])
    assert before[0] != after[0]
    assert len(set(before) & set(after)) >= len(before) - 2


def test_another_key_cuts_elsewhere(content):
    assert {len(chunk) for chunk in chunks(content)} != {len(chunk) for chunk in chunks(content, gear_table(b"other"))}


@pytest.mark.parametrize("size", [0, 1, MIN_BYTES, MIN_BYTES + 1, MAX_BYTES, MAX_BYTES + 1])
def test_edges_and_content_without_a_cut(size):
    same = b"\x07" * size
    cut = chunks(same)
    assert b"".join(cut) == same
    assert all(cut)


def test_a_stream_that_gives_little_at_a_time_is_cut_alike(content):
    class Trickle(io.BytesIO):
        def read(self, size=-1, /):
            return super().read(min(size, 70_001))

    some = content[: 12 * 1024 * 1024]
    assert list(content_chunks(Trickle(some), GEAR)) == chunks(some)
