"""What the commands do with dataset versions: find, compare, name, join, cut, export and tidy them.

A version is given as `<name>` (the newest of its main branch), `<name>@<branch, tag or commit>`, `<name>@v1.2`, or by
its dataset_id.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.dataset_versions import LoggedCommit
from contracts.enums import DatasetStatus
from contracts.errors import ConflictError, InvalidRequestError, NotFoundError, TunewayError
from contracts.record import Record
from data_prep.statistics.report import REPORT_FILE, version_page, without_examples, write_report
from data_prep.versions import cutting, garbage, merging
from data_prep.versions.difference import SHOWN_ROWS, diff
from data_prep.versions.history import walk
from data_prep.versions.manifest import MAIN, VersionManifest, load_manifest
from data_prep.versions.names import STATISTICS_FILE
from data_prep.versions.references import (
    branches,
    commit_folder,
    commits,
    create_branch,
    create_tag,
    head,
    load_commit,
    resolve,
    tags,
)
from stages.tokenizers import counting_tokenizer
from storage.files import write_text_atomically
from storage.stored_files import read_stored_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contracts.dataset_versions import VersionDifference
    from contracts.datasets import DatasetVersion
    from contracts.enums import SplitUnit
    from contracts.record import JsonObject
    from data_prep.statistics.measuring import Tokenizer
    from data_prep.versions.garbage import Garbage
    from data_prep.versions.merging import Merge
    from data_prep.versions.splitting import Ratios
    from database.unit_of_work import UnitOfWork
    from stages.services import Services


@dataclass(frozen=True, slots=True)
class OpenVersion:
    """A version that was found."""

    name_dir: Path
    folder: Path
    manifest: VersionManifest


class DatasetListing(Record):
    """One dataset name."""

    name: str
    versions: int
    branches: dict[str, str]
    tags: dict[str, str]
    newest: LoggedCommit | None


def versions_dir(services: Services) -> Path:
    """Where the versions of all datasets are."""
    return services.settings.datasets_dir / "versions"


def open_version(given: str, services: Services) -> OpenVersion:
    """The version that the text names. Raises NotFoundError or InvalidRequestError."""
    name, _, reference = given.partition("@")
    if not reference and name.isdecimal() and not (versions_dir(services) / name).is_dir():
        with services.unit_of_work() as uow:
            return _opened(Path(uow.datasets.get(int(name)).file_path))
    name_dir = dataset_folder(name, services)
    try:
        commit = resolve(name_dir, reference or MAIN)
    except NotFoundError:
        with suppress(TunewayError):
            for version in _rows(name, services):
                if version.version == reference:
                    return _opened(Path(version.file_path))
        raise
    folder = commit_folder(name_dir, commit)
    return OpenVersion(name_dir, folder, load_manifest(folder))


def list_datasets(services: Services) -> list[DatasetListing]:
    """Every dataset that has a version, by name."""
    found = []
    for name_dir in sorted(path for path in versions_dir(services).glob("[!.]*") if path.is_dir()):
        known = commits(name_dir)
        if not known:
            continue
        at_branch = branches(name_dir)
        newest = at_branch.get(MAIN) or next(iter(at_branch.values()), None)
        rows = _known_rows(name_dir.name, services)
        found.append(
            DatasetListing(
                name=name_dir.name,
                versions=len(known),
                branches=at_branch,
                tags=tags(name_dir),
                newest=None if newest is None else _logged(name_dir, load_commit(name_dir, newest), rows),
            )
        )
    return found


def log_versions(given: str, services: Services) -> list[LoggedCommit]:
    """The version and everything before it, newest first."""
    version = open_version(given, services)
    rows = _known_rows(version.manifest.name, services)
    return [_logged(version.name_dir, manifest, rows) for manifest in walk(version.name_dir, version.manifest.commit)]


def log_dataset(name: str, services: Services) -> list[LoggedCommit]:
    """Every version of the dataset on all its branches, newest first. Raises NotFoundError."""
    name_dir = dataset_folder(name, services)
    rows = _known_rows(name, services)
    logged = [_logged(name_dir, load_manifest(folder), rows) for folder in commits(name_dir).values()]
    return newest_first(logged)


def newest_first(commits: Sequence[LoggedCommit]) -> list[LoggedCommit]:
    """By time, but no version before one that was made from it: clocks step, and two versions may share a second."""
    by_name = {commit.commit: commit for commit in commits}
    sorter: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(by_name, ()))
    for commit in commits:
        for parent in commit.parents:
            if parent in by_name:
                sorter.add(parent, commit.commit)
    sorter.prepare()
    ordered: list[LoggedCommit] = []
    waiting: list[LoggedCommit] = []
    while sorter.is_active():
        waiting += [by_name[name] for name in sorter.get_ready()]
        newest = max(waiting, key=lambda commit: commit.created_at)
        waiting.remove(newest)
        ordered.append(newest)
        sorter.done(newest.commit)
    return ordered


def tag_version(given: str, tag: str, services: Services, *, move: bool = False) -> VersionManifest:
    """Give the version a name that stays. Returns the version."""
    version = open_version(given, services)
    create_tag(version.name_dir, tag, version.manifest.commit, move=move)
    return version.manifest


def branch_version(given: str, branch: str, services: Services) -> VersionManifest:
    """Start a branch at the version. Returns the version."""
    version = open_version(given, services)
    create_branch(version.name_dir, branch, version.manifest.commit)
    return version.manifest


def merge_versions(
    name: str, branch: str, theirs: str, services: Services, message: str = ""
) -> tuple[Merge, DatasetVersion]:
    """Bring the rows of `theirs` (branch, tag or commit) into the branch, and register the version that it then has."""
    name_dir = dataset_folder(name, services)
    other = open_version(f"{name}@{theirs}", services)
    before = head(name_dir, branch)
    tokenizer = _tokenizer_of(name_dir, before, services)
    merged = merging.merge(name_dir, branch, other.manifest.commit, message=message, tokenizer=tokenizer)
    parents = [commit for commit in (before, other.manifest.commit) if commit is not None and commit != merged.commit]
    with services.unit_of_work() as uow:
        return merged, register_version(commit_folder(name_dir, merged.commit), uow, parents=parents)


def split_again(
    name: str,
    branch: str,
    ratios: Ratios,
    services: Services,
    *,
    unit: SplitUnit | None = None,
    seed: int | None = None,
) -> DatasetVersion:
    """Cut the branch's newest version in other ratios and register the result."""
    name_dir = dataset_folder(name, services)
    tokenizer = _tokenizer_of(name_dir, head(name_dir, branch), services)
    folder, manifest = cutting.cut_again(name_dir, branch, ratios, unit=unit, seed=seed, tokenizer=tokenizer)
    with services.unit_of_work() as uow:
        return register_version(folder, uow, parents=manifest.parents)


