"""A sweep's memory: an Optuna study in PostgreSQL, in a schema of its own.

Everything about a sweep stands here, so that any process may ask, report and tell, and be killed between any two
calls. Each trial carries the slot it was asked for, which is the number of the mapped task: a task that is run again
finds its own trial. Asking is done under a lock: an ask that was cut off half way is finished by the next one, and
never leaves a second trial for the same slot.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from contracts.enums import Pruner, Sampler, SweepMetric, TrialState
from contracts.errors import ConflictError, NotFoundError, UnavailableError
from contracts.record import utc_now
from contracts.sweeps import SearchRange, SweepRequest, SweepTrial
from training.sweeps.space import is_whole

if TYPE_CHECKING:
    import optuna

    from contracts.record import JsonObject

SCHEMA = "optuna"
"""Made by our migrations; Optuna's tables, and its own version table, do not meet ours in it."""
REQUEST, STARTED_AT = "request", "started_at"
SLOT, JOB_KEY, JOB_ID, PRUNED, REASON = "slot", "job_key", "job_id", "pruned", "reason"
REDUCTION = 3
"""At each rung the best third goes on (Li et al. 2018, eta)."""
MAY_CHANGE = {"trials", "budget_hours"}
"""Of a sweep that goes on; another value anywhere else is another sweep."""
FEWEST_FOR_IMPORTANCES = 4
SEED_STRIDE = 1_000_003


@dataclass(frozen=True, slots=True)
class AskedTrial:
    """A trial's number and what it is to try."""

    number: int
    values: JsonObject
    has_ended: bool


