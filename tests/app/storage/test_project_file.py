"""The project file keeps what was painted, whatever happens."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.storage.project_file import ProjectFile, project_path_for
from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.errors import InputError


def _labels(file: ProjectFile, image: Path) -> np.ndarray:
    stored = file.stored_labels(image)
    assert stored is not None
    return stored.decode()


_WRITER = """
import sys
from pathlib import Path
import numpy as np
from app.storage.project_file import ProjectFile

file = ProjectFile(Path(sys.argv[1]))
values = np.full((600, 700), 255, np.uint8)
for number in range(100_000):
    row, column = number * 37 % 600, number * 101 % 700
    values[row, column] = number % 200
    file.save_corrections(
        Path(sys.argv[1]).with_name("a.png"), values, (row, column, row + 1, column + 1)
    )
    print(number, flush=True)
"""


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_gives_back_what_was_stored(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tmp_path = tmp_path_factory.mktemp("project")
    height, width = data.draw(st.integers(1, 600)), data.draw(st.integers(1, 600))
    values = np.full((height, width), IGNORE_INDEX, np.uint8)
    path = tmp_path / "a.mdlp"
    image = tmp_path / "a.png"
    file = ProjectFile(path)
    assert file.stored_labels(image) is None
    assert not path.exists()
    for _ in range(data.draw(st.integers(1, 4))):
        top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
        bottom = data.draw(st.integers(top + 1, height))
        right = data.draw(st.integers(left + 1, width))
        values[top:bottom, left:right] = data.draw(st.sampled_from([0, 3, 254, IGNORE_INDEX]))
        file.save_corrections(image, values, (top, left, bottom, right))
    file.close()
    reopened = ProjectFile(path)
    np.testing.assert_array_equal(_labels(reopened, image), values)
    assert reopened.images() == [image]
    reopened.close()


def test_loses_nothing_when_killed(tmp_path: Path) -> None:
    path = tmp_path / "killed.mdlp"
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        acknowledged = -1
        for line in writer.stdout:
            acknowledged = int(line)
            if acknowledged == 60:
                os.kill(writer.pid, signal.SIGKILL)
    file = ProjectFile(path)
    stored = _labels(file, tmp_path / "a.png")
    file.close()
    assert acknowledged >= 60
    expected = np.full((600, 700), IGNORE_INDEX, np.uint8)
    for number in range(acknowledged + 1):
        expected[number * 37 % 600, number * 101 % 700] = number % 200
    # The stroke after the last one acknowledged may be there too.
    assert (stored != expected).sum() <= 1


def test_a_full_disk_harms_nothing(tmp_path: Path) -> None:
    file = ProjectFile(tmp_path / "full.mdlp")
    image = tmp_path / "a.png"
    values = np.random.default_rng(0).integers(0, 200, (512, 512)).astype(np.uint8)
    before = np.full((512, 512), 4, np.uint8)
    file.save_corrections(image, before, (0, 0, 512, 512))
    assert file._database is not None
    (pages,) = file._database.execute("PRAGMA page_count").fetchone()
    file._database.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(InputError, match="cannot be written"):
        file.save_corrections(image, values, (0, 0, 512, 512))
    np.testing.assert_array_equal(_labels(file, image), before)
    file._database.execute("PRAGMA max_page_count = 100000")
    file.save_corrections(image, values, (0, 0, 512, 512))
    np.testing.assert_array_equal(_labels(file, image), values)
    file.close()


def test_keeps_the_last_model_and_where_it_came_from(tmp_path: Path) -> None:
    file = ProjectFile(tmp_path / "a.mdlp")
    assert file.load_model("base") is None
    file.save_models(b"base", b"first")
    file.save_models(b"base", b"second")
    assert file.load_model("base") == b"base"
    assert file.load_model("learned") == b"second"
    file.close()


def test_one_window_at_a_time(tmp_path: Path) -> None:
    path, values = tmp_path / "a.mdlp", np.zeros((3, 3), np.uint8)
    first = ProjectFile(path)
    first.save_corrections(tmp_path / "a.png", values, (0, 0, 3, 3))
    with pytest.raises(InputError, match="open in another window"):
        ProjectFile(path)
    first.close()
    ProjectFile(path).close()


def test_a_damaged_tile_is_said(tmp_path: Path) -> None:
    path, values = tmp_path / "a.mdlp", np.zeros((3, 3), np.uint8)
    file = ProjectFile(path)
    file.save_corrections(tmp_path / "a.png", values, (0, 0, 3, 3))
    file.close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE tiles SET labels = x'00'")
    database.close()
    file = ProjectFile(path)
    stored = file.stored_labels(tmp_path / "a.png")
    assert stored is not None
    with pytest.raises(InputError, match="damaged"):
        stored.decode()
    file.close()


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0truncated"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.mdlp"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.mdlp"):
        ProjectFile(path)
    assert path.read_bytes() == content


def test_a_foreign_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.mdlp"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE theirs (a)")
    database.close()
    content = path.read_bytes()
    with pytest.raises(InputError, match="another program"):
        ProjectFile(path)
    assert path.read_bytes() == content


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "new.mdlp"
    file = ProjectFile(path)
    file.save_models(b"base", b"learned")
    file.close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(InputError, match="newer version"):
        ProjectFile(path)


def test_lies_beside_the_images_or_in_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    assert project_path_for(folder / "a.png") == folder / "photos.mdlp"
    monkeypatch.setattr(os, "access", lambda *_: False)
    elsewhere = project_path_for(folder / "a.png")
    assert folder not in elsewhere.parents
    assert elsewhere.name.startswith("photos-")