def _tokenizer_of(name_dir: Path, commit: str | None, services: Services) -> Tokenizer | None:
    """The tokenizer that counted the tokens of the commit: what is made of it is counted with the same one."""
    model = None if commit is None else load_commit(name_dir, commit).request.tokenizer
    return counting_tokenizer(model, services.settings)


def compare_versions(before: str, after: str, services: Services, shown: int | None = SHOWN_ROWS) -> VersionDifference:
    """Rows added, removed and changed. Raises InvalidRequestError where they are versions of two datasets."""
    first, second = open_version(before, services), open_version(after, services)
    if first.name_dir != second.name_dir:
        raise InvalidRequestError(
            "Versions of two datasets cannot be compared",
            value=f"{before}, {after}",
            allowed="two versions of one dataset",
            next_step=f"see `tuneway dataset log {first.manifest.name}`",
        )
    return diff(first.name_dir, first.manifest, second.manifest, shown)


def split_version(dataset_id: int, ratios: Ratios, services: Services, actor: str) -> DatasetVersion:
    """Cut the newest version of a branch in other ratios, for its maker. Raises ConflictError where it is not the newest.

    The same ratios again answer the version that is there.
    """
    if ratios.train == 0 or abs(ratios.train + ratios.validation + ratios.test - 1) > 1e-6:
        raise InvalidRequestError(
            "The ratios do not make a whole",
            value=f"train_ratio {ratios.train:g}, val_ratio {ratios.validation:g}, test_ratio {ratios.test:g}",
            allowed="three that sum to 1, the first of them above 0",
            next_step="for example 0.8, 0.1 and 0.1",
        )
    given = open_version(str(dataset_id), services)
    branch = given.manifest.request.branch
    newest = head(given.name_dir, branch)
    if newest != given.manifest.commit:
        if newest is None or not _is_cut_of(given, load_commit(given.name_dir, newest), ratios):
            raise ConflictError(
                "This is not the newest version of its branch",
                value=f"{given.manifest.name}, dataset_id {dataset_id}",
                allowed=f"the newest version of {branch}",
                next_step="split that one: see the dataset's versions",
            )
        with services.unit_of_work() as uow:
            return register_version(commit_folder(given.name_dir, newest), uow)
    version = split_again(given.manifest.name, branch, ratios, services)
    with services.unit_of_work() as uow:
        uow.ownership.claim(ResourceKind.DATASET, version.dataset_id, uow.users.get(actor).user_id)
        details: JsonObject = {"dataset_id": version.dataset_id, "of": dataset_id}
        uow.audit.append(actor, "dataset.split", f"dataset/{version.name}", details)
    return version


