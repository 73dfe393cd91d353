"""A person's rights over their data: where it is, its deletion everywhere, and the certificate of it.

Every store is read through: what recognisers missed is found as well, and no index of people exists that could be stolen
or be out of date. What is kept of the person is keyed hashes.
"""

from __future__ import annotations

import base64
import fcntl
import json
import shutil
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pyarrow
from cryptography.exceptions import InvalidSignature
from pydantic import ValidationError

from contracts.audit import SubjectCategory
from contracts.enums import LineageKind, Split
from contracts.errors import ConflictError, InvalidDataError, InvalidRequestError, KeyUnavailableError
from contracts.privacy import (
    AffectedModel,
    DeletionCertificate,
    IdentifierTag,
    StoredKind,
    SubjectPlace,
    SubjectReport,
)
from contracts.record import Record, utc_now
from data_prep.imports.importing import load_import
from data_prep.subjects.erasing import erase_imported_rows, erase_lines, erase_table_rows, erase_version_rows
from data_prep.subjects.searching import (
    CERTAIN,
    SHARED,
    FoundInVersion,
    Subject,
    find_in_import,
    find_in_lines,
    find_in_table,
    find_in_version,
)
from data_prep.versions.manifest import SHORT, load_manifest
from data_prep.versions.names import STATISTICS_FILE
from data_prep.versions.references import commits
from security.audit.heads import key_id_of
from security.audit.keys import read_public_key, read_signing_key
from stages.audit import record_action, signing_key_file
from stages.dataset_versions import collect_garbage, versions_dir
from stages.pseudonyms import pseudonym_key
from stages.subject_places import SubjectPlaces, erase_places, find_places
from storage.files import read_json, write_json_atomically
from storage.stored_files import read_stored_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from contracts.datasets import DatasetVersion
    from data_prep.rows import OnProgress
    from data_prep.subjects.identifiers import Identifier
    from stages.services import Services

TAGS = "of persons"
"""Names the key of the tags apart from those of the datasets' pseudonyms: no dataset has a name with a space."""
_Key = TypeVar("_Key")
PLAN_FILE, CERTIFICATE_FILE = "plan.json", "certificate.json"
_DOMAIN = b"tuneway.deletion.v1\0"


class PlannedVersion(Record):
    """What an erasure takes out of a version; the version itself does not show it any more once that has begun."""

    keys: dict[str, int]
    """Certainty by the key of a row."""
    told: dict[str, int]
    """Certainty by the row (`<file name>:<line>`) of the import that the version tells of."""


class ErasurePlan(Record):
    """What an erasure began with: a killed one goes on, and its certificate tells all of it. No value of the person."""

    erasure_id: str
    identifiers: list[IdentifierTag]
    reason: str
    actor: str
    started_at: str
    with_shared: bool
    places: list[SubjectPlace]
    models: list[AffectedModel]
    source_files: list[str]
    imported: dict[str, dict[str, int]]
    """Certainty by row, by import: rows of versions are known by them after the imports have lost them."""
    versions: dict[str, PlannedVersion]
    """By `<dataset>/<commit>`."""


@dataclass(slots=True)
class _Found:
    """Every row of the person."""

    imported: dict[str, dict[str, int]] = field(default_factory=dict)
    quarantined: dict[str, dict[int, int]] = field(default_factory=dict)
    versions: dict[Path, FoundInVersion] = field(default_factory=dict)
    tables: dict[Path, list[int]] = field(default_factory=dict)
    """Certainty of every row."""
    reviews: dict[int, int] = field(default_factory=dict)
    traffic: dict[int, int] = field(default_factory=dict)
    elsewhere: SubjectPlaces = field(default_factory=SubjectPlaces)
    rows_read: int = 0
    unreadable: list[str] = field(default_factory=list)


def find_subject(
    identifiers: Sequence[Identifier],
    services: Services,
    *,
    actor: str,
    reason: str,
    on_progress: OnProgress | None = None,
) -> SubjectReport:
    """Where the person is. The search is audited, with keyed hashes for the person."""
    tags = _tags(identifiers, services)
    record_action(
        services,
        actor,
        "privacy.searched",
        f"person/{tags[0].tag}",
        {"identifiers": [tag.model_dump(mode="json") for tag in tags]},
        category=SubjectCategory.TRAINING_DATA,
        purpose=_reason(reason),
    )
    found = _find(Subject(identifiers), services, None, on_progress or _silent)
    return _report(tags, found, services)


