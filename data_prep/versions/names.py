"""How the files of a dataset version are called, and what a row of it holds."""

import pyarrow

from contracts.enums import Split

SPLIT_FILES = {split: f"{split.value}.parquet" for split in Split}
MANIFEST_FILE, STATISTICS_FILE, INDEX_FILE = "manifest.json", "statistics.json", "index.parquet"
REMOVED_FILE, MASKED_FILE = "removed.jsonl", "masked.jsonl"
CONTENT_FILES = (INDEX_FILE, REMOVED_FILE, MASKED_FILE)
"""Files beside the parts that make the version what it is; all others are derived from them."""

PART_SCHEMA = pyarrow.schema(
    [
        ("messages", pyarrow.string()),
        ("category", pyarrow.string()),
        ("source", pyarrow.string()),
        ("quality_score", pyarrow.float64()),
        ("toxicity", pyarrow.float64()),
        ("key", pyarrow.string()),
        ("metadata", pyarrow.string()),
        ("parts", pyarrow.string()),
    ]
)
"""Nothing here depends on the place of a row in its file: a row that moved leaves its part as it was."""

INDEX_SCHEMA = pyarrow.schema([("split", pyarrow.string()), ("key", pyarrow.string()), ("row", pyarrow.string())])
"""Every row of the version in source order: its side, its key, and `<file name>:<line>`."""
