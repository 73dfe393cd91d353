"""What is decided over all rows at once: duplicates, identities, sides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy
import pyarrow
from numpy.typing import NDArray

from contracts.datasets import PrepareRequest
from contracts.enums import Split
from data_prep.preparation.cleaning import CleanedRows
from data_prep.versions.splitting import Ratios, assign_sides, group_of


@dataclass(frozen=True, slots=True)
class Identities:
    """Of the rows that stayed, in source order."""

    keys: list[str]
    """Unique: the second row with one key gets a number, and its key from both."""
    sides: list[Split]


def identify(
    rows: CleanedRows, kept: NDArray[numpy.bool_], request: PrepareRequest, previous: Mapping[str, Split] | None
) -> Identities:
    """Keys and sides of the rows that stayed."""
    tables = [
        rows.table(chunk, ["key", "category", "source", "question_key"]).filter(
            pyarrow.array(kept[rows.start(chunk) : rows.start(chunk + 1)])
        )
        for chunk in range(len(rows.files))
    ]
    table = pyarrow.concat_tables(tables)
    keys = unique_keys(table["key"].to_pylist())
    rows_of = zip(table["source"].to_pylist(), table["question_key"].to_pylist(), strict=True)
    groups = [group_of(source, question, request.split_unit) for source, question in rows_of]
    ratios = Ratios(request.train_ratio, request.val_ratio, request.test_ratio)
    sides = assign_sides(table["category"].to_pylist(), groups, ratios, request.seed, _by_group(keys, groups, previous))
    return Identities(keys, sides)


def unique_keys(keys: Sequence[str]) -> list[str]:
    """The keys, where the second and each later row with the same one gets another, made of the key and its number."""
    seen: dict[str, int] = {}
    unique = []
    for key in keys:
        number = seen.get(key, 0)
        seen[key] = number + 1
        unique.append(key if number == 0 else blake2b(f"{key}#{number}".encode(), digest_size=8).hexdigest())
    return unique


def _by_group(
    keys: Sequence[str], groups: Sequence[str], previous: Mapping[str, Split] | None
) -> Mapping[str, Split] | None:
    """The side that each group had in the version before."""
    if previous is None:
        return None
    return {group: previous[key] for key, group in zip(keys, groups, strict=True) if key in previous}
