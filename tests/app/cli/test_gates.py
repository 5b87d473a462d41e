"""`mdlstm gates`: its files equal what the library answers."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mdlstm_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mdlstm_core.config import DIRECTIONS, SIGMOID_GATES, STATES, NetworkConfig
from mdlstm_core.insight.queries import Components, ContextQuery, GateQuery, Pixel, Strongest
from mdlstm_core.predictor import Predictor

Mdlstm = Callable[..., Any]


@pytest.fixture
def photo_file(photo: NDArray[np.uint8], tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "gates"


@pytest.fixture
def predictor(checkpoint_file: Path) -> Predictor:
    return Predictor(load_checkpoint(checkpoint_file), "cpu")


def description(path: Path) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(path.read_text("utf-8"), parse_constant=refuse)


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_all_maps_of_the_last_layer_are_written(
    mdlstm: Mdlstm,
    photo_file: Path,
    photo: NDArray[np.uint8],
    checkpoint_file: Path,
    predictor: Predictor,
    out: Path,
) -> None:
    result = mdlstm("gates", photo_file, "--out", out, "--model", checkpoint_file, "--json")

    assert (result.code, result.err) == (0, "")
    names = [f"photo_layer2_{d}_{gate}_mean" for d in DIRECTIONS for gate in STATES]
    assert files_in(out) == {f"{name}.{end}" for name in names for end in ("png", "npy", "json")}
    assert json.loads(result.out)["files"] == [
        str(out / f"{name}.{end}") for name in names for end in ("png", "npy", "json")
    ]
    for direction, corner in enumerate(DIRECTIONS):
        for gate in STATES:
            expected = predictor.gate_map(photo, GateQuery(1, direction, gate))
            stem = out / f"photo_layer2_{corner}_{gate}_mean"
            np.testing.assert_array_equal(np.load(f"{stem}.npy"), expected.values)
            with Image.open(f"{stem}.png") as picture:
                picture.load()
                assert picture.size[0] > 480


def test_description_names_what_the_values_are(
    mdlstm: Mdlstm, photo_file: Path, checkpoint_file: Path, out: Path
) -> None:
    asked = ("--layer", 1, "--direction", "bottom-left", "--gate", "cell", "--reduce", "unit", 2)
    assert mdlstm("gates", photo_file, "--out", out, "--model", checkpoint_file, *asked).code == 0

    assert len(files_in(out)) == 3
    found = description(out / "photo_layer1_bottom-left_cell_unit2.json")
    assert found["axes"] == [
        {"name": "row", "size": 12, "image_pixels": 2.0},
        {"name": "column", "size": 16, "image_pixels": 2.0},
    ]
    expected = {
        "values": "photo_layer1_bottom-left_cell_unit2.npy",
        "units": "cell state, without bound",
        "layer": 1,
        "direction": "bottom-left",
        "gate": "cell",
        "reduction": "unit",
        "unit": 2,
        "image": str(photo_file),
        "image_size": {"height": 23, "width": 31},
        "model": str(checkpoint_file),
    }
    assert {key: found[key] for key in expected} == expected
    values = np.load(out / found["values"])
    assert found["colors"]["high"] == pytest.approx(np.abs(values).max())
    assert found["colors"]["low"] == -found["colors"]["high"]


@pytest.mark.parametrize(
    ("words", "unit", "name"),
    [
        (("strongest", "30,22"), Strongest(Pixel(30, 22)), "strongest_30_22"),
        (("pca",), Components(), "pca"),
        (("unit", "3"), 2, "unit3"),
    ],
)
def test_units_are_reduced_as_asked(
    mdlstm: Mdlstm,
    photo_file: Path,
    photo: NDArray[np.uint8],
    checkpoint_file: Path,
    predictor: Predictor,
    out: Path,
    words: tuple[str, ...],
    unit: Any,
    name: str,
) -> None:
    asked = ("--direction", "top-left", "--gate", "hidden", "--reduce", *words)
    assert mdlstm("gates", photo_file, "--out", out, "--model", checkpoint_file, *asked).code == 0

    expected = predictor.gate_map(photo, GateQuery(1, 0, "hidden", unit))
    found = np.load(out / f"photo_layer2_top-left_hidden_{name}.npy")
    np.testing.assert_array_equal(found, expected.values)
    about = description(out / f"photo_layer2_top-left_hidden_{name}.json")
    assert about["unit"] == (None if expected.unit is None else expected.unit + 1)
    assert [axis["size"] for axis in about["axes"]] == list(expected.values.shape)


@pytest.mark.parametrize("how", [("mean",), ("pca",)])
def test_a_sweep_is_written_as_far_as_it_has_got(
    mdlstm: Mdlstm,
    photo_file: Path,
    photo: NDArray[np.uint8],
    checkpoint_file: Path,
    predictor: Predictor,
    out: Path,
    how: tuple[str, ...],
) -> None:
    few = ("--layer", 1, 2, "--gate", "hidden", "--diagonal", 5, "--reduce", *how)
    assert mdlstm("gates", photo_file, "--out", out, "--model", checkpoint_file, *few).code == 0

    assert len(files_in(out)) == 2 * 4 * 3
    for layer, corner in itertools.product((1, 2), DIRECTIONS):
        unit = Components() if how == ("pca",) else None
        query = GateQuery(layer - 1, DIRECTIONS.index(corner), "hidden", unit)
        whole = predictor.gate_map(photo, query).values
        stem = f"photo_layer{layer}_{corner}_hidden_{how[0]}_diagonal5"
        values, about = np.load(out / f"{stem}.npy"), description(out / f"{stem}.json")
        vertical, horizontal = corner.split("-")
        row, column = (np.arange(size) for size in whole.shape[:2])
        row = row if vertical == "top" else row[::-1]
        column = column if horizontal == "left" else column[::-1]
        is_reached = np.add.outer(row, column) < 5
        assert np.isnan(values[~is_reached]).all()
        np.testing.assert_array_equal(values[is_reached], whole[is_reached])
        assert (about["diagonal"], about["diagonals"]) == (5, sum(whole.shape[:2]) - 1)
        assert about["title"].endswith(f", diagonal 5 of {about['diagonals']}")


def test_contact_sheet_and_health(
    mdlstm: Mdlstm,
    photo_file: Path,
    photo: NDArray[np.uint8],
    checkpoint_file: Path,
    predictor: Predictor,
    out: Path,
) -> None:
    few = ("--layer", 1, "--direction", "top-left", "--gate", "input")
    extra = ("--contact-sheet", "--health")
    options = ("gates", photo_file, "--out", out, "--model", checkpoint_file, *few, *extra)

    result = mdlstm(*options)
    figures = json.loads(mdlstm(*options, "--json").out)

    assert files_in(out) == {
        *(f"photo_layer1_top-left_input_mean.{end}" for end in ("png", "npy", "json")),
        "photo_layer1_mean_sheet.png",
        *(f"photo_health.{end}" for end in ("png", "npy", "json")),
    }
    expected = [row.to_json() for row in predictor.health(photo)]
    assert figures["health"] == expected
    about = description(out / "photo_health.json")
    assert about["health"] == expected
    assert "before" not in about
    axes = {axis["name"]: axis["values"] for axis in about["axes"]}
    values = np.load(out / "photo_health.npy")
    assert values.shape == tuple(len(axis) for axis in axes.values())
    assert (axes["model"], axes["layer"]) == (["now"], [1, 2])
    for row in predictor.health(photo):
        told = dict(zip(axes["figure"], values[0, row.layer, row.direction], strict=True))
        for gate in SIGMOID_GATES:
            assert told[f"{gate} closed"] == row.closed[gate]
            assert told[f"{gate} open"] == row.open[gate]
        assert told["growth"] == row.growth
        count = len(row.cell_by_diagonal)
        cells = np.array([value for name, value in told.items() if "diagonal" in name])
        np.testing.assert_array_equal(cells[:count], row.cell_by_diagonal)
        assert np.isnan(cells[count:]).all()
    lines = result.out.splitlines()
    assert len(lines) == 1 + 8 + 1
    assert lines[-1] == f"{out}: 7 files"


def test_why_this_class_at_a_pixel(
    mdlstm: Mdlstm,
    photo_file: Path,
    photo: NDArray[np.uint8],
    checkpoint_file: Path,
    predictor: Predictor,
    out: Path,
) -> None:
    few = ("--direction", "top-left", "--gate", "input")
    asked = ("--at", "30,7", "--class", "grass", "--seconds", 1000)
    options = ("gates", photo_file, "--out", out, "--model", checkpoint_file, *few, *asked)

    lines = mdlstm(*options).out.splitlines()
    answer = json.loads(mdlstm(*options, "--json").out)

    assert lines[0] == "Of the one look that the labels come from:"
    parts = predictor.contributions(photo, Pixel(30, 7))
    stem = "photo_at_30_7"
    np.testing.assert_array_equal(np.load(out / f"{stem}_logits.npy"), parts.units_KDH)
    about = description(out / f"{stem}_logits.json")
    assert about["classes"] == answer["logits"]["classes"]
    for index, (name, values) in enumerate(about["classes"].items()):
        assert values["logit"] == pytest.approx(parts.logits[index], abs=1e-12)
        total = sum(values["directions"].values()) + values["fine"] + values["bias"]
        assert total == pytest.approx(values["logit"], abs=1e-5)
        assert lines[1 + index].startswith(name)
        assert float(lines[1 + index].split()[1]) == pytest.approx(values["logit"], abs=1e-3)
    query = ContextQuery(Pixel(30, 7), class_index=1, seconds=1000)
    for kind, expected in (
        ("gradient", predictor.gradient(photo, query)),
        ("occlusion", predictor.occlusion(photo, query)),
    ):
        np.testing.assert_allclose(np.load(out / f"{stem}_{kind}.npy"), expected.values, atol=1e-6)
        about = description(out / f"{stem}_{kind}.json")
        assert (about["class"], about["pixel"]) == ("grass", {"x": 30, "y": 7})
        assert about["logit"] == pytest.approx(parts.logits[1], abs=1e-5)
        assert (out / f"{stem}_{kind}.png").exists()


def test_names_with_dollars_are_drawn_as_they_are(
    mdlstm: Mdlstm,
    photo: NDArray[np.uint8],
    checkpoint_file: Path,
    tmp_path: Path,
) -> None:
    """Two of them are no formula, be they in the name of a file or of a class."""
    few = ("--gate", "cell", "--contact-sheet", "--health", "--at", "3,4", "--seconds", 0.01)
    trained, found = load_checkpoint(checkpoint_file), {}
    for name in ("cost_$5_$10", "cost_x5_x10"):
        image, model = tmp_path / f"{name}.png", tmp_path / f"{name}.safetensors"
        Image.fromarray(photo).save(image)
        first, *others = trained.classes
        classes = (dataclasses.replace(first, name=f"{name} \\frac"), *others)
        save_checkpoint(dataclasses.replace(trained, classes=classes), model)
        out = tmp_path / f"out {name}"
        result = mdlstm("gates", image, "--out", out, "--model", model, *few)
        assert (result.code, result.err) == (0, "")
        found[name] = {path.name.removeprefix(name): path for path in out.iterdir()}
    dollars, letters = found.values()
    assert set(dollars) == set(letters)
    for end in ("_layer2_mean_sheet.png", "_at_3_4_logits.png", "_layer2_top-left_cell_mean.png"):
        pictures = [np.asarray(Image.open(files[end]), int) for files in (dollars, letters)]
        # As wide as other letters: a formula would swallow the dollars.
        widths = [np.ptp(np.nonzero((p[:40, :, :3] < 128).any(2).any(0))) for p in pictures]
        assert widths[0] == pytest.approx(widths[1], abs=6)


def test_second_model_is_compared(
    mdlstm: Mdlstm,
    photo_file: Path,
    photo: NDArray[np.uint8],
    checkpoint_file: Path,
    predictor: Predictor,
    out: Path,
    tmp_path: Path,
) -> None:
    trained, after = load_checkpoint(checkpoint_file), tmp_path / "after.safetensors"
    weights = {name: weight * 1.1 for name, weight in trained.weights.items()}
    save_checkpoint(dataclasses.replace(trained, weights=weights), after)
    few = ("--direction", "top-left", "--gate", "cell", "--reduce", "strongest", "5,5")
    options = ("--model", checkpoint_file, "--compare", after)

    assert mdlstm("gates", photo_file, "--out", out, *few, *options).code == 0

    stem = "photo_layer2_top-left_cell_strongest_5_5"
    before, other, difference = (
        np.load(out / f"{stem}{end}.npy") for end in ("", "_after", "_difference")
    )
    first = predictor.gate_map(photo, GateQuery(1, 0, "cell", Strongest(Pixel(5, 5))))
    second = Predictor(load_checkpoint(after), "cpu").gate_map(
        photo, GateQuery(1, 0, "cell", first.unit)
    )
    np.testing.assert_array_equal(before, first.values)
    np.testing.assert_array_equal(other, second.values)
    np.testing.assert_array_equal(difference, second.values - first.values)
    assert description(out / f"{stem}_difference.json")["compared_with"] == str(after)
    assert description(out / f"{stem}_after.json")["model"] == str(after)
    assert description(out / f"{stem}_after.json")["unit"] == first.unit + 1


def test_health_of_two_models_is_told_side_by_side(
    mdlstm: Mdlstm, photo_file: Path, photo: Any, checkpoint_file: Path, out: Path, tmp_path: Path
) -> None:
    trained, after = load_checkpoint(checkpoint_file), tmp_path / "after.safetensors"
    weights = {name: weight * 3 for name, weight in trained.weights.items()}
    save_checkpoint(dataclasses.replace(trained, weights=weights), after)
    few = ("--direction", "top-left", "--gate", "cell", "--health")
    options = (*few, "--model", checkpoint_file, "--compare", after)

    shown = mdlstm("gates", photo_file, "--out", out, *options)
    told = json.loads(mdlstm("gates", photo_file, "--out", out, *options, "--json").out)

    assert shown.code == 0
    assert shown.out.index(str(checkpoint_file)) < shown.out.index(str(after))
    assert shown.out.count("growth of |cell|") == 2
    rows = {
        name: [row.to_json() for row in Predictor(load_checkpoint(model), "cpu").health(photo)]
        for name, model in {"before": checkpoint_file, "health": after}.items()
    }
    assert rows["before"] != rows["health"]
    about = description(out / "photo_health.json")
    for name, expected in rows.items():
        assert told[name] == about[name] == expected
    assert about["model"] == str(after)
    assert np.load(out / "photo_health.npy").shape[0] == 2


def test_image_smaller_than_one_window_is_said(
    mdlstm: Mdlstm,
    make_checkpoint: Callable[..., Checkpoint],
    scene_config: NetworkConfig,
    tmp_path: Path,
    out: Path,
) -> None:
    image, model = tmp_path / "dot.png", tmp_path / "scene.safetensors"
    Image.new("RGB", (20, 9), "red").save(image)
    save_checkpoint(make_checkpoint(scene_config), model)
    few = ("--direction", "top-left", "--gate", "cell")

    result = mdlstm("gates", image, "--out", out, "--model", model, *few)

    assert result.code == 0
    assert result.err == (
        "mdlstm: As the network looks at it, the image is smaller than one window of 16×16 "
        "pixels, so its border was repeated.\n"
    )
    assert np.load(out / "dot_layer2_top-left_cell_mean.npy").shape == (2, 4)


@pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals")
def test_terminal_shows_a_bar_that_ends_full(
    photo_file: Path, checkpoint_file: Path, out: Path
) -> None:
    import pty
    import termios

    outside, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    command = [sys.executable, "-m", "app.cli.main", "gates", str(photo_file), "--out", str(out)]
    command += ["--model", str(checkpoint_file), "--gate", "cell", "hidden", "--contact-sheet"]
    command += ["--direction", "top-left", "--health", "--at", "2,2", "--seconds", "0.1"]
    done = subprocess.run(command, stderr=terminal, stdout=subprocess.PIPE, check=False)
    os.set_blocking(outside, False)  # where nothing was shown, nothing is waited for
    shown = os.read(outside, 10_000)
    for descriptor in (outside, terminal):
        os.close(descriptor)

    assert done.returncode == 0
    assert b"\r" not in done.stdout
    # Two maps, a sheet, the health, and three results at the pixel.
    assert b"7/7" in shown
