"""A sweep's study on a real PostgreSQL: one trial a slot through any kill, pruning that is remembered, honest ends."""

import os
import signal
import subprocess
import sys
import threading

import psycopg
import pytest

from contracts.enums import Pruner, Sampler, SweepMetric, TrialState
from contracts.errors import ConflictError, NotFoundError, UnavailableError
from contracts.sweeps import SweepRequest
from database import migrate
from tests.conftest import REPOSITORY_ROOT
from tests.ports import free_port
from training.sweeps.study import SweepStudy, sweep_names

SPACE = {
    "learning_rate": {"low": 1e-5, "high": 1e-1, "log": True},
    "lora_rank": {"low": 2, "high": 64},
    "scheduler": {"choices": ["cosine", "linear"]},
}


def request_for(**changes):
    values = {"sweep_name": "rates", "dataset_id": 1, "search_space": SPACE, "trials": 12, **changes}
    return SweepRequest.model_validate(values)


def tables_of(database_url, schema):
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        rows = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", [schema]
        ).fetchall()
    return {name for (name,) in rows}


def test_its_tables_stand_in_a_schema_of_their_own_and_leave_ours_as_they_were(database_url):
    before = tables_of(database_url, "public")
    SweepStudy.create(database_url, request_for())
    assert {"studies", "trials", "alembic_version"} <= tables_of(database_url, "optuna")
    assert tables_of(database_url, "public") == before
    assert migrate.current(database_url) is not None
    migrate.check(database_url)


def test_a_slot_that_asks_again_gets_its_own_trial(database_url):
    study = SweepStudy.create(database_url, request_for())
    first, second = study.ask(0), study.ask(1)
    again = SweepStudy.create(database_url, request_for())
    assert (again.ask(1), again.ask(0)) == (second, first)
    assert first.number != second.number
    assert first.values != second.values
    assert isinstance(first.values["lora_rank"], int)
    assert 1e-5 <= float(str(first.values["learning_rate"])) <= 1e-1