def _is_cut_of(before: OpenVersion, newest: VersionManifest, ratios: Ratios) -> bool:
    return (
        newest.recipe.operation == "split"
        and newest.parents == [before.manifest.commit]
        and cutting.ratios_of(newest) == ratios
    )


def collect_garbage(name: str, services: Services, *, dry_run: bool) -> Garbage:
    """Remove what no branch, tag or row of the database refers to. Nothing where the database does not answer."""
    name_dir = dataset_folder(name, services)
    with services.unit_of_work() as uow:
        needed = [Path(path) for path in uow.datasets.needed_folders(name)]
    return garbage.collect_garbage(name_dir, needed_folders=needed, dry_run=dry_run)


def register_version(folder: Path, uow: UnitOfWork, *, parents: list[str] | None = None) -> DatasetVersion:
    """The version's row in the database; the row that is there when its content was registered before.

    `parents`: commits whose rows become its parents; those of its manifest unless others are given.
    """
    manifest = load_manifest(folder)
    rows = {Path(row.file_path).resolve(): row.dataset_id for row in uow.datasets.of_name(manifest.name)}
    before = manifest.parents if parents is None else parents
    found = [rows.get(commit_folder(folder.parent, commit).resolve()) for commit in before]
    return uow.datasets.add(
        name=manifest.name,
        content_hash=manifest.content_hash,
        file_path=str(folder),
        total_samples=manifest.total_samples,
        train_samples=manifest.samples["train"],
        val_samples=manifest.samples["validation"],
        test_samples=manifest.samples["test"],
        removed=manifest.removed,
        masked=manifest.masked,
        quality_score=manifest.quality_score,
        categories=manifest.categories,
        metadata={
            "import_id": manifest.request.import_id,
            "commit": manifest.commit,
            "operation": manifest.recipe.operation,
            "request": manifest.request.model_dump(mode="json"),
            "steps": [step.model_dump(mode="json") for step in manifest.steps],
            "statistics": _counted(folder),
        },
        sources=manifest.sources,
        parents=[dataset_id for dataset_id in found if dataset_id is not None],
    )