class SweepStudy:
    """One sweep's trials."""

    def __init__(self, study: optuna.Study, storage: optuna.storages.RDBStorage, request: SweepRequest) -> None:
        self._study = study
        self._storage = storage
        self.request = request

    @classmethod
    def create(cls, database_url: str, request: SweepRequest) -> SweepStudy:
        """The sweep of that name, made where it is not there yet.

        Raises ConflictError where it is another sweep: only `trials` and `budget_hours` of a sweep may change.
        """
        import optuna

        with _storage_errors():
            storage = _open_storage(database_url)
            with _locked(storage, "create", request.sweep_name):
                study = optuna.create_study(
                    storage=storage,
                    study_name=request.sweep_name,
                    directions=["maximize" if metric.is_to_grow else "minimize" for metric in request.objectives],
                    load_if_exists=True,
                )
                known = study.user_attrs.get(REQUEST)
                if known is not None:
                    _check_same(SweepRequest.model_validate(known), request)
                study.set_user_attr(REQUEST, request.model_dump(mode="json"))
                if STARTED_AT not in study.user_attrs:
                    study.set_user_attr(STARTED_AT, utc_now().isoformat())
        return cls(study, storage, request)

    @classmethod
    def open(cls, database_url: str, sweep_name: str) -> SweepStudy:
        """The sweep of that name. Raises NotFoundError."""
        import optuna

        with _storage_errors():
            storage = _open_storage(database_url)
            try:
                study = optuna.load_study(storage=storage, study_name=sweep_name)
            except KeyError as error:
                raise NotFoundError(
                    "There is no such sweep", value=sweep_name, next_step="list them with `tuneway sweep list`"
                ) from error
            request = SweepRequest.model_validate(study.user_attrs[REQUEST])
        return cls(study, storage, request)

    @property
    def started_at(self) -> datetime:
        """When the sweep was first asked for."""
        with _storage_errors():
            return datetime.fromisoformat(self._study.user_attrs[STARTED_AT])

    def has_asked(self, slot: int) -> bool:
        """The slot has a trial."""
        with _storage_errors():
            return any(trial.user_attrs.get(SLOT) == slot for trial in self._study.get_trials(deepcopy=False))

    def ask(self, slot: int) -> AskedTrial:
        """The slot's trial: the one it was given before, else a new one chosen by what is known now."""
        import optuna

        with _storage_errors(), _locked(self._storage, "ask", self.request.sweep_name):
            trials = self._study.get_trials(deepcopy=False)
            found = next((trial for trial in trials if trial.user_attrs.get(SLOT) == slot), None)
            if found is not None and found.state.is_finished():
                return AskedTrial(found.number, dict(found.params), has_ended=True)
            # Nobody else asks while we hold the lock: a trial without a slot is one whose asker was killed.
            begun = found or next(
                (trial for trial in trials if SLOT not in trial.user_attrs and not trial.state.is_finished()), None
            )
            # A process that asks for one trial only would draw the same start from the same seed each time.
            self._study.sampler = _sampler(self.request, slot)
            with _quiet():
                trial = self._study.ask() if begun is None else optuna.Trial(self._study, begun._trial_id)
                trial.set_user_attr(SLOT, slot)
                values = {name: _suggest(trial, name, values) for name, values in self.request.search_space.items()}
        return AskedTrial(trial.number, values, has_ended=False)

    def note_job(self, number: int, job_key: str, job_id: int) -> None:
        """Which job trains the trial."""
        with _storage_errors():
            trial_id = self._trial_id(number)
            self._storage.set_trial_user_attr(trial_id, JOB_KEY, job_key)
            self._storage.set_trial_user_attr(trial_id, JOB_ID, job_id)

    def report(self, number: int, losses: Sequence[float]) -> bool:
        """Note the losses of the trial's evaluations so far, in order. True when it is to be pruned, now or before.

        The decision is stored before it is told: whoever follows the trial next comes to the same.
        """
        import optuna

        with _storage_errors(), _quiet():
            frozen = self._frozen(number)
            if frozen.user_attrs.get(PRUNED):
                return True
            if frozen.state.is_finished() or self.request.pruner is Pruner.NONE:
                return False
            self._study.pruner = _pruner(self.request)
            trial = optuna.Trial(self._study, frozen._trial_id)
            for evaluation, loss in enumerate(losses, start=1):
                if evaluation in frozen.intermediate_values:
                    continue
                trial.report(loss, evaluation)
                if trial.should_prune():
                    trial.set_user_attr(PRUNED, True)
                    return True
        return False

    def is_pruned(self, number: int) -> bool:
        """The trial was found to fall behind."""
        with _storage_errors():
            return bool(self._frozen(number).user_attrs.get(PRUNED))

    def complete(self, number: int, results: Mapping[SweepMetric, float]) -> None:
        """The trial was trained to its end. Telling it twice changes nothing."""
        self._tell(number, _states().COMPLETE, [results[metric] for metric in self.request.objectives])

    def prune(self, number: int) -> None:
        """The trial was stopped because it fell behind."""
        self._tell(number, _states().PRUNED, None)

    def fail(self, number: int, reason: str) -> None:
        """The trial has no result, and will have none."""
        with _storage_errors():
            if not self._frozen(number).state.is_finished():
                self._storage.set_trial_user_attr(self._trial_id(number), REASON, reason)
        self._tell(number, _states().FAIL, None)

    def trials(self) -> list[SweepTrial]:
        """Every trial, in the order of its number."""
        with _storage_errors():
            return [_record(trial, self.request) for trial in self._study.get_trials(deepcopy=False)]

    def running_jobs(self) -> dict[int, str]:
        """Job of each trial that has not been told an end, by the trial's number."""
        with _storage_errors():
            return {
                trial.number: str(trial.user_attrs[JOB_KEY])
                for trial in self._study.get_trials(deepcopy=False)
                if not trial.state.is_finished() and JOB_KEY in trial.user_attrs
            }

    def best(self) -> list[int]:
        """Numbers of the best trials, the best by the first objective first; empty while none has ended."""
        with _storage_errors():
            if not any(trial.state is _states().COMPLETE for trial in self._study.get_trials(deepcopy=False)):
                return []
            if len(self.request.objectives) == 1:
                return [self._study.best_trial.number]
            front = self._study.best_trials
        sign = -1 if self.request.objectives[0].is_to_grow else 1
        return [trial.number for trial in sorted(front, key=lambda trial: sign * trial.values[0])]

    def importances(self) -> dict[str, float]:
        """Share of each number in the spread of the first objective (PED-ANOVA), largest first."""
        import optuna

        with _storage_errors(), _quiet():
            complete = self._study.get_trials(deepcopy=False, states=(_states().COMPLETE,))
            varied = [
                name
                for name in self.request.search_space
                if len({repr(trial.params.get(name)) for trial in complete}) > 1
            ]
            if len(complete) < FEWEST_FOR_IMPORTANCES or not varied:
                return {}
            sign = -1 if self.request.objectives[0].is_to_grow else 1
            found = optuna.importance.get_param_importances(
                self._study,
                evaluator=optuna.importance.PedAnovaImportanceEvaluator(),
                params=varied,
                target=lambda trial: sign * trial.values[0],
            )
        return {name: float(share) for name, share in found.items()}

    def _tell(self, number: int, state: optuna.trial.TrialState, values: list[float] | None) -> None:
        with _storage_errors(), _quiet():
            self._study.tell(number, values, state=state, skip_if_finished=True)

    def _frozen(self, number: int) -> optuna.trial.FrozenTrial:
        return self._storage.get_trial(self._trial_id(number))

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)


def sweep_names(database_url: str) -> list[str]:
    """Every sweep there is, newest first. Looking makes no tables."""
    import optuna

    with _storage_errors():
        if not _has_tables(database_url):
            return []
        studies = optuna.get_all_study_summaries(_open_storage(database_url), include_best_trial=False)
    started = {study.study_name: str(study.user_attrs.get(STARTED_AT, "")) for study in studies}
    return sorted((name for name in started if started[name]), key=lambda name: started[name], reverse=True)