def test_slots_that_ask_at_once_get_a_trial_each(database_url):
    SweepStudy.create(database_url, request_for())
    asked = []

    def ask(slot):
        asked.append(SweepStudy.open(database_url, "rates").ask(slot))

    threads = [threading.Thread(target=ask, args=(slot % 4,)) for slot in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 8
    assert sorted({trial.number for trial in asked}) == [0, 1, 2, 3]
    assert len(SweepStudy.open(database_url, "rates").trials()) == 4


@pytest.mark.parametrize("moment", ["after_the_trial", "after_the_first_number"])
@pytest.mark.slow
def test_an_ask_that_is_killed_half_way_is_finished_by_the_next_one(database_url, moment):
    SweepStudy.create(database_url, request_for())
    script = f"""
import os, signal, sys
import optuna
from training.sweeps.study import SweepStudy

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

study = SweepStudy.open(sys.argv[1], "rates")
if {moment!r} == "after_the_trial":
    optuna.Trial.set_user_attr = die
else:
    optuna.Trial.suggest_int = die
study.ask(0)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, database_url], cwd=REPOSITORY_ROOT, env=os.environ, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    study = SweepStudy.open(database_url, "rates")
    assert len(study.trials()) == 1
    first, second = study.ask(0), study.ask(1)
    assert (first.number, second.number) == (0, 1)
    assert set(first.values) == set(SPACE)
    assert len(study.trials()) == 2


def test_the_same_seed_and_results_give_the_same_trials(database_url):
    def asked(name):
        study = SweepStudy.create(database_url, request_for(sweep_name=name))
        found = []
        for slot in range(6):
            trial = study.ask(slot)
            study.complete(trial.number, {SweepMetric.EVAL_LOSS: float(str(trial.values["lora_rank"]))})
            found.append(trial.values)
        return found

    first, second = asked("one"), asked("two")
    assert first == second
    assert len({str(values) for values in first}) == 6


def test_a_trial_that_falls_behind_is_pruned_once_and_for_all(database_url):
    study = SweepStudy.create(database_url, request_for(pruner=Pruner.ASHA))
    for slot in range(3):
        number = study.ask(slot).number
        assert not study.report(number, [1.0 - slot / 100])
    bad = study.ask(3).number
    assert study.report(bad, [9.0])
    # told again, by another process, after more losses that would look better
    other = SweepStudy.open(database_url, "rates")
    assert other.is_pruned(bad)
    assert other.report(bad, [9.0, 0.1])
    other.prune(bad)
    other.prune(bad)
    trial = other.trials()[bad]
    assert (trial.state, trial.evaluations) == (TrialState.PRUNED, [9.0])


def test_losses_that_are_told_again_after_a_resume_count_once(database_url):
    study = SweepStudy.create(database_url, request_for(pruner=Pruner.HYPERBAND))
    number = study.ask(0).number
    study.report(number, [3.0])
    study.report(number, [3.0, 2.0])
    study.report(number, [3.0, 2.0, 1.0])
    assert study.trials()[number].evaluations == [3.0, 2.0, 1.0]


def test_without_a_pruner_no_trial_is_pruned(database_url):
    study = SweepStudy.create(database_url, request_for(pruner=Pruner.NONE))
    for slot, loss in enumerate([1.0, 1.1, 1.2, 50.0]):
        assert not study.report(study.ask(slot).number, [loss, loss])


def test_the_best_trial_is_the_completed_one_with_the_lowest_loss(database_url):
    study = SweepStudy.create(database_url, request_for(sampler=Sampler.RANDOM))
    assert study.best() == []
    losses = [0.9, 0.2, 0.5]
    for slot, loss in enumerate(losses):
        study.complete(study.ask(slot).number, {SweepMetric.EVAL_LOSS: loss})
    study.fail(study.ask(3).number, "the loss was not a number")
    assert study.best() == [1]
    failed = study.trials()[3]
    assert (failed.state, failed.reason) == (TrialState.FAILED, "the loss was not a number")
    assert study.ask(3).has_ended


def test_with_two_objectives_the_best_are_those_that_no_other_beats(database_url):
    objectives = [SweepMetric.EVAL_LOSS, SweepMetric.TOKENS_PER_SECOND]
    study = SweepStudy.create(database_url, request_for(objectives=objectives, pruner=Pruner.NONE))
    for slot, (loss, speed) in enumerate([(0.5, 100), (0.2, 50), (0.6, 90), (0.4, 100)]):
        study.complete(
            study.ask(slot).number, {SweepMetric.EVAL_LOSS: loss, SweepMetric.TOKENS_PER_SECOND: float(speed)}
        )
    assert study.best() == [1, 3]


def test_the_number_that_decides_is_the_important_one(database_url):
    study = SweepStudy.create(database_url, request_for(sampler=Sampler.RANDOM, trials=12))
    for slot in range(12):
        trial = study.ask(slot)
        study.complete(trial.number, {SweepMetric.EVAL_LOSS: float(str(trial.values["lora_rank"]))})
    importances = study.importances()
    assert next(iter(importances)) == "lora_rank"
    assert sum(importances.values()) == pytest.approx(1.0)


def test_another_request_under_the_same_name_is_refused_and_more_trials_go_on(database_url):
    SweepStudy.create(database_url, request_for())
    with pytest.raises(ConflictError, match="seed"):
        SweepStudy.create(database_url, request_for(seed=3))
    more = SweepStudy.create(database_url, request_for(trials=30, budget_hours=2))
    assert more.request.trials == 30
    assert SweepStudy.open(database_url, "rates").request.trials == 30


def test_an_unknown_sweep_says_how_to_list_them(database_url):
    with pytest.raises(NotFoundError, match="tuneway sweep list"):
        SweepStudy.open(database_url, "none")
    SweepStudy.create(database_url, request_for())
    SweepStudy.create(database_url, request_for(sweep_name="later"))
    assert sweep_names(database_url) == ["later", "rates"]


def test_postgres_being_away_is_worth_another_try():
    with pytest.raises(UnavailableError):
        sweep_names(f"postgresql+psycopg://nobody:none@127.0.0.1:{free_port()}/none")
