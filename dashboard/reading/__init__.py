"""What the pages show, fetched from PostgreSQL, the job folders, MLflow and the services' health pages: to each reader
what the policies let them read.

Every function raises a TunewayError that the page can show; none returns half an answer.
"""

from dashboard.reading.addresses import airflow_run_page, chat_endpoint, mlflow_run_page
from dashboard.reading.comparison import (
    MOST_COMPARED,
    ComparedJob,
    Comparison,
    Curve,
    CurveAxis,
    CurveMetric,
    compare_jobs,
    curves_as_csv,
)
from dashboard.reading.datasets import DatasetStory, dataset_story, list_datasets
from dashboard.reading.experiments import ExperimentState, list_experiments
from dashboard.reading.generations import (
    GenerationStory,
    list_generations,
    review_counts,
    sample_to_review,
    samples_to_review,
    templates_to_review,
)
from dashboard.reading.importing import ListedFile, broken_rows, import_proposal, input_files
from dashboard.reading.jobs import JobStory, checkpoints, job_story, list_jobs, list_sweeps, was_handed_over
from dashboard.reading.machine import Disk, ServiceHealth, ServiceName, Slots
from dashboard.reading.models import (
    CASES_A_PAGE,
    ModelStory,
    compared_cases,
    comparison_with_production,
    lineage,
    list_models,
    model_card,
    model_story,
)
from dashboard.reading.overview import ModelInService, Overview, RunningWork, read_overview
from dashboard.reading.ratings import rating_agreement, rating_items, rating_tasks, ratings_of
from dashboard.reading.runs import CaseOutcome, ListedRun, RunState, RunStory, list_runs, run_state, run_story
from dashboard.reading.suites import every_case, list_suites, suite_cases, suite_versions
from dashboard.reading.thinning import smoothed, thinned
from dashboard.reading.training_traces import (
    CURVE_POINTS,
    LOG_TAIL_BYTES,
    LOG_TAIL_LINES,
    CurveSource,
    LossCurve,
    log_tail,
    loss_curve,
)

__all__ = [
    "CASES_A_PAGE",
    "CURVE_POINTS",
    "LOG_TAIL_BYTES",
    "LOG_TAIL_LINES",
    "MOST_COMPARED",
    "CaseOutcome",
    "ComparedJob",
    "Comparison",
    "Curve",
    "CurveAxis",
    "CurveMetric",
    "CurveSource",
    "DatasetStory",
    "Disk",
    "ExperimentState",
    "GenerationStory",
    "JobStory",
    "ListedFile",
    "ListedRun",
    "LossCurve",
    "ModelInService",
    "ModelStory",
    "Overview",
    "RunState",
    "RunStory",
    "RunningWork",
    "ServiceHealth",
    "ServiceName",
    "Slots",
    "airflow_run_page",
    "broken_rows",
    "chat_endpoint",
    "checkpoints",
    "compare_jobs",
    "compared_cases",
    "comparison_with_production",
    "curves_as_csv",
    "dataset_story",
    "every_case",
    "import_proposal",
    "input_files",
    "job_story",
    "lineage",
    "list_datasets",
    "list_experiments",
    "list_generations",
    "list_jobs",
    "list_models",
    "list_runs",
    "list_suites",
    "list_sweeps",
    "log_tail",
    "loss_curve",
    "mlflow_run_page",
    "model_card",
    "model_story",
    "rating_agreement",
    "rating_items",
    "rating_tasks",
    "ratings_of",
    "read_overview",
    "review_counts",
    "run_state",
    "run_story",
    "sample_to_review",
    "samples_to_review",
    "smoothed",
    "suite_cases",
    "suite_versions",
    "templates_to_review",
    "thinned",
    "was_handed_over",
]
