"""Files are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mdlstm_core.errors import InputError
from mdlstm_core.files import make_folder, write_whole


def test_content_is_written_and_replaced(tmp_path: Path) -> None:
    for content in (b"first", b""):
        write_whole(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("stop", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_old_file_stays_whole_and_no_part_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: BaseException
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(_descriptor: int) -> None:
        raise stop

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises((InputError, KeyboardInterrupt)) as caught:
        write_whole(path, b"new")

    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    if isinstance(stop, OSError):
        assert str(caught.value) == f"{path} cannot be written: No space left on device."


def test_target_that_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()

    for target in (
        tmp_path / "file" / "inside",
        tmp_path / "missing" / "inside",
        tmp_path / "folder",
    ):
        with pytest.raises(InputError, match="cannot be written"):
            write_whole(target, b"new")

    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")

    assert (tmp_path / "a" / "b").is_dir()


def test_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    for folder in (tmp_path / "file", tmp_path / "file" / "inside"):
        with pytest.raises(InputError, match="cannot be made"):
            make_folder(folder)