def version_row(given: str, services: Services) -> DatasetVersion:
    """The version's row in the database; made where its version is not known there yet."""
    if given.isdigit():
        with services.unit_of_work() as uow:
            return uow.datasets.get(int(given))
    version = open_version(given, services)
    with services.unit_of_work() as uow:
        return register_version(version.folder, uow)


def archive_version(given: str, services: Services) -> DatasetVersion:
    """Say that the version is needed no more: garbage collection may take it once no branch or tag leads to it."""
    version = open_version(given, services)
    with services.unit_of_work() as uow:
        for row in uow.datasets.of_name(version.manifest.name):
            if Path(row.file_path).resolve() == version.folder.resolve():
                uow.datasets.set_status(row.dataset_id, DatasetStatus.ARCHIVED)
                return row
    raise NotFoundError(
        "The database has no row of this version",
        value=given,
        next_step="see `tuneway dataset log`: versions with a number can be archived",
    )


def version_statistics(given: str, services: Services) -> JsonObject:
    """The version's statistics. Raises NotFoundError where it has none."""
    version = open_version(given, services)
    found = read_stored_json(version.folder / STATISTICS_FILE)
    if found is None:
        raise NotFoundError(
            "The version has no statistics", value=given, next_step="prepare the dataset again with the same request"
        )
    return found


def _counted(folder: Path) -> JsonObject:
    """The statistics as the database keeps them: numbers, no texts of rows."""
    return without_examples(read_stored_json(folder / STATISTICS_FILE) or {})


def version_report(given: str, services: Services, out: Path | None = None) -> Path:
    """The version's report, written where it is not there yet; at `out` with examples and words of rows."""
    version = open_version(given, services)
    if out is not None:
        write_text_atomically(out, version_page(version.folder, services.settings.language))
        return out
    path = version.folder / REPORT_FILE
    return path if path.is_file() else write_report(version.folder, services.settings.language)


def dataset_folder(name: str, services: Services) -> Path:
    """Where the dataset's versions are. Raises NotFoundError with the names that there are."""
    name_dir = versions_dir(services) / name
    if not name or "/" in name or name.startswith("."):
        raise InvalidRequestError(
            "This is no name of a dataset",
            value=name,
            allowed="<name>, <name>@<branch, tag, commit or v1.2>, or a dataset_id",
            next_step="see `tuneway dataset list`",
        )
    if not name_dir.is_dir():
        resolve(name_dir, MAIN)  # raises, and names the datasets that there are
    return name_dir


def _opened(folder: Path) -> OpenVersion:
    return OpenVersion(folder.parent, folder, load_manifest(folder))


def _rows(name: str, services: Services) -> list[DatasetVersion]:
    with services.unit_of_work() as uow:
        return uow.datasets.of_name(name)


def _known_rows(name: str, services: Services) -> dict[Path, DatasetVersion]:
    """By folder; empty where the database does not answer: the history on disk is told all the same."""
    with suppress(TunewayError):
        return {Path(row.file_path).resolve(): row for row in _rows(name, services)}
    return {}


def _logged(name_dir: Path, manifest: VersionManifest, rows: dict[Path, DatasetVersion]) -> LoggedCommit:
    row = rows.get(commit_folder(name_dir, manifest.commit).resolve())
    return LoggedCommit(
        commit=manifest.commit,
        parents=manifest.parents,
        created_at=manifest.created_at,
        operation=manifest.recipe.operation,
        message=manifest.message,
        rows=manifest.total_samples,
        samples=manifest.samples,
        removed=sum(manifest.removed.values()),
        masked=sum(manifest.masked.values()),
        quality_score=manifest.quality_score,
        branches=[name for name, commit in branches(name_dir).items() if commit == manifest.commit],
        tags=[name for name, commit in tags(name_dir).items() if commit == manifest.commit],
        version=None if row is None else row.version,
        dataset_id=None if row is None else row.dataset_id,
    )
