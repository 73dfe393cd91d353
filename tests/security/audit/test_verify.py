"""Every way to tamper with the chain is found, and told by its place."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from security.audit.chain import GENESIS, entry_hash
from security.audit.heads import SignedHead, sign_head
from security.audit.verify import Start, Tampering, verify_chain
from tests.security.audit.chains import Row, chain, rechained, row

KEY = Ed25519PrivateKey.generate()
WHOLE = chain(12)


def findings(rows: list[Row], heads: list[SignedHead] | None = None) -> list[tuple[Tampering, int, int]]:
    """What the check says of these rows."""
    return [(found.kind, found.first, found.last) for found in verify_chain(rows, heads or []).problems]


def head_of(found: Row) -> SignedHead:
    """The chain's end at this entry, signed."""
    return sign_head(found.id, found.hash, KEY)


def with_change(place: int, **changes: Any) -> list[Row]:
    """The whole chain with one row changed."""
    return [replace(found, **changes) if found.id == place else found for found in WHOLE]


def test_the_formula_is_the_documented_one():
    assert hashlib.sha256(b"tuneway.audit.genesis.v1").digest() == GENESIS
    expected = hashlib.sha256(
        b"tuneway.audit.entry.v1\x00" + GENESIS + bytes(7) + b"\x01" + bytes(6) + b"\x01\x00" + "가".encode()
    ).digest()
    assert entry_hash(GENESIS, 1, 256, "가") == expected


def test_a_whole_chain_is_whole():
    report = verify_chain(WHOLE, [head_of(WHOLE[4]), head_of(WHOLE[9])])
    assert report.is_whole
    assert (report.entries, report.first_id, report.last_id, report.unsigned_entries) == (12, 1, 12, 2)
    assert report.head == WHOLE[-1].hash.hex()


def test_an_empty_chain_is_whole():
    report = verify_chain([])
    assert report.is_whole
    assert report.last_id is None


@pytest.mark.parametrize("place", [1, 6, 12])
def test_an_edited_entry_is_named(place):
    edited = WHOLE[place - 1].entry.replace("promoted", "demoted!")
    assert findings(with_change(place, entry=edited)) == [(Tampering.EDITED, place, place)]
    assert findings(with_change(place, recorded_us=1)) == [(Tampering.EDITED, place, place)]
    assert findings(with_change(place, hash=bytes(32))) == [(Tampering.EDITED, place, place)]


@pytest.mark.parametrize("column", range(10))
def test_an_edited_column_is_named(column):
    columns = list(WHOLE[3].columns)
    columns[column] = 7 if column == 0 else '{"n": 5}' if column == 9 else "other"
    assert findings(with_change(4, columns=tuple(columns))) == [(Tampering.COLUMN_EDITED, 4, 4)]


def test_an_entry_that_is_no_json_any_more_does_not_end_the_check():
    broken = replace(WHOLE[3], entry="{", previous_hash=WHOLE[2].hash).rehashed()
    found = findings([*WHOLE[:3], broken, *WHOLE[4:]])
    assert found == [(Tampering.COLUMN_EDITED, 4, 4), (Tampering.REPLACED, 4, 4)]


def test_an_entry_that_was_edited_and_hashed_anew_is_named_by_the_next_link():
    forged = row(6, WHOLE[4].hash, "model/other")
    assert findings([*WHOLE[:5], forged, *WHOLE[6:]]) == [(Tampering.REPLACED, 6, 6)]


def test_deleted_entries_are_named():
    assert findings([*WHOLE[:3], *WHOLE[5:]]) == [(Tampering.DELETED, 4, 5)]


def test_a_deleted_entry_is_named_when_the_others_moved_up():
    moved = [replace(found, id=found.id - 1) for found in WHOLE[4:]]
    assert findings([*WHOLE[:3], *moved]) == [(Tampering.DELETED, 4, 4), (Tampering.MOVED, 4, 11)]


def test_the_cut_beginning_is_named():
    assert findings(WHOLE[2:]) == [(Tampering.BEGINNING_CUT, 1, 2)]


def test_a_beginning_that_a_checkpoint_accounts_for_is_no_hole():
    start = Start(2, WHOLE[1].hash)
    assert verify_chain(WHOLE[2:], start=start).is_whole
    assert verify_chain([], start=start).is_whole
    assert [found.kind for found in verify_chain(WHOLE[3:], start=start).problems] == [Tampering.BEGINNING_CUT]
    other = Start(2, WHOLE[0].hash)
    assert [found.kind for found in verify_chain(WHOLE[2:], start=other).problems] == [Tampering.REPLACED]