def _has_tables(database_url: str) -> bool:
    from sqlalchemy import create_engine, inspect
    from sqlalchemy.pool import NullPool

    engine = create_engine(database_url, poolclass=NullPool, connect_args={"connect_timeout": 5})
    return inspect(engine).has_table("studies", schema=SCHEMA)


@lru_cache(maxsize=4)
def _open_storage(database_url: str) -> optuna.storages.RDBStorage:
    """Optuna's storage in our schema, its tables made at the first use; one a process and URL."""
    import optuna
    from sqlalchemy import create_engine, text

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    options: dict[str, Any] = {
        "pool_pre_ping": True,
        "connect_args": {"connect_timeout": 5, "options": f"-csearch_path={SCHEMA}"},
    }
    engine = create_engine(database_url, **options)
    try:
        with engine.begin() as connection:
            # two processes that make the tables at once would get in each other's way
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('tuneway_sweep_tables'))"))
            return optuna.storages.RDBStorage(database_url, engine_kwargs={"pool_size": 2, **options})
    finally:
        engine.dispose()


@contextmanager
def _locked(storage: optuna.storages.RDBStorage, what: str, sweep_name: str) -> Iterator[None]:
    """One process at a time; PostgreSQL frees the lock when its holder dies."""
    from sqlalchemy import text

    with storage.engine.begin() as connection:
        connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"tuneway_sweep_{what}:{sweep_name}"}
        )
        yield


@contextmanager
def _storage_errors() -> Iterator[None]:
    """PostgreSQL being away, in our words: trying again helps."""
    import optuna
    from sqlalchemy.exc import OperationalError

    try:
        yield
    except (OperationalError, optuna.exceptions.StorageInternalError) as error:
        cause = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
        if not isinstance(cause, OperationalError):
            raise
        raise UnavailableError(
            "PostgreSQL does not answer",
            value=str(cause.orig).strip().splitlines()[0] if cause.orig else None,
            next_step="look at it with `tuneway status`; the work can be repeated once it is back",
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna calls parts of its own interface experimental; the versions are pinned."""
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        # its reminder that low targets count as good ones, which ours are
        warnings.filterwarnings("ignore", "PedAnovaImportanceEvaluator computes", UserWarning)
        yield


def _check_same(known: SweepRequest, request: SweepRequest) -> None:
    differing = [
        name
        for name in SweepRequest.model_fields
        if name not in MAY_CHANGE and getattr(known, name) != getattr(request, name)
    ]
    if differing:
        raise ConflictError(
            "A sweep of this name exists with another request",
            value=f"{request.sweep_name}: {', '.join(differing)}",
            allowed=f"the same request, with other {' or '.join(sorted(MAY_CHANGE))}",
            next_step="choose another sweep_name; the same name continues the same sweep",
        )


def _sampler(request: SweepRequest, slot: int) -> optuna.samplers.BaseSampler:
    import optuna

    seed = (request.seed * SEED_STRIDE + slot) % 2**32
    if request.sampler is Sampler.RANDOM:
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(
        seed=seed,
        # a quarter of a small sweep to look around; Optuna's own 10 from 40 trials on
        n_startup_trials=min(10, max(3, request.trials // 4)),
        multivariate=True,
        # trials that run now count as bad ones, so that two at once do not try the same
        constant_liar=True,
    )


def _pruner(request: SweepRequest) -> optuna.pruners.BasePruner:
    import optuna

    if request.pruner is Pruner.HYPERBAND:
        return optuna.pruners.HyperbandPruner(
            min_resource=1, max_resource=request.evaluations_per_trial, reduction_factor=REDUCTION
        )
    return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=REDUCTION)


def _suggest(trial: optuna.Trial, name: str, values: SearchRange) -> Any:
    if values.choices is not None:
        return trial.suggest_categorical(name, values.choices)
    assert values.low is not None and values.high is not None, "SearchRange refuses anything else"
    if is_whole(name):
        return trial.suggest_int(name, int(values.low), int(values.high), log=values.log)
    return trial.suggest_float(name, values.low, values.high, log=values.log)


def _states() -> type[optuna.trial.TrialState]:
    import optuna

    return optuna.trial.TrialState


def _record(trial: optuna.trial.FrozenTrial, request: SweepRequest) -> SweepTrial:
    states = _states()
    names = {
        states.COMPLETE: TrialState.COMPLETED,
        states.PRUNED: TrialState.PRUNED,
        states.FAIL: TrialState.FAILED,
    }
    results = zip(request.objectives, trial.values, strict=True) if trial.state is states.COMPLETE else ()
    job_id = trial.user_attrs.get(JOB_ID)
    return SweepTrial(
        number=trial.number,
        state=names.get(trial.state, TrialState.RUNNING),
        values=dict(trial.params),
        results=dict(results),
        evaluations=[loss for _, loss in sorted(trial.intermediate_values.items())],
        job_id=None if job_id is None else int(job_id),
        reason=trial.user_attrs.get(REASON),
    )
