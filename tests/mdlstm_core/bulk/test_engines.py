"""The engines give the same, and outlive the processes that label."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from skimage import data

from mdlstm_core.bulk.engines import inline, processes
from mdlstm_core.bulk.labeling import LabelingJob
from mdlstm_core.bulk.sources import ImageRecord
from mdlstm_core.errors import InputError


def records(folder: Path, names: list[str]) -> list[ImageRecord]:
    return [ImageRecord(name, str(folder), name) for name in names]


def job(model: Path | str, target: Path) -> LabelingJob:
    return LabelingJob(str(model), "cpu", "set", str(target))


def test_processes_write_the_same_masks_as_this_one(tmp_path: Path) -> None:
    photo = data.rocket()
    names = [f"{left}.png" for left in range(0, 300, 60)]
    for name in names:
        left = int(name.removesuffix(".png"))
        Image.fromarray(photo[:64, left : left + 90]).save(tmp_path / name)
    wanted = records(tmp_path, [*names, "missing.png"])

    here = list(inline(wanted, job("scene", tmp_path / "here"), 1))
    there = list(processes(wanted, job("scene", tmp_path / "there"), 2))

    assert [row.id for row in here] == [record.id for record in wanted]
    assert {row._replace(seconds=0) for row in here} == {row._replace(seconds=0) for row in there}
    for name in names:
        mask = f"masks/{name}.png"
        assert (tmp_path / "here" / mask).read_bytes() == (tmp_path / "there" / mask).read_bytes()


def test_processes_take_no_more_images_than_they_can_label_soon(
    tmp_path: Path, checkpoint_file: Path, write_images: Any
) -> None:
    write_images(tmp_path, ["a.png"])
    taken = 0

    def endless() -> Iterator[ImageRecord]:
        nonlocal taken
        while True:
            taken += 1
            yield ImageRecord(f"{taken}.png", str(tmp_path), "a.png")

    rows = processes(endless(), job(checkpoint_file, tmp_path / "out"), 1)
    for given in range(1, 30):
        assert next(rows).error is None
        assert taken - given <= 4
    rows.close()


def test_killed_process_is_replaced_and_no_image_is_lost(
    tmp_path: Path, checkpoint_file: Path, write_images: Any
) -> None:
    names = write_images(tmp_path, [f"{number}.png" for number in range(12)])
    rows = processes(records(tmp_path, names), job(checkpoint_file, tmp_path / "out"), 1)
    found = [next(rows)]

    for process in multiprocessing.active_children():
        process.kill()
    found += rows

    assert sorted(row.id for row in found) == sorted(names)
    assert [row.error for row in found] == [None] * len(names)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the image is a pipe")
def test_image_that_ends_its_process_twice_gets_a_row(
    tmp_path: Path, checkpoint_file: Path, write_images: Any
) -> None:
    names = write_images(tmp_path, ["a.png", "b.png", "c.png"])
    killer = tmp_path / "killer.png"
    os.mkfifo(killer)

    def kill_readers() -> None:
        for _ in range(2):
            # Waits for a process that opens the image.
            with killer.open("wb"):
                for process in multiprocessing.active_children():
                    process.kill()
                    process.join()

    watch = threading.Thread(target=kill_readers)
    watch.start()
    wanted = records(tmp_path, ["a.png", "killer.png", "b.png", "c.png"])
    rows = list(processes(wanted, job(checkpoint_file, tmp_path / "out"), 1))
    watch.join()

    assert sorted(row.id for row in rows) == sorted([*names, "killer.png"])
    (failed,) = (row for row in rows if row.error)
    assert failed.id == "killer.png"
    assert "ended the process that labeled it" in (failed.error or "")


def test_processes_that_cannot_load_the_model_are_not_started_for_ever(tmp_path: Path) -> None:
    wanted = records(tmp_path, ["a.png"])

    with pytest.raises(InputError, match="while they loaded the model"):
        list(processes(wanted, job(tmp_path / "missing", tmp_path / "out"), 1))
