"""Folders of documents: one that cannot be read stops nothing."""

import os
from pathlib import Path

import pytest

from contracts.errors import InvalidRequestError, NotFoundError
from data_prep.documents.folder import UnreadDocument, read_folder
from tests.data_prep.documents.writers import hwp_paragraph, write_hwp


def read(folder: Path) -> dict[str, str]:
    """Text or reason, by name."""
    return {
        found.name: found.reason if isinstance(found, UnreadDocument) else found.text for found in read_folder(folder)
    }


def test_every_file_is_read_or_told_and_none_stops_the_others(tmp_path: Path) -> None:
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "a.txt").write_text("첫째 문서입니다.")
    (tmp_path / "b" / "broken.pdf").write_bytes(b"%PDF-1.7 broken")
    (tmp_path / "b" / "c" / "z.md").write_text("# 셋째")
    (tmp_path / "b" / "copy.txt").write_text("첫째 문서입니다.")
    (tmp_path / "b" / "photo.png").write_bytes(b"\x89PNG")
    (tmp_path / "b" / "~$a.docx").write_bytes(b"lock")
    (tmp_path / ".hidden.txt").write_text("숨김")
    write_hwp(tmp_path / "d.hwp", [hwp_paragraph("넷째")], flags=3)
    found = read(tmp_path)
    assert list(found) == ["a.txt", "b/broken.pdf", "b/c/z.md", "b/copy.txt", "b/photo.png", "d.hwp"]
    assert found["a.txt"] == "첫째 문서입니다."
    assert found["b/c/z.md"] == "셋째"
    assert "cannot be read" in found["b/broken.pdf"]
    assert found["b/copy.txt"] == "left out: same content as a.txt"
    assert found["b/photo.png"].startswith("left out: .png ending")
    assert "password" in found["d.hwp"]
    errors = {
        item.name: item.as_record()["is_error"] for item in read_folder(tmp_path) if isinstance(item, UnreadDocument)
    }
    assert errors == {"b/broken.pdf": True, "b/copy.txt": False, "b/photo.png": False, "d.hwp": True}


def test_progress_tells_files_done_of_all(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text(f"문서 {name}")
    told: list[tuple[int, int]] = []
    list(read_folder(tmp_path, lambda _, done, total: told.append((done, total))))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("비밀")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "a.txt").write_text("문서")
    (inside / "link.txt").symlink_to(outside / "secret.txt")
    (inside / "folder").symlink_to(outside)
    assert list(read(inside)) == ["a.txt"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the super-user may read everything; runs for any other account")
def test_a_closed_folder_and_a_closed_file_are_told(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / "a.txt").write_text("가")
    (tmp_path / "b.txt").write_text("나")
    (tmp_path / "c.txt").write_text("다")
    (tmp_path / "closed").chmod(0)
    (tmp_path / "b.txt").chmod(0)
    found = read(tmp_path)
    (tmp_path / "closed").chmod(0o700)
    assert "may not be looked into" in found["closed"]
    assert "cannot be opened" in found["b.txt"]
    assert found["c.txt"] == "다"


def test_one_file_may_be_named_instead_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("문서")
    assert read(tmp_path / "a.txt") == {"a.txt": "문서"}


def test_no_folder_and_no_documents_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such folder"):
        read(tmp_path / "none")
    with pytest.raises(InvalidRequestError, match="holds no documents"):
        read(tmp_path)
