from datetime import UTC, datetime, timedelta

import pytest

from contracts.evaluation import Interval
from dashboard import formats
from dashboard.parts import plain
from dashboard.texts import Language, Words

KO, EN = Words(Language.KOREAN), Words(Language.ENGLISH)


def test_a_moment_is_written_in_seoul_time_as_each_language_writes_it():
    at = datetime(2026, 11, 22, 5, 3, 9, tzinfo=UTC)
    assert formats.moment(at, Language.KOREAN) == "2026. 11. 22. 14:03"
    assert formats.moment(at, Language.KOREAN, seconds=True) == "2026. 11. 22. 14:03:09"
    assert formats.moment(at, Language.ENGLISH) == "2026-11-22 14:03"


def test_a_moment_before_midnight_in_utc_is_the_next_day_in_seoul():
    assert formats.moment(datetime(2026, 11, 22, 15, 0, tzinfo=UTC), Language.KOREAN) == "2026. 11. 23. 00:00"


@pytest.mark.parametrize(
    ("seconds", "korean", "english"),
    [
        (0, "0.0초", "0.0 s"),
        (8.25, "8.2초", "8.2 s"),
        (9.97, "10초", "10 s"),
        (60, "1분", "1 min"),
        (192, "3분 12초", "3 min 12 s"),
        (3840, "1시간 4분", "1 h 4 min"),
        (3605, "1시간", "1 h"),
        (90000, "1일 1시간", "1 d 1 h"),
    ],
)
def test_a_duration_names_its_two_largest_units(seconds, korean, english):
    assert formats.duration(timedelta(seconds=seconds), KO) == korean
    assert formats.duration(seconds, EN) == english


def test_what_is_not_there_is_a_dash():
    nothing = [
        formats.moment(None, Language.KOREAN), formats.duration(None, KO), formats.number(None),
        formats.percent(None), formats.loss(None), formats.milliseconds(None),
    ]  # fmt: skip
    assert nothing == ["–"] * 6


def test_numbers_are_grouped_and_counted():
    assert formats.number(1234) == "1,234"
    assert KO("unit.rows", n=formats.number(1234)) == "1,234건"
    assert EN("unit.rows", n=formats.number(1234)) == "1,234 rows"


def test_shares_and_intervals_are_percentages():
    assert formats.percent(0.945) == "94.5 %"
    assert formats.interval(Interval(lower=0.9041, upper=0.9689)) == "90.4–96.9 %"


@pytest.mark.parametrize(
    ("value", "text"), [(0.0812, "0.0812"), (0.00123, "0.00123"), (1.26789, "1.268"), (0.0, "0.000")]
)
def test_a_small_loss_keeps_three_significant_digits(value, text):
    assert formats.loss(value) == text


def test_sizes_below_a_tenth_of_a_gigabyte_are_megabytes():
    assert formats.gigabytes(2_600_000) == "2.6 MB"
    assert formats.gigabytes(65_500_000_000) == "65.5 GB"


def test_text_of_unknown_origin_is_no_markdown():
    assert plain("1. a_b **c** <b> $x$") == r"1\. a\_b \*\*c\*\* \<b\> \$x\$"
