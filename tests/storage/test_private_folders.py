"""What is in clear lies in memory or in its owner's folder, and is found again after a kill."""

from pathlib import Path

import pytest

from storage import private_folders as module
from storage.private_folders import free_memory_bytes, make_private_folder, private_folders, remove_private_folders

needs_memory = pytest.mark.skipif(free_memory_bytes() == 0, reason="needs /dev/shm with room: mount one")


@needs_memory
def test_what_fits_lies_in_memory_and_the_next_start_empties_and_removes_it(tmp_path: Path) -> None:
    place = make_private_folder(tmp_path, "test", 1000)
    assert place.parent == module.MEMORY
    assert place.stat().st_mode & 0o777 == 0o700
    (place / "left by a kill").write_text("clear")
    assert private_folders(tmp_path) == [place]

    again = make_private_folder(tmp_path, "test", 1000)
    assert (again, list(again.iterdir())) == (place, [])
    remove_private_folders(tmp_path)
    assert private_folders(tmp_path) == []


def test_what_does_not_fit_lies_in_the_folder_that_it_serves(tmp_path: Path) -> None:
    place = make_private_folder(tmp_path, "test", 2**60)
    assert place.parent == tmp_path
    assert place.stat().st_mode & 0o777 == 0o700
    remove_private_folders(tmp_path, "other")
    assert private_folders(tmp_path) == [place]
    remove_private_folders(tmp_path, "test")
    assert list(tmp_path.iterdir()) == []


@needs_memory
def test_a_name_that_somebody_else_holds_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(module, "MEMORY", memory)
    held = memory / f"{module._prefix(tmp_path)}test"
    held.write_text("somebody else's: rmtree leaves a file")
    assert make_private_folder(tmp_path, "test", 1).parent == tmp_path
    assert held.is_file()
