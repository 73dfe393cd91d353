"""An allowed folder with files, and imports made from it."""

import json
from pathlib import Path

import pytest

from contracts.datasets import ImportedDataset, ImportRequest
from contracts.record import JsonObject
from data_prep.imports.importing import import_files, read_imported_rows
from data_prep.imports.input_files import InputFile, open_input_files
from data_prep.rows import Row


class Inbox:
    """An allowed folder with files, and imports made from it."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "inbox"
        self.folder.mkdir()
        self.imports = root / "imports"

    def put(self, name: str, content: str | bytes, encoding: str = "utf-8") -> str:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return str(path)

    def put_rows(self, name: str, *rows: object) -> str:
        return self.put(name, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    def open(self, name: str) -> InputFile:
        return open_input_files([name], relative_to=self.folder, allowed_roots=[self.folder])[0]

    def bring_in(self, *files: str, **request) -> ImportedDataset:
        return import_files(
            ImportRequest(dataset_name="demo", input_files=list(files), **request),
            imports_dir=self.imports,
            relative_to=self.folder,
            allowed_roots=[self.folder],
            min_free_disk_gb=0.1,
        )

    def rows(self, *files: str, **request) -> list[Row]:
        return list(read_imported_rows(self.bring_in(*files, **request)))

    def conversation(self, *files: str, **request) -> list[tuple[str, str]]:
        """Role and content of the turns of the only row."""
        (row,) = self.rows(*files, **request)
        return [(message.role, message.content) for message in row.messages]

    def turns(self, imported: ImportedDataset) -> list[tuple[str, str]]:
        return [(row.question, row.answer) for row in read_imported_rows(imported)]

    def quarantine(self, imported: ImportedDataset) -> list[JsonObject]:
        return [json.loads(line) for line in Path(imported.quarantine_path).read_text("utf-8").splitlines()]

    def reasons(self, *files: str, **request) -> list[str]:
        return [str(row["reason"]) for row in self.quarantine(self.bring_in(*files, **request))]


@pytest.fixture
def inbox(tmp_path) -> Inbox:
    return Inbox(tmp_path)