def erase_subject(
    identifiers: Sequence[Identifier],
    services: Services,
    *,
    actor: str,
    reason: str,
    with_shared: bool = False,
    on_progress: OnProgress | None = None,
) -> DeletionCertificate:
    """Delete the person's rows everywhere; the signed certificate.

    Rows that show only what others may have too (a name) stay unless `with_shared`. Killed at any instant, the same call
    goes on. Raises ConflictError while data with such rows is prepared, InvalidRequestError where all identifiers are
    shared ones and `with_shared` was not said.
    """
    if not with_shared and all(identifier.is_shared for identifier in identifiers):
        raise InvalidRequestError(
            "Other people may have the same",
            value=", ".join(sorted({identifier.kind.value for identifier in identifiers})),
            allowed="an identifier of this person alone (telephone number, resident number, e-mail address …)",
            next_step="name one, or look at what `tuneway privacy find` shows and say --with-shared",
        )
    tell = on_progress or _silent
    # before anything is deleted: what could not be certified is not begun
    key = read_signing_key(signing_key_file(services.settings))
    subject, tags = Subject(identifiers), _tags(identifiers, services)
    plan = _begun(tags, with_shared, services)
    found = _find(subject, services, plan, tell)
    plan = _planned(plan, found, tags, actor, _reason(reason), with_shared, services)
    record_action(
        services,
        actor,
        "privacy.erasing",
        f"person/{tags[0].tag}",
        {"erasure_id": plan.erasure_id, "with_shared": with_shared},
        category=SubjectCategory.TRAINING_DATA,
        purpose=plan.reason,
    )
    _erase(subject, found, plan, services, tell)
    return _certified(plan, key, services)


def certificates(services: Services) -> list[DeletionCertificate]:
    """Every certificate of this installation, oldest first."""
    found = [
        DeletionCertificate.model_validate(record)
        for path in sorted(services.settings.privacy_dir.glob(f"*/{CERTIFICATE_FILE}"))
        if (record := read_json(path)) is not None
    ]
    return sorted(found, key=lambda certificate: certificate.finished_at)


def read_certificate(path: Path) -> DeletionCertificate:
    """The certificate in the file. Raises InvalidDataError."""
    try:
        return DeletionCertificate.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InvalidDataError(
            "The file is no deletion certificate",
            value=path,
            allowed="a certificate.json as `tuneway privacy erase` writes it",
            next_step="give its id: `tuneway privacy certificates`",
        ) from error


def is_genuine(certificate: DeletionCertificate, services: Services, public_key: Path | None = None) -> bool:
    """The installation's audit key, or the one in the file, signed exactly this."""
    key = read_public_key(public_key or signing_key_file(services.settings))
    try:
        key.verify(base64.b64decode(certificate.signature, validate=True), _signed_bytes(certificate))
    except (InvalidSignature, ValueError):
        return False
    return True


def _find(subject: Subject, services: Services, before: ErasurePlan | None, tell: OnProgress) -> _Found:
    """Every row that is there, and those that an attempt which was killed was to erase."""
    settings = services.settings
    found = _Found(imported={} if before is None else {name: dict(rows) for name, rows in before.imported.items()})
    imports_dir = settings.datasets_dir / "imports"
    names = sorted(path.parent.name for path in imports_dir.glob("*/manifest.json"))
    for number, import_id in enumerate(names):
        tell("reading imports", number, len(names))
        with _readable(found, f"imports/{import_id}"):
            imported = load_import(imports_dir, import_id)
            rows = find_in_import(imported, subject)
            found.rows_read += imported.total_rows
            if rows:
                found.imported[import_id] = {**found.imported.get(import_id, {}), **rows}
            if lines := find_in_lines(Path(imported.quarantine_path), subject):
                found.quarantined[import_id] = lines
    _find_in_versions(subject, services, found, tell)
    for name, planned in ({} if before is None else before.versions).items():
        if (held := found.versions.get(versions_dir(services) / name)) is not None:
            held.keys |= planned.keys
            held.told |= planned.told
    tell("reading uploads, samples, test cases and answers", 0, 1)
    found.elsewhere = find_places(subject, services, partial(_readable, found))
    found.rows_read += found.elsewhere.rows_read
    for path in sorted((settings.datasets_dir / "preferences").glob("*/*/*.parquet")):
        with _readable(found, str(path.relative_to(settings.data_dir))):
            certainty = find_in_table(path, subject)
            found.rows_read += len(certainty)
            if certainty.any():
                found.tables[path] = [int(value) for value in certainty]
    _find_in_database(subject, services, found, tell)
    return found


