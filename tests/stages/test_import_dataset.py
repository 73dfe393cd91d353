"""Stage import_dataset in an installation of its own."""

import pytest

from contracts.datasets import ImportRequest
from contracts.errors import InvalidRequestError
from stages.import_dataset import import_dataset


def test_files_of_the_inbox_are_imported_below_the_data_folder(services):
    inbox = services.settings.data_dir / "inbox"
    inbox.mkdir(parents=True)
    (inbox / "rows.csv").write_text("질문,답변\n보존 기간은?,5년입니다.\n", encoding="cp949")
    progress = []

    imported = import_dataset(
        ImportRequest(dataset_name="demo", input_files=[str(inbox / "rows.csv")]),
        services,
        on_progress=lambda *step: progress.append(step),
    )

    folder = services.settings.datasets_dir / "imports" / imported.import_id
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "quarantine.jsonl", "rows.parquet"]
    assert imported.total_rows == 1
    size = (inbox / "rows.csv").stat().st_size
    assert progress[-1] == ("imported rows.csv", size, size)


def test_files_elsewhere_are_refused(services, tmp_path):
    (tmp_path / "rows.csv").write_text("Q,A\n가?,나.\n")

    with pytest.raises(InvalidRequestError, match="TUNEWAY_INPUT_ROOTS"):
        import_dataset(ImportRequest(dataset_name="demo", input_files=[str(tmp_path / "rows.csv")]), services)
