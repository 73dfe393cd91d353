"""The simulated queue: small cases by hand, and Erlang's formula where it holds."""

import heapq

import pytest

from benchmarks.capacity import Job, against_theory, erlang_wait, exponential_jobs, starts


def test_jobs_take_free_cards_as_they_come_and_wait_where_there_is_none():
    jobs = [Job(0, 1, 10), Job(1, 1, 10), Job(2, 1, 5)]
    assert starts(jobs, cards=2) == [0, 1, 10]


def test_a_large_job_keeps_its_place_and_a_short_one_fills_the_gap():
    jobs = [
        Job(0, 1, 100, expected=100),
        Job(1, 2, 10, expected=10),  # waits for both cards until 100
        Job(2, 1, 50, expected=50),  # ends before that: goes ahead
        Job(3, 1, 200, expected=200),  # would delay it: does not
    ]
    assert starts(jobs, cards=2) == [0, 100, 2, 110]


def test_a_servers_card_is_never_given_to_a_job():
    assert starts([Job(0, 1, 10), Job(0, 1, 10)], cards=2, serving=1) == [0, 10]


def test_one_card_by_hand():
    # M/M/1 at load 1/2: the mean wait is the mean duration
    assert erlang_wait(0.5 / 3600, 3600, 1) == pytest.approx(3600)


def test_jobs_of_one_card_start_as_in_a_queue_of_several_servers():
    # Kiefer and Wolfowitz 1955: each job takes the server that is free first
    jobs = exponential_jobs(cards=2, load=0.8, count=300, seed=3)
    free, expected = [0.0, 0.0], []
    for job in jobs:
        expected.append(max(heapq.heappop(free), job.arrives))
        heapq.heappush(free, expected[-1] + job.lasts)
    assert starts(jobs, cards=2) == expected


def test_the_simulated_wait_is_about_erlangs():
    simulated, formula = against_theory(cards=2, load=0.6, jobs=1000, samples=2)
    assert simulated == pytest.approx(formula, rel=0.25)
