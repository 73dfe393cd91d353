"""What the wizard offers: base models, recipes, cards, a free name, another job's settings; and the plan of a job."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from threading import Lock
from time import monotonic

from contracts.access import ResourceKind
from contracts.datasets import DatasetVersion
from contracts.enums import DatasetStatus, Method
from contracts.errors import InvalidRequestError
from contracts.fitting import RowLengths
from contracts.job_requests import FinetuneJobRequest, JobPlan, QueuedTraining
from contracts.jobs import DEFAULT_PROJECT, FinetuningJob
from contracts.training import Hyperparameters, TrainRequest
from dashboard.job_draft import NUMBERS, proposed_name
from dashboard.reading.keeping import FRESH_SECONDS, HEALTH_SECONDS, LISTED, ask, kept
from dashboard.sessions import installation_of
from dashboard.visits import Visit
from stages import finetuning
from stages.measuring import measured_elsewhere
from stages.services import Services
from training.base_model import models_below
from training.recipe import Recipe, load_recipe, recipe_names

RECIPES_SECONDS = 60.0
FAILURE_SECONDS = 60.0
MOST_CARDS = 2
"""Of one job: the DAG's tasks are made for one and for two."""


@kept(HEALTH_SECONDS)
def base_models(services: Services) -> list[str]:
    """Names of the base models below the allowed folders."""
    return models_below(services.settings.allowed_model_roots)


@kept(FRESH_SECONDS)
def trainable_datasets(visit: Visit) -> list[DatasetVersion]:
    """Dataset versions that a job may be trained on, newest first: none that was put away."""
    seen = visit.visible(ResourceKind.DATASET)
    return ask(visit, lambda uow: uow.datasets.newest(limit=LISTED, visible=seen, status=DatasetStatus.ACTIVE))


@kept(RECIPES_SECONDS)
def recipes(services: Services) -> dict[str, Recipe]:
    """The recipes that train, by name."""
    folder = services.settings.recipes_dir
    found = {name: load_recipe(name, folder) for name in recipe_names(folder)}
    return {name: recipe for name, recipe in found.items() if recipe.objective != "distill"}


def recipes_for(services: Services, method: Method) -> dict[str, Recipe]:
    """Those that suit the method: a LoRA recipe may run as QLoRA."""
    suiting = {method, Method.LORA} if method is Method.QLORA else {method}
    return {name: recipe for name, recipe in recipes(services).items() if recipe.method in suiting}


def default_recipe(services: Services, base_model: str, method: Method) -> str | None:
    """The recipe that is named for the base model and the method, where one is."""
    try:
        return finetuning.recipe_for(base_model, method, 1, services.settings)
    except InvalidRequestError:
        return None


@kept(HEALTH_SECONDS)
def job_cards(services: Services) -> list[int]:
    """Cards, or the CPU's workers, that one job can have."""
    return finetuning.cards_for_jobs(services.settings)[:MOST_CARDS]


def free_job_name(visit: Visit, *words: str) -> str:
    """A name that no job has yet."""
    wanted = proposed_name(*words)
    with visit.unit_of_work() as uow:
        return next(
            name
            for number in count(1)
            if uow.jobs.find(name := wanted if number == 1 else f"{wanted}-{number}") is None
        )


@dataclass(frozen=True, slots=True)
class ClonedJob:
    """A job's settings, for another one."""

    request: QueuedTraining
    numbers: dict[str, int | float]
    left_out: dict[str, str]
    """Numbers that its recipe has otherwise today and that a request cannot name."""