def _find_in_versions(subject: Subject, services: Services, found: _Found, tell: OnProgress) -> None:
    """Look into the versions that were not looked into yet."""
    settings = services.settings
    folders = [
        (name_dir, folder)
        for name_dir in sorted(path for path in versions_dir(services).glob("[!.]*") if path.is_dir())
        for folder in commits(name_dir).values()
    ]
    for number, (name_dir, folder) in enumerate(folders):
        if folder in found.versions:
            continue
        tell("reading dataset versions", number, len(folders))
        with _readable(found, f"{name_dir.name}@{folder.name}"):
            manifest = load_manifest(folder)
            found.rows_read += manifest.total_samples
            found.versions[folder] = find_in_version(
                name_dir,
                folder,
                manifest,
                subject,
                pseudonym_key=pseudonym_key(settings, name_dir.name),
                imported=found.imported,
            )


def _find_in_database(subject: Subject, services: Services, found: _Found, tell: OnProgress) -> None:
    opened = services.recorded_text.opened
    with services.unit_of_work() as uow:
        for review in uow.reviews.everything():
            texts = [json.dumps(review.messages, ensure_ascii=False), review.passage, review.note]
            if review.edited_messages is not None:
                texts.append(json.dumps(review.edited_messages, ensure_ascii=False))
            if certainty := subject.certainty_of(*texts):
                found.reviews[review.review_id] = certainty
            found.rows_read += 1
        total = uow.recorded_texts.count()
        done = 0
        for rows in uow.recorded_texts.batches():
            tell("reading the chat's log", done, total)
            done += len(rows)
            columns: list[list[str | None]] = [[row.user_key for row in rows]]
            for column in ("query", "response", "user_feedback"):
                columns.append([])
                for row in rows:
                    text = ""
                    with _readable(found, "ab_test_logs"):
                        text = opened(column, row.request_id, getattr(row, column) or "")
                    columns[-1].append(text)
            certainty_of = subject.certainty([pyarrow.array(texts, pyarrow.large_string()) for texts in columns])
            for place in certainty_of.nonzero()[0].tolist():
                found.traffic[rows[place].row_id] = int(certainty_of[place])
        found.rows_read += done
    found.unreadable = list(dict.fromkeys(found.unreadable))


def _erase(subject: Subject, found: _Found, plan: ErasurePlan, services: Services, tell: OnProgress) -> None:
    settings = services.settings
    least = SHARED if plan.with_shared else CERTAIN
    with services.unit_of_work() as uow:
        uow.reviews.remove(_at_least(found.reviews, least))
        uow.recorded_texts.forget(_at_least(found.traffic, least))
    erase_places(found.elsewhere, least, services)
    for path, certainty in found.tables.items():
        if any(value >= least for value in certainty):
            erase_table_rows(path, [value < least for value in certainty])
    _end_preparations(found, services)
    _erase_from_versions(found, least, plan, services, tell)
    imports_dir = settings.datasets_dir / "imports"
    for import_id, lines in found.quarantined.items():
        erase_lines(Path(load_import(imports_dir, import_id).quarantine_path), set(_at_least(lines, least)))
    for import_id, rows in found.imported.items():
        if chosen := _at_least(rows, least):
            erase_imported_rows(imports_dir, import_id, set(chosen))
    # a version that was written meanwhile came from rows that were still there
    _end_preparations(found, services)
    before = set(found.versions)
    _find_in_versions(subject, services, found, tell)
    found.versions = {folder: held for folder, held in found.versions.items() if folder not in before}
    _erase_from_versions(found, least, plan, services, tell)
    # rows as tokens, kept for other runs: made again when they are needed
    shutil.rmtree(settings.cache_dir / "tokenized", ignore_errors=True)


def _erase_from_versions(found: _Found, least: int, plan: ErasurePlan, services: Services, tell: OnProgress) -> None:
    names = set()
    affected = [
        (folder, of_version)
        for folder, of_version in found.versions.items()
        if _at_least(of_version.keys, least) or _at_least(of_version.told, least)
    ]
    for number, (folder, of_version) in enumerate(affected):
        tell("erasing from dataset versions", number, len(affected))
        manifest = erase_version_rows(
            folder.parent,
            folder,
            set(_at_least(of_version.keys, least)),
            set(_at_least(of_version.told, least)),
            plan.erasure_id,
        )
        with services.unit_of_work() as uow:
            for row in _rows_at(folder, uow.datasets.of_name(manifest.name)):
                uow.datasets.shrink(
                    row.dataset_id,
                    {split: manifest.samples[split.value] for split in Split},
                    manifest.categories,
                    read_stored_json(folder / STATISTICS_FILE) or {},
                )
        names.add(manifest.name)
    for name in sorted(names):
        collect_garbage(name, services, dry_run=False)


