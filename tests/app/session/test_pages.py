"""Pages of files join the list of images when they were counted, off the window's thread."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import tifffile
from pytestqt.qtbot import QtBot

from app.document.project import Project
from app.session import LabelingSession
from mdlstm_core.data import pages


def _write(path: Path, count: int) -> Path:
    with tifffile.TiffWriter(path) as file:
        for page in range(count):
            file.write(np.full((8, 8), page, np.uint8), photometric="minisblack")
    return path


def test_pages_are_counted_off_the_windows_thread(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [_write(tmp_path / f"{name}.tif", n) for name, n in (("a", 1), ("b", 3), ("c", 2))]
    threads: list[threading.Thread] = []
    count = pages._count

    def noted(file: Path) -> int:
        threads.append(threading.current_thread())
        return count(file)

    monkeypatch.setattr(pages, "_count", noted)
    session = LabelingSession(device="cpu")
    with qtbot.waitSignal(session.document_changed, check_params_cb=bool):
        session.open_paths([tmp_path])
        assert session.project.images == files
        assert threading.main_thread() not in threads
    expected = ["a.tif", "b.tif", "b#page=2.tif", "b#page=3.tif", "c.tif", "c#page=2.tif"]
    qtbot.waitUntil(lambda: [i.name for i in session.project.images] == expected)
    assert len(threads) == 3
    assert threading.main_thread() not in threads
    with qtbot.waitSignal(session.document_changed):
        session.open_image(session.project.images[3])
    assert session.document is not None
    assert (session.document.image == 2).all()
    session.close()


def test_pages_of_one_project_do_not_join_another(qtbot: QtBot, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        _write(tmp_path / name / "stack.tif", 3)
    session = LabelingSession(device="cpu")
    session.open_paths([tmp_path / "one"])
    session.open_paths([tmp_path / "two"])
    qtbot.waitUntil(lambda: len(session.project.images) == 3)
    assert {image.parent.name for image in session.project.images} == {"two"}
    session.close()


def test_pages_that_are_there_stay_where_they_are() -> None:
    project = Project()
    second, file = Path("s#page=2.tif"), Path("s.tif")
    project.add_images([second, file, Path("z.png")])
    third = Path("s#page=3.tif")
    project.add_pages({file: [file, second, third], Path("gone.tif"): [Path("gone#page=2.tif")]})
    assert project.images == [second, file, third, Path("z.png")]