def cloned_job(visit: Visit, job_id: int) -> ClonedJob:
    """The job's settings. Raises NotFoundError, ForbiddenError, InvalidRequestError for a compression."""
    visit.require(ResourceKind.JOB, "read", job_id)
    job, queued = ask(visit, lambda uow: (uow.jobs.get(job_id), uow.jobs.queued(job_id)))
    if job.compression is not None:
        raise InvalidRequestError(
            "A compression is not a training that can be cloned",
            value=job.job_name,
            next_step="start compress_model in Airflow",
        )
    recipe = recipes(visit).get(str(job.hyperparameters.get("recipe")))
    known = {} if recipe is None else recipe.model_dump(mode="json")
    left_out = {
        name: str(value)
        for name, value in job.hyperparameters.items()
        if name in known and name not in {*NUMBERS, "description", "method", "num_gpus"} and value != known[name]
    }
    numbers = {
        name: value
        for name in NUMBERS
        if isinstance(value := job.hyperparameters.get(name), int | float) and not isinstance(value, bool)
    }
    return ClonedJob(queued or _as_queued(job, recipe), numbers, left_out)


def _as_queued(job: FinetuningJob, recipe: Recipe | None) -> QueuedTraining:
    """A request for a job that came another way."""
    training = TrainRequest(
        job_name=job.job_name,
        dataset_id=job.dataset_id,
        base_model=job.base_model,
        method=job.method,
        recipe=str(job.hyperparameters["recipe"]) if recipe is not None else "unknown",
        hyperparameters=Hyperparameters(),
        num_gpus=_whole(job.hyperparameters.get("num_gpus"), 1),
        seed=_whole(job.hyperparameters.get("seed"), 0),
    )
    return QueuedTraining.model_validate({"training": training, "project": DEFAULT_PROJECT, "priority": "normal"})


def _whole(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise


class _Measurements:
    """Rows that were measured, or are being measured; a failure counts for a minute."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="measuring")
        self._found: dict[tuple[str, int, str, str], tuple[Future[RowLengths], float]] = {}

    def begin(self, dataset_id: int, base_model: str, objective: str, services: Services) -> Future[RowLengths]:
        """The measurement, begun now where nobody has."""
        key = (installation_of(services), dataset_id, base_model, objective)
        with self._lock:
            present = self._found.get(key)
            if present is None or self._may_be_tried_again(*present):
                plain = Services(services.settings)
                future = self._pool.submit(measured_elsewhere, dataset_id, base_model, objective, plain)
                self._found[key] = present = future, monotonic()
            return present[0]

    def has(self, dataset_id: int, base_model: str, objective: str, services: Services) -> bool:
        """It is there."""
        with self._lock:
            present = self._found.get((installation_of(services), dataset_id, base_model, objective))
        return present is not None and present[0].done()

    def _may_be_tried_again(self, found: Future[RowLengths], begun_at: float) -> bool:
        return found.done() and found.exception() is not None and monotonic() - begun_at > FAILURE_SECONDS


_measurements = _Measurements()


def begin_measuring(visit: Visit, dataset_id: int, base_model: str, objective: str = "sft") -> None:
    """Look at the rows' lengths while the person goes on choosing: it takes seconds."""
    visit.require(ResourceKind.DATASET, "read", dataset_id)
    _measurements.begin(dataset_id, base_model, objective, visit)


def is_measured(services: Services, dataset_id: int, base_model: str, objective: str) -> bool:
    """The rows' lengths are there, or it is known that they cannot be found out."""
    return _measurements.has(dataset_id, base_model, objective, services)


def row_lengths(visit: Visit, dataset_id: int, base_model: str, objective: str) -> RowLengths | None:
    """The rows' lengths; None where nobody has measured them yet. Raises what says that they cannot be trained on."""
    visit.require(ResourceKind.DATASET, "read", dataset_id)
    measured = _measurements.begin(dataset_id, base_model, objective, visit)
    return measured.result() if measured.done() else None


def job_plan(visit: Visit, request: FinetuneJobRequest, rows: RowLengths | None) -> JobPlan:
    """What the job would need; without the rows' lengths, without the time. Raises what a start would raise."""
    visit.require(ResourceKind.JOB, "plan")
    visit.require(ResourceKind.DATASET, "read", request.dataset_id)
    return finetuning.plan_measured_job(request, visit, rows)