def _end_preparations(found: _Found, services: Services) -> None:
    """Take away what killed preparations left of these imports. Raises ConflictError while one runs."""
    for plan in versions_dir(services).glob("*/.*.work/plan.json"):
        told = read_json(plan)
        if told is None or Path(str(told.get("rows_path"))).parent.name not in found.imported:
            continue
        work_dir = plan.parent
        with work_dir.with_suffix(".lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConflictError(
                    "A dataset with rows of this person is being prepared",
                    value=work_dir.parent.name,
                    next_step="erase again when the preparation has ended; what was erased so far stays erased",
                ) from error
            shutil.rmtree(work_dir, ignore_errors=True)


def _report(tags: list[IdentifierTag], found: _Found, services: Services) -> SubjectReport:
    return SubjectReport(
        identifiers=tags,
        places=_places(found, services),
        models=_models(found, services, SHARED),
        source_files=_source_files(found, services, SHARED),
        rows_read=found.rows_read,
        unreadable=found.unreadable,
    )


def _places(found: _Found, services: Services) -> list[SubjectPlace]:
    data_dir = services.settings.data_dir
    places = [_place(StoredKind.IMPORT, name, rows.values()) for name, rows in found.imported.items()]
    places += [_place(StoredKind.QUARANTINE, name, lines.values()) for name, lines in found.quarantined.items()]
    for folder, of_version in found.versions.items():
        if of_version.keys or of_version.told:
            training = sum(side is Split.TRAIN for side in of_version.sides.values())
            place = _place(StoredKind.VERSION, f"{folder.parent.name}@{folder.name}", of_version.keys.values())
            places.append(place.model_copy(update={"training": training}))
    for path, certainty in found.tables.items():
        name = str(path.relative_to(data_dir))
        places.append(_place(StoredKind.PREFERENCES, name, (value for value in certainty if value)))
    places += [_place(kind, name, values) for kind, name, values in found.elsewhere.each(services.settings)]
    if found.reviews:
        places.append(_place(StoredKind.REVIEW, "sample_reviews", found.reviews.values()))
    if found.traffic:
        places.append(_place(StoredKind.TRAFFIC, "ab_test_logs", found.traffic.values()))
    return places


def _place(kind: StoredKind, name: str, certainty: Iterable[int]) -> SubjectPlace:
    values = list(certainty)
    return SubjectPlace(kind=kind, name=name, certain=values.count(CERTAIN), shared=values.count(SHARED))


def _models(found: _Found, services: Services, least: int) -> list[AffectedModel]:
    """Models that came of a version with such a row on its training or validation side."""
    through: dict[int, tuple[str, list[str]]] = {}
    with services.unit_of_work() as uow:
        for folder, of_version in found.versions.items():
            learnt = [
                key
                for key in _at_least(of_version.keys, least)
                if of_version.sides.get(key) in (Split.TRAIN, Split.VALIDATION)
            ]
            if not learnt:
                continue
            for row in _rows_at(folder, uow.datasets.of_name(folder.parent.name)):
                graph = uow.lineage.around(LineageKind.DATASET, str(row.dataset_id), up=False)
                for node in [] if graph is None else graph.nodes:
                    if node.kind is LineageKind.MODEL:
                        _, versions = through.setdefault(int(node.key), (node.label, []))
                        versions.append(f"{folder.parent.name}@{folder.name}")
    return [
        AffectedModel(model_id=model_id, label=label, through=versions)
        for model_id, (label, versions) in sorted(through.items())
    ]


def _rows_at(folder: Path, rows: Sequence[DatasetVersion]) -> list[DatasetVersion]:
    return [row for row in rows if Path(row.file_path).resolve() == folder.resolve()]


def _source_files(found: _Found, services: Services, least: int) -> list[str]:
    imports_dir = services.settings.datasets_dir / "imports"
    files: set[str] = set()
    for import_id, rows in found.imported.items():
        named = {row.rpartition(":")[0] for row in _at_least(rows, least)}
        for file in load_import(imports_dir, import_id).files:
            if Path(file.path).name in named and Path(file.path).exists():
                files.add(file.path)
    return sorted(files)


