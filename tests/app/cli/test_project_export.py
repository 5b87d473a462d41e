"""A project's labels out of it, and learning from them, against the window's session."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pytestqt.qtbot import QtBot

from app.document.edit import Edit
from app.document.stroke import Box, Region
from app.exchange.project_access import writing_project
from app.inference.messages import Prediction
from app.session import LabelingSession
from app.session.stored_project import StoredProject
from app.storage.changes import SavePixels
from app.storage.project_file import ProjectFile
from mdlstm_core.checkpoint import checkpoint_from_bytes, load_checkpoint
from mdlstm_core.data.images import read_image
from mdlstm_core.learning import fine_tuning
from mdlstm_core.predictor import Predictor

Mdlstm = Callable[..., Any]
Disk = Any
"""The class of the fixture `disk`, which looks at projects as they lie on disk."""


@pytest.mark.parametrize(
    "name",
    ["indexed-png", "id-png-16", "npy", "voc", "coco", "coco-panoptic", "yolo-seg", "camvid",
     "labelme", "dataset"],
)  # fmt: skip
def test_out_and_into_another_project(
    mdlstm: Mdlstm, filled: Path, tmp_path: Path, name: str
) -> None:
    out, copy = tmp_path / "out", tmp_path / "copy"
    exported = mdlstm("export", filled, "--format", name, "--out", out, "--yes")
    assert exported.code == 0, exported.err
    copy.mkdir()
    for image in filled.parent.glob("*.png"):
        (copy / image.name).write_bytes(image.read_bytes())
    assert mdlstm("project", "new", copy).code == 0

    result = mdlstm("import", out, "--format", name, "--into", copy / "copy.mdlp")

    assert result.code == 0, result.err
    files = ProjectFile(filled), ProjectFile(copy / "copy.mdlp")
    tables = [np.array([*(c.name for c in f.classes().by_label()), *[""] * 253]) for f in files]
    for number in range(3):
        before, after = (
            table[file.stored_labels(file.path.parent / f"scene_{number}.png").decode()]
            for file, table in zip(files, (t[:256] for t in map(_padded, tables)), strict=True)
        )
        np.testing.assert_array_equal(before, after)
    for file in files:
        file.close()


def _padded(names: np.ndarray) -> np.ndarray:
    return np.concatenate([names, np.full(256, "")])


def test_export_leaves_out_what_nobody_labeled(
    mdlstm: Mdlstm, filled: Path, tmp_path: Path
) -> None:
    options = ("--format", "id-png", "--ignore-value", 9, "--out", tmp_path / "out")
    result = mdlstm("export", filled, *options)

    assert result.code == 0, result.err
    assert sorted(p.stem for p in (tmp_path / "out").glob("*.png")) == [
        "scene_0",
        "scene_1",
        "scene_2",
    ]
    with Image.open(tmp_path / "out" / "scene_0.png") as image:
        assert (np.array(image)[:, 37:] == 9).all()
    refused = mdlstm("export", filled, "--format", "npy", "--done", "--out", tmp_path / "none")
    assert refused.code == 2
    assert "Nothing of what is asked for is labeled" in refused.err


def test_another_picture_in_the_place_of_a_labeled_one_is_left_out(
    mdlstm: Mdlstm, filled: Path, tmp_path: Path, checkpoint_file: Path
) -> None:
    replaced = filled.parent / "scene_1.png"
    with Image.open(replaced) as image:
        turned = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    turned.save(replaced)
    told = f"{replaced} is not the picture that was labeled"

    whole = mdlstm("export", filled, "--format", "npy", "--out", tmp_path / "none")
    options = ("--format", "npy", "--skip-broken", "--out", tmp_path / "out")
    skipped = mdlstm("export", filled, *options)
    learning = ("--model", checkpoint_file, "--device", "cpu", "--seconds", 1)
    learned = mdlstm("learn", filled, *learning)

    assert whole.code == 2
    assert told in whole.err
    assert not (tmp_path / "none").exists()
    assert skipped.code != 0
    assert told in skipped.err
    assert sorted(p.stem for p in (tmp_path / "out").glob("*.npy")) == ["scene_0", "scene_2"]
    assert learned.code != 0
    assert told in learned.err
    assert "from 2 images" in learned.out


def test_export_with_the_model_is_what_the_window_shows(
    disk: Disk,
    mdlstm: Mdlstm,
    filled: Path,
    tmp_path: Path,
    checkpoint_file: Path,
    qtbot: QtBot,
    session: LabelingSession,
) -> None:
    disk.paint(filled, filled.parent / "scene_3.png", 1, Box(3, 3, 9, 9))
    shown = {}
    disk.open_in(session, filled, qtbot)
    session.start_model()
    for image in list(session.project.images):
        session.open_image(image)
        qtbot.waitUntil(lambda image=image: disk.is_labeled(session, image))
        shown[image.stem] = session.document.displayed.copy()
    options = ("--labels", "all", "--model", checkpoint_file, "--device", "cpu")

    result = mdlstm("export", filled, "--format", "npy", *options, "--out", tmp_path / "out")

    assert result.code == 0, result.err
    assert sorted(shown) == [f"scene_{i}" for i in range(4)]
    for stem, displayed in shown.items():
        assert (displayed != 255).all()
        np.testing.assert_array_equal(np.load(tmp_path / "out" / f"{stem}.npy"), displayed)


def test_a_project_says_how_closely_models_look(
    mdlstm: Mdlstm, filled: Path, tmp_path: Path, checkpoint_file: Path
) -> None:
    """1,200 pixels have the images, so that 1,000 are fewer."""
    with writing_project(filled) as opened:
        opened.commit([SavePixels(1_000)])
    model = ("--model", checkpoint_file, "--device", "cpu")
    image = filled.parent / "scene_3.png"
    checkpoint = load_checkpoint(checkpoint_file)
    for pixels, options in ((1_000, ()), (1_100, ("--pixels", 1_100))):
        out = tmp_path / str(pixels)
        asked = ("--format", "npy", "--labels", "all", *options, "--out", out)
        assert mdlstm("export", filled, *model, *asked).code == 0
        predictor = Predictor(checkpoint.looking_at(pixels), "cpu")
        said = predictor.predict(read_image(image), exact=True).label_map
        np.testing.assert_array_equal(np.load(out / "scene_3.npy"), said)

    learned = mdlstm("learn", filled, *model, "--seconds", "1")

    assert learned.code == 0, learned.err
    file = ProjectFile(filled)
    found = [checkpoint_from_bytes(file.load_model(role)).config for role in ("base", "learned")]
    file.close()
    assert [config.working_pixels for config in found] == [6_000, 1_000]


def test_predict_gives_what_the_window_shows(
    mdlstm: Mdlstm, tmp_path: Path, qtbot: QtBot, checkpoint_file: Path, session: LabelingSession
) -> None:
    """Bit for bit, for the same model, image and device."""
    photos = tmp_path / "two photos"
    photos.mkdir()
    generator = np.random.default_rng(11)
    for name, shape in (("a.png", (61, 83, 3)), ("b.png", (1, 7, 3))):
        Image.fromarray(generator.integers(0, 256, shape, np.uint8)).save(photos / name)
    answers: list[Prediction] = []
    session._client.predicted.connect(answers.append)
    session.start_model()
    for name in ("a.png", "b.png"):
        with qtbot.waitSignal(session.prediction_changed):
            session.open_paths([photos / name])

    options = ("--model", checkpoint_file, "--device", "cpu")
    assert mdlstm("predict", photos, "--out", tmp_path / "out", *options).code == 0

    assert [answer.image_path.name for answer in answers] == ["a.png", "b.png"]
    for answer in answers:
        with Image.open(tmp_path / "out" / answer.image_path.name) as written:
            np.testing.assert_array_equal(np.array(written), answer.label_map)


def test_project_in_a_window_is_refused(
    assert_refused: Callable[..., None], filled: Path, tiny_dataset: Path, session: LabelingSession
) -> None:
    session.open_paths([filled])
    held = f"{filled} is open in a window or another command; close it there first"

    assert_refused("learn", filled, naming=held)
    assert_refused("project", "add", filled, filled.parent, naming=held)
    assert_refused("project", "repair", filled, naming=held)
    assert_refused("import", tiny_dataset, "--format", "dataset", "--into", filled, naming=held)


def test_project_in_a_window_can_be_exported(
    disk: Disk, mdlstm: Mdlstm, filled: Path, tmp_path: Path, session: LabelingSession, qtbot: QtBot
) -> None:
    disk.open_in(session, filled, qtbot)
    box = Box(0, 0, 30, 40)
    with qtbot.waitSignal(session.journal.stored):
        whole = Edit(Region(box, np.ones(box.shape, bool)), 1, "paint")
        session.edit(session.document.path, whole)

    result = mdlstm("export", filled, "--format", "npy", "--out", tmp_path / "out")

    assert (result.code, result.err) == (0, "")
    assert (np.load(tmp_path / "out" / "scene_0.npy") == 1).all()


def test_images_of_one_name_are_told_apart(
    disk: Disk, mdlstm: Mdlstm, tmp_path: Path, qtbot: QtBot
) -> None:
    """In two folders, and with two suffixes; all come back to where they belong."""
    names = ("a/x.png", "a/X.jpg", "b/x.png", "b/y z.png", "b/12:30 ü.png")
    paths = [tmp_path / name for name in names]
    for folder in "ab":
        (tmp_path / folder).mkdir()
    for path in paths:
        Image.new("RGB", (4, 3)).save(path)
    (tmp_path / "classes.txt").write_text("one\ntwo\nthree\nfour\nfive\n")
    project = tmp_path / "all.mdlp"
    options = ("--classes", tmp_path / "classes.txt", "--out", project)
    assert mdlstm("project", "new", tmp_path / "a", tmp_path / "b", *options).code == 0
    for label, path in enumerate(paths):
        disk.paint(project, path, label, Box(0, 0, 2, 2))
    before = [disk.labels_in(project, path) for path in paths]

    assert mdlstm("export", project, "--format", "npy", "--out", tmp_path / "out").code == 0
    assert sorted(p.stem for p in (tmp_path / "out").glob("*.npy")) == [
        "12_30 ü", "a_X_jpg", "a_x_png", "b_x", "y z",
    ]  # fmt: skip
    for path in paths:
        disk.paint(project, path, 255, Box(0, 0, 3, 4))
    result = mdlstm("import", tmp_path / "out", "--format", "npy", "--into", project)

    assert result.code == 0, result.err
    for path, labels in zip(paths, before, strict=True):
        np.testing.assert_array_equal(disk.labels_in(project, path), labels)


def test_learn_stores_what_it_learned(
    mdlstm: Mdlstm,
    filled: Path,
    tmp_path: Path,
    checkpoint_file: Path,
    qtbot: QtBot,
    session: LabelingSession,
) -> None:
    out = tmp_path / "learned.safetensors"
    options = ("--model", checkpoint_file, "--seconds", "4", "--out", out, "--json")
    result = mdlstm("learn", filled, *options)

    assert (result.code, result.err) == (0, "")
    report = json.loads(result.out)
    assert (report["images"], report["classes"]) == (3, ["sky", "grass", "road"])
    assert report["steps"] > 0
    learned, base = load_checkpoint(out), load_checkpoint(checkpoint_file)
    assert any((learned.weights[k] != base.weights[k]).any() for k in base.weights)
    file = ProjectFile(filled)
    assert file.load_model("learned") == out.read_bytes()
    stored = checkpoint_from_bytes(file.load_model("base"))
    assert all((stored.weights[k] == base.weights[k]).all() for k in base.weights)
    file.close()

    exported = mdlstm(
        "export", filled, "--format", "npy", "--labels", "all", "--out", tmp_path / "o"
    )
    assert exported.code == 0, exported.err
    with qtbot.waitSignal(session.prediction_changed):
        session.open_paths([filled])
        session.start_model()
    stem = session.document.path.stem
    np.testing.assert_array_equal(
        np.load(tmp_path / "o" / f"{stem}.npy"), session.document.displayed
    )


def test_figures_count_a_merged_class_as_the_one_it_is_now(
    disk: Disk, mdlstm: Mdlstm, filled: Path, checkpoint_file: Path
) -> None:
    for number in range(3):
        for place in range(6):
            box = Box(4 * place, 6 * place, 4 * place + 3, 6 * place + 5)
            disk.paint(filled, filled.parent / f"scene_{number}.png", place % 3, box)
    learned = mdlstm("learn", filled, "--model", checkpoint_file, "--seconds", "1")
    assert learned.code == 0, learned.err
    stored = StoredProject()
    stored.open(filled)
    stored.project.merge_class(1, 2)
    assert stored.journal.store()
    stored.close()

    result = mdlstm("learn", filled, "--seconds", "1", "--json")

    assert json.loads(result.out)["classes"] == ["grass", "sky", "road"]
    file = ProjectFile(filled)
    assert json.loads(file.checkpoints()[-1].figures)["classes"] == ["sky", "road"]
    file.close()


@pytest.fixture
def interrupt_steps(monkeypatch: pytest.MonkeyPatch) -> Callable[[set[int]], list[int]]:
    """Press Ctrl-C in these steps of learning; return the list of steps that were done."""

    def interrupt(pressed: set[int]) -> list[int]:
        done: list[int] = []
        step = fine_tuning._step

        def interrupted(*arguments: Any) -> float:
            done.append(len(done) + 1)
            if done[-1] in pressed:
                signal.raise_signal(signal.SIGINT)
            return step(*arguments)

        monkeypatch.setattr(fine_tuning, "_step", interrupted)
        return done

    return interrupt


@pytest.mark.usefixtures("long_learning")
def test_ctrl_c_keeps_the_best_so_far(
    mdlstm: Mdlstm,
    filled: Path,
    checkpoint_file: Path,
    interrupt_steps: Callable[[set[int]], list[int]],
) -> None:
    done, before = interrupt_steps({4}), signal.getsignal(signal.SIGINT)

    result = mdlstm("learn", filled, "--model", checkpoint_file, "--seconds", "200", "--json")

    assert result.code == 0, result.err
    assert "the best so far is kept" in result.err
    assert json.loads(result.out)["steps"] == len(done) == 4
    file = ProjectFile(filled)
    assert file.load_model("learned") is not None
    file.close()
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.usefixtures("long_learning")
def test_a_second_ctrl_c_keeps_nothing(
    mdlstm: Mdlstm,
    filled: Path,
    checkpoint_file: Path,
    interrupt_steps: Callable[[set[int]], list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    interrupt_steps({2})
    monkeypatch.setattr(fine_tuning._Run, "result", lambda *_: signal.raise_signal(signal.SIGINT))

    result = mdlstm("learn", filled, "--model", checkpoint_file, "--seconds", "200")

    assert result.code == 130
    file = ProjectFile(filled)
    assert file.load_model("learned") is None
    file.close()


def test_nothing_to_learn_from(assert_refused: Callable[..., None], project: Path) -> None:
    assert_refused("learn", project, naming="nothing to learn from")
