"""Writing what was found: pictures, raw values as NPY, and JSON that says what they are.

Layers, units and classes count from 1 in names and descriptions, as they do in the window.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mdlstm_core.config import DIRECTIONS
from mdlstm_core.files import write_whole
from mdlstm_core.insight.context import ContextMap
from mdlstm_core.insight.drawing import (
    Scale,
    draw_map,
    drawn_gradient,
    is_signed,
    scale_of,
)
from mdlstm_core.insight.gates import GateMap, MapPair
from mdlstm_core.insight.origin import Origin, json_bytes, npy_bytes, write_all
from mdlstm_core.insight.queries import Components, Pixel, Strongest
from mdlstm_core.insight.sheets import draw_contact_sheet
from mdlstm_core.insight.sweep import Wavefront, check_diagonal, diagonal_count, wavefront_at

_MEANINGS = {
    "cell": "cell state, without bound",
    "hidden": "hidden state, -1 to 1",
    "candidate": "candidate, -1 to 1",
}


def save_map(found: GateMap, origin: Origin, name: str | None = None) -> list[Path]:
    """Write a map as PNG, NPY and JSON; return the paths.

    Args:
        found: the map.
        origin: what it is of, and where to write.
        name: of the files, after the image's; None for one that says what the map is.

    Raises:
        InputError: a file cannot be written.
    """
    about = _about_map(found) | origin.to_json()
    return _save(origin.path(name or _map_name(found)), found.values, about, _look_of(found))


def save_sweep(
    found: GateMap, diagonal: int, origin: Origin, pin: Pixel | None = None
) -> list[Path]:
    """Write a map as far as the sweep has got as PNG, NPY and JSON; return the paths.

    The colours are those of the whole map, so that pictures of its diagonals can be compared.
    Values of cells that were not reached yet are NaN.

    Args:
        found: the whole map.
        diagonal: that the wavefront is at, from 0.
        origin: what it is of, and where to write.
        pin: a pixel; what it cannot know of is drawn paler.

    Raises:
        InputError: there is no such diagonal, or a file cannot be written.
    """
    rows, columns = found.values.shape[:2]
    check_diagonal(diagonal, found.query.layer, rows, columns)
    pinned = None if pin is None else found.cell_at(pin)
    wavefront = wavefront_at(rows, columns, found.query.direction, diagonal, pinned)
    values, count = found.values.copy(), diagonal_count(rows, columns)
    values[wavefront.cover == 0] = np.nan
    about = _about_map(found) | {"diagonal": diagonal + 1, "diagonals": count}
    about["units"] += "; NaN where the sweep has not been yet"
    about["title"] += f", diagonal {diagonal + 1} of {count}"
    name = f"{_map_name(found)}_diagonal{diagonal + 1}"
    if pin is not None:
        about["pinned"] = {"x": pin.x, "y": pin.y}
        name += f"_at_{pin.x}_{pin.y}"
    look = _look_of(found)._replace(wavefront=wavefront)
    return _save(origin.path(name), values, about | origin.to_json(), look)


def save_pair(pair: MapPair, origin: Origin, other: Origin) -> list[Path]:
    """Write a map of two models, and what the second has more; return the paths.

    Args:
        pair: the maps.
        origin: of the first model's.
        other: of the second model's.

    Raises:
        InputError: a file cannot be written.
    """
    gate, name, values = pair.before.query.gate, _map_name(pair.before), pair.difference
    about = _about_map(pair.before) | origin.to_json()
    about |= {"compared_with": other.model, "units": f"after less before: {_meaning(gate)}"}
    look = _Look(values, scale_of([values], signed=True), f"{_label(gate)}, after less before")
    return [
        *save_map(pair.before, origin, name),
        *save_map(pair.after, other, name + "_after"),
        *_save(origin.path(name + "_difference"), values, about, look),
    ]


def save_contact_sheet(maps: Sequence[GateMap], origin: Origin) -> list[Path]:
    """Write the maps of one layer as one PNG; return its path.

    Raises:
        InputError: the file cannot be written.
    """
    layer = maps[0].query.layer + 1
    title = f"{origin.image.name}, {Path(origin.model).name}: layer {layer}, {_units(maps)}"
    path = origin.path(f"layer{layer}_{_unit_name(maps[0])}_sheet.png")
    write_whole(path, draw_contact_sheet(maps, title))
    return [path]


def save_context(found: ContextMap, kind: str, origin: Origin, class_name: str) -> list[Path]:
    """Write a context map as PNG, NPY and JSON; return the paths.

    Args:
        found: the map.
        kind: "gradient" or "occlusion".
        origin: what it is of, and where to write.
        class_name: whose logit it is.

    Raises:
        InputError: a file cannot be written.
    """
    pixel, values = found.query.pixel, found.values
    if kind == "gradient":
        meaning = "absolute change of the logit with the colour, 0 to 1, summed over channels"
        logarithm = drawn_gradient(values)
        look = _Look(logarithm, scale_of([logarithm], signed=False), "log10 of the gradient")
    else:
        meaning = "fall of the logit when the patch is hidden; NaN where it was not"
        look = _Look(values, scale_of([values], signed=True), "fall of the logit")
    about = {
        "axes": _axes(values, found.cell_pixels),
        "units": meaning,
        "kind": kind,
        "title": f"{kind} of the logit of {class_name} at {pixel.x},{pixel.y}",
        "pixel": {"x": pixel.x, "y": pixel.y},
        "class": class_name,
        "logit": found.logit,
        "cell_pixels": list(found.cell_pixels),
        "notice": found.notice,
    } | origin.to_json()
    path = origin.path(f"at_{pixel.x}_{pixel.y}_{kind}")
    return _save(path, values, about, look)


def _about_map(found: GateMap) -> dict[str, Any]:
    query = found.query
    reduction = {Strongest: "strongest", Components: "components", int: "unit"}
    about = {
        "axes": _axes(found.values, found.cell_pixels),
        "units": "score on a principal component" if found.shares else _meaning(query.gate),
        "layer": query.layer + 1,
        "direction": DIRECTIONS[query.direction],
        "gate": query.gate,
        "reduction": reduction.get(type(query.unit), "mean"),
        "unit": None if found.unit is None else found.unit + 1,
        "title": f"layer {query.layer + 1}, from {DIRECTIONS[query.direction]}, "
        f"{_label(query.gate)}, {_units([found])}",
        "cell_pixels": list(found.cell_pixels),
        "notice": found.notice,
    }
    if isinstance(query.unit, Strongest):
        about["pixel"] = {"x": query.unit.pixel.x, "y": query.unit.pixel.y}
    if found.shares:
        about["shares_of_variance"] = list(found.shares)
    return about


def _meaning(gate: str) -> str:
    return _MEANINGS.get(gate, "gate, 0 to 1")


def _label(gate: str) -> str:
    return gate.replace("_", " ")


def _axes(values: NDArray[Any], cell_pixels: tuple[float, float]) -> list[dict[str, Any]]:
    """Return name and size of each axis, and how many pixels of the image a step is."""
    steps = [{"image_pixels": step} for step in cell_pixels] + [{}]
    return [
        {"name": name, "size": size, **step}
        for name, size, step in zip(
            ("row", "column", "component"), values.shape, steps, strict=False
        )
    ]


def _units(maps: Sequence[GateMap]) -> str:
    """Say which units maps show."""
    first = maps[0]
    if isinstance(first.query.unit, Components):
        return "components 1 to 3 as red, green, blue"
    if isinstance(first.query.unit, Strongest):
        pixel = first.query.unit.pixel
        number = f"unit {first.unit + 1}, " if first.unit is not None and len(maps) == 1 else ""
        return f"{number}the strongest at {pixel.x},{pixel.y}"
    return "mean over units" if first.unit is None else f"unit {first.unit + 1}"


def _map_name(found: GateMap) -> str:
    query = found.query
    start = f"layer{query.layer + 1}_{DIRECTIONS[query.direction]}_{query.gate}"
    return f"{start}_{_unit_name(found)}"


def _unit_name(found: GateMap) -> str:
    if isinstance(found.query.unit, Components):
        return "pca"
    if isinstance(found.query.unit, Strongest):
        return f"strongest_{found.query.unit.pixel.x}_{found.query.unit.pixel.y}"
    return "mean" if found.unit is None else f"unit{found.unit + 1}"


class _Look(NamedTuple):
    """How values are drawn: what is drawn, on which scale, and what the bar says."""

    drawn: NDArray[np.floating]
    scale: Scale
    label: str
    wavefront: Wavefront | None = None


def _look_of(found: GateMap) -> _Look:
    """Return how a map is drawn."""
    label = _label(found.query.gate)
    if found.shares:
        shares = "\n".join(
            f"{color}: {100 * share:.0f} %"
            for color, share in zip(("red", "green", "blue"), found.shares, strict=True)
        )
        label = f"of the variance\n{shares}"
    signed = is_signed(found.query.gate) or bool(found.shares)
    return _Look(found.values, scale_of([found.values], signed=signed), label)


def _save(
    path: Path, values: NDArray[np.float32], about: dict[str, Any], look: _Look
) -> list[Path]:
    """Write values as a picture, as they are, and described."""
    height, width = about["cell_pixels"]
    picture = draw_map(
        look.drawn,
        look.scale,
        title=f"{Path(about['image']).name}, {Path(about['model']).name}\n{about['title']}",
        label=look.label,
        cell_pixels=(height, width),
        wavefront=look.wavefront,
    )
    colors = {"low": look.scale.low, "high": look.scale.high, "map": look.scale.colors}
    described = about | {"values": path.name + ".npy", "colors": colors | {"of": look.label}}
    return write_all(
        path, {".png": picture, ".npy": npy_bytes(values), ".json": json_bytes(described)}
    )