def _planned(
    before: ErasurePlan | None,
    found: _Found,
    tags: list[IdentifierTag],
    actor: str,
    reason: str,
    with_shared: bool,
    services: Services,
) -> ErasurePlan:
    """The plan on the disk: what is found now, and what an attempt that was killed had found."""
    least = SHARED if with_shared else CERTAIN
    places = {(place.kind, place.name): place for place in _places(found, services)}
    models = {model.model_id: model for model in _models(found, services, least)}
    files = set(_source_files(found, services, least))
    if before is not None:
        for place in before.places:
            key = (place.kind, place.name)
            if key not in places or places[key].certain + places[key].shared <= place.certain + place.shared:
                places[key] = place
        models = {**models, **{model.model_id: model for model in before.models}}
        files |= set(before.source_files)
    plan = ErasurePlan(
        erasure_id=uuid.uuid4().hex[:SHORT] if before is None else before.erasure_id,
        identifiers=tags,
        reason=reason,
        actor=actor,
        started_at=utc_now().isoformat() if before is None else before.started_at,
        with_shared=with_shared,
        places=list(places.values()),
        models=[models[model_id] for model_id in sorted(models)],
        source_files=sorted(files),
        imported=found.imported,
        versions={
            f"{folder.parent.name}/{folder.name}": PlannedVersion(keys=held.keys, told=held.told)
            for folder, held in found.versions.items()
            if held.keys or held.told
        },
    )
    folder = services.settings.privacy_dir / plan.erasure_id
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_json_atomically(folder / PLAN_FILE, plan.model_dump(mode="json"))
    return plan


def _begun(tags: list[IdentifierTag], with_shared: bool, services: Services) -> ErasurePlan | None:
    """The plan of an erasure of the same person that did not come to its certificate."""
    for path in sorted(services.settings.privacy_dir.glob(f"*/{PLAN_FILE}")):
        record = read_json(path)
        if record is None or (path.parent / CERTIFICATE_FILE).exists():
            continue
        plan = ErasurePlan.model_validate(record)
        if {tag.tag for tag in plan.identifiers} == {tag.tag for tag in tags} and plan.with_shared == with_shared:
            return plan
    return None


def _certified(plan: ErasurePlan, key: Ed25519PrivateKey, services: Services) -> DeletionCertificate:
    erased = [
        place if plan.with_shared else place.model_copy(update={"shared": 0})
        for place in plan.places
        if place.certain or plan.with_shared
    ]
    certificate = DeletionCertificate(
        certificate_id=plan.erasure_id,
        identifiers=plan.identifiers,
        reason=plan.reason,
        actor=plan.actor,
        started_at=plan.started_at,
        finished_at=utc_now(),
        with_shared=plan.with_shared,
        erased=erased,
        kept_shared=0 if plan.with_shared else sum(place.shared for place in plan.places),
        models=plan.models,
        source_files=plan.source_files,
        key_id=key_id_of(key.public_key()),
    )
    signature = base64.b64encode(key.sign(_signed_bytes(certificate))).decode()
    certificate = certificate.model_copy(update={"signature": signature})
    record_action(
        services,
        plan.actor,
        "privacy.erased",
        f"person/{plan.identifiers[0].tag}",
        {
            "certificate_id": certificate.certificate_id,
            "rows": sum(place.certain + place.shared for place in erased),
            "places": len(erased),
            "models": [model.model_id for model in plan.models],
        },
        category=SubjectCategory.TRAINING_DATA,
        purpose=plan.reason,
    )
    write_json_atomically(
        services.settings.privacy_dir / plan.erasure_id / CERTIFICATE_FILE, certificate.model_dump(mode="json")
    )
    return certificate


def _signed_bytes(certificate: DeletionCertificate) -> bytes:
    fields = certificate.model_dump(mode="json", exclude={"signature"})
    return _DOMAIN + json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _tags(identifiers: Sequence[Identifier], services: Services) -> list[IdentifierTag]:
    key = pseudonym_key(services.settings, TAGS)
    return [IdentifierTag(kind=identifier.kind, tag=identifier.tag(key)) for identifier in identifiers]


def _reason(given: str) -> str:
    if not given.strip():
        raise InvalidRequestError(
            "Looking for a person needs a reason",
            value=given,
            next_step="say why with --reason, such as the number of the person's request",
        )
    return given.strip()


def _at_least(certainty: Mapping[_Key, int], least: int) -> list[_Key]:
    return [key for key, value in certainty.items() if value >= least]


@contextmanager
def _readable(found: _Found, place: str) -> Iterator[None]:
    """What is under an erased key is told, and passed over: it is gone for everybody."""
    try:
        yield
    except KeyUnavailableError:
        found.unreadable.append(place)


def _silent(what: str, done: int, total: int) -> None:
    pass
