"""The split of a version: how even it is, and the same rows cut in other ratios as a new version."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow

from contracts.enums import Split, SplitUnit
from contracts.errors import NotFoundError
from data_prep.normalisation import question_key
from data_prep.preparation.steps import StepRecord
from data_prep.rows import messages_from_json
from data_prep.statistics.measuring import Tokenizer
from data_prep.versions.describing import DescribedWriter
from data_prep.versions.manifest import Recipe, VersionManifest, code_revision
from data_prep.versions.names import CONTENT_FILES, INDEX_FILE
from data_prep.versions.reading import read_in_source_order
from data_prep.versions.references import commit_folder, head, load_commit
from data_prep.versions.splitting import Ratios, SplitReport, assign_sides, group_of, report_split
from data_prep.versions.writing import VersionWriter


def ratios_of(manifest: VersionManifest) -> Ratios:
    """The ratios that the version was to have."""
    request = manifest.request
    return Ratios(request.train_ratio, request.val_ratio, request.test_ratio)


def report_version_split(name_dir: Path, manifest: VersionManifest) -> SplitReport:
    """The shares that the version's sides have beside those that were wanted."""
    categories, groups, sides = _columns(name_dir, manifest, manifest.request.split_unit)
    return report_split(categories, groups, sides, ratios_of(manifest))


def cut_again(
    name_dir: Path,
    branch: str,
    ratios: Ratios,
    *,
    unit: SplitUnit | None = None,
    seed: int | None = None,
    tokenizer: Tokenizer | None = None,
) -> tuple[Path, VersionManifest]:
    """The rows of the branch's newest version in other ratios: a new commit. Rows may change sides: that is asked for."""
    ends_at = head(name_dir, branch)
    if ends_at is None:
        raise NotFoundError(
            "There is no such branch", value=branch, next_step=f"see `tuneway dataset branch {name_dir.name}`"
        )
    before = load_commit(name_dir, ends_at)
    request = before.request.model_copy(
        update={
            "train_ratio": ratios.train,
            "val_ratio": ratios.validation,
            "test_ratio": ratios.test,
            "split_unit": unit or before.request.split_unit,
            "seed": before.request.seed if seed is None else seed,
        }
    )
    categories, groups, _ = _columns(name_dir, before, request.split_unit)
    sides = iter(assign_sides(categories, groups, ratios, request.seed))
    with VersionWriter(name_dir, branch) as writer:
        described = DescribedWriter(writer, len(groups), tokenizer)
        for table, _ in read_in_source_order(commit_folder(name_dir, ends_at)):
            described.add_table(table, [next(sides) for _ in range(table.num_rows)])
        described.write_statistics()
        for name in CONTENT_FILES:
            present = commit_folder(name_dir, ends_at) / name
            if name != INDEX_FILE and present.is_file():
                shutil.copyfile(present, writer.path(name))
        recipe = Recipe(
            operation="split",
            request={
                **{name: getattr(request, name) for name in ("train_ratio", "val_ratio", "test_ratio", "seed")},
                "split_unit": request.split_unit.value,
            },
            policy=before.recipe.policy,
            code_revision=code_revision(),
        )
        return writer.commit(
            recipe=recipe,
            request=request,
            request_key=f"split:{ends_at}:{recipe.model_dump_json()}",
            sources=before.sources,
            test_suites=before.test_suites,
            removed=before.removed,
            masked=before.masked,
            steps=[*before.steps, StepRecord(step="split", rows_in=len(groups), rows_out=len(groups))],
            parents=[ends_at],
            message=f"split {ratios.train:g} : {ratios.validation:g} : {ratios.test:g}",
        )


def _columns(name_dir: Path, manifest: VersionManifest, unit: SplitUnit) -> tuple[list[str], list[str], list[Split]]:
    """Category, group and side of every row in source order."""
    categories: list[str] = []
    groups: list[str] = []
    all_sides: list[Split] = []
    for table, sides in read_in_source_order(commit_folder(name_dir, manifest.commit)):
        categories += table["category"].to_pylist()
        groups += _groups(table, unit)
        all_sides += sides
    return categories, groups, all_sides


def _groups(table: pyarrow.Table, unit: SplitUnit) -> Iterator[str]:
    for source, messages in zip(table["source"].to_pylist(), table["messages"].to_pylist(), strict=True):
        if source and unit is SplitUnit.DOCUMENT:
            yield group_of(source, 0, unit)
            continue
        questions = (message.content for message in messages_from_json(messages) if message.role == "user")
        yield group_of(source, question_key("\n".join(questions)), unit)