def test_an_inserted_entry_is_named_when_the_others_were_moved():
    forged = row(4, WHOLE[2].hash, "model/forged")
    moved = [replace(found, id=found.id + 1) for found in WHOLE[3:]]
    assert findings([*WHOLE[:3], forged, *moved]) == [(Tampering.INSERTED, 4, 4), (Tampering.MOVED, 5, 13)]


def test_an_entry_at_a_place_that_is_taken_is_named():
    forged = row(4, WHOLE[2].hash, "model/forged")
    assert findings([*WHOLE[:4], forged, *WHOLE[4:]]) == [(Tampering.INSERTED, 4, 4)]
    assert findings([*WHOLE[:3], forged, *WHOLE[3:]]) == [(Tampering.INSERTED, 4, 4)]


def test_exchanged_entries_are_named_with_where_they_stood():
    swapped = [replace(found, id={3: 9, 9: 3}.get(found.id, found.id)) for found in WHOLE]
    report = verify_chain(sorted(swapped, key=lambda found: found.id))
    assert [(found.kind, found.first, found.moved_from) for found in report.problems] == [
        (Tampering.MOVED, 3, 9),
        (Tampering.MOVED, 9, 3),
    ]


def test_exchanged_contents_are_named_with_where_they_stood():
    third, ninth = WHOLE[2], WHOLE[8]
    rows = with_change(3, entry=ninth.entry, columns=ninth.columns)
    rows[8] = replace(ninth, entry=third.entry, columns=third.columns)
    assert [(found.kind, found.first, found.moved_from) for found in verify_chain(rows).problems] == [
        (Tampering.MOVED, 3, 9),
        (Tampering.MOVED, 9, 3),
    ]


def test_a_cut_tail_is_seen_by_a_head_signed_before():
    assert findings(WHOLE[:7], [head_of(WHOLE[9])]) == [(Tampering.TAIL_CUT, 8, 10)]
    assert findings([], [head_of(WHOLE[9])]) == [(Tampering.TAIL_CUT, 1, 10)]


def test_a_chain_that_was_made_anew_is_seen_by_a_head_signed_before():
    rows = [*WHOLE[:5], row(6, WHOLE[4].hash, "model/other"), *WHOLE[6:]]
    anew = rechained(rows, 5)
    assert verify_chain(anew).is_whole
    heads = [head_of(WHOLE[3]), head_of(WHOLE[8]), head_of(WHOLE[10])]
    assert findings(anew, heads) == [(Tampering.REWRITTEN, 5, 9)]


TAMPERINGS = st.sampled_from(["edit", "edit and hash", "delete", "insert", "swap", "cut tail", "cut beginning"])


@given(kind=TAMPERINGS, places=st.tuples(st.integers(1, 12), st.integers(1, 12)), renumber=st.booleans())
def test_no_tampering_of_any_kind_at_any_place_goes_unseen(kind, places, renumber):
    first, second = places
    rows = list(WHOLE)
    if kind == "edit":
        rows[first - 1] = replace(rows[first - 1], entry=rows[first - 1].entry + " ")
    elif kind == "edit and hash":
        rows[first - 1] = row(first, rows[first - 1].previous_hash, "model/other")
    elif kind == "delete":
        del rows[first - 1]
    elif kind == "insert":
        rows.insert(first - 1, row(first, rows[first - 1].previous_hash, "model/other"))
    elif kind == "swap" and first != second:
        rows[first - 1], rows[second - 1] = rows[second - 1], rows[first - 1]
    elif kind == "cut tail":
        rows = rows[: first - 1]
    elif kind == "cut beginning":
        rows = rows[first:]
    if rows == WHOLE:
        return
    if renumber or kind == "swap":
        rows = [replace(found, id=place) for place, found in enumerate(rows, start=1)]
    report = verify_chain(rows, [head_of(WHOLE[-1])])
    assert not report.is_whole
    assert all(found.first <= found.last for found in report.problems)
    assert min(found.first for found in report.problems) <= max(first, second)


@given(place=st.integers(1, 12), made_anew=st.booleans())
def test_a_database_owner_who_makes_the_chain_anew_is_seen_by_a_signed_head(place, made_anew):
    rows = [*WHOLE[: place - 1], row(place, GENESIS, "model/other"), *WHOLE[place:]]
    report = verify_chain(rechained(rows, place - 1) if made_anew else rows, [head_of(WHOLE[-1])])
    assert not report.is_whole
