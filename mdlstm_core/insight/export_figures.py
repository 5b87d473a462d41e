"""Writing a pixel's logits and the health of the gates: pictures, NPY, and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdlstm_core.config import DIRECTIONS, SIGMOID_GATES
from mdlstm_core.insight.contributions import Contributions
from mdlstm_core.insight.health import DirectionHealth
from mdlstm_core.insight.origin import Origin, json_bytes, npy_bytes, write_all
from mdlstm_core.insight.sheets import draw_contributions, draw_health


@dataclass(frozen=True)
class LogitChanges:
    """What a stroke or a learning changed in a pixel's logits.

    Attributes:
        cause: what changed them.
        by_class: by how much, by the class's name; a new class has no place in it.
    """

    cause: str = ""
    by_class: Mapping[str, float] = field(default_factory=dict)


def save_contributions(
    found: Contributions,
    origin: Origin,
    names: Sequence[str],
    changes: LogitChanges | None = None,
) -> list[Path]:
    """Write a pixel's logits as PNG, JSON, and NPY with each unit's part; return the paths.

    Args:
        found: the logits, in parts.
        origin: what they are of, and where to write.
        names: of the classes.
        changes: what changed them, written too, also as an NPY of its own; None if nothing did.

    Raises:
        InputError: a file cannot be written.
    """
    path = origin.path(f"at_{found.pixel.x}_{found.pixel.y}_logits")
    about = contributions_to_json(found, names) | origin.to_json()
    about["values"] = path.name + ".npy"
    about["axes"] = [
        {"name": name, "size": size}
        for name, size in zip(("class", "direction", "unit"), found.units_KDH.shape, strict=True)
    ]
    about["units"] = "part of the logit"
    changed_K = None
    if changes is not None:
        changed_K = np.array([changes.by_class.get(name, np.nan) for name in names])
    contents = {
        ".png": draw_contributions(found, names, changed_K),
        ".npy": npy_bytes(found.units_KDH),
        ".json": json_bytes(about),
    }
    paths = write_all(path, contents)
    if changes is None or changed_K is None:
        return paths
    path = origin.path(f"at_{found.pixel.x}_{found.pixel.y}_changes")
    about = {
        "pixel": {"x": found.pixel.x, "y": found.pixel.y},
        "cause": changes.cause,
        "units": "change of the logit; NaN for a class that is new",
        "axes": [{"name": "class", "size": len(names), "values": list(names)}],
        "values": path.name + ".npy",
    }
    described = json_bytes(about | origin.to_json())
    return [*paths, *write_all(path, {".npy": npy_bytes(changed_K), ".json": described})]


def contributions_to_json(found: Contributions, names: Sequence[str]) -> dict[str, Any]:
    """Return a pixel's logits and their parts as JSON values."""
    return {
        "pixel": {"x": found.pixel.x, "y": found.pixel.y},
        "working_pixel": {"x": found.working_pixel.x, "y": found.working_pixel.y},
        "classes": {
            name: {
                "logit": float(found.logits[index]),
                "directions": dict(
                    zip(DIRECTIONS, found.by_direction[index].tolist(), strict=True)
                ),
                "fine": float(found.fine_K[index]),
                "bias": float(found.bias_K[index]),
            }
            for index, name in enumerate(names)
        },
        "notice": found.notice,
    }


def save_health(
    found: Sequence[DirectionHealth], origin: Origin, before: Sequence[DirectionHealth] = ()
) -> list[Path]:
    """Write the health of layers as PNG, NPY and JSON; return the paths.

    Args:
        found: of each layer and direction.
        origin: what it is of, and where to write.
        before: that of the model before the last learning; empty without one.

    Raises:
        InputError: a file cannot be written.
    """
    path = origin.path("health")
    models = {"now": found, "before": before} if before else {"now": found}
    values, axes = _health_values(models)
    about = {"health": [row.to_json() for row in found]} | origin.to_json()
    if before:
        about["before"] = [row.to_json() for row in before]
    about["values"] = path.name + ".npy"
    about["axes"] = [{"name": n, "size": len(v), "values": v} for n, v in axes.items()]
    about["units"] = (
        "closed, open: share of a gate's values, 0 to 1; growth: of the cell state from the first "
        "to the last quarter of the diagonals; cell: its mean without sign; NaN where there is none"
    )
    picture = draw_health(found, before)
    contents = {".png": picture, ".npy": npy_bytes(values), ".json": json_bytes(about)}
    return write_all(path, contents)


def _health_values(
    models: Mapping[str, Sequence[DirectionHealth]],
) -> tuple[NDArray[np.float64], dict[str, list[Any]]]:
    """Return all figures in one array, and what stands at each place of each of its axes."""
    every = [row for rows in models.values() for row in rows]
    layers = sorted({row.layer for row in every})
    diagonals = max(len(row.cell_by_diagonal) for row in every)
    figures = [f"{gate} {side}" for gate in SIGMOID_GATES for side in ("closed", "open")]
    figures += ["growth", *(f"cell on diagonal {n + 1}" for n in range(diagonals))]
    values = np.full((len(models), len(layers), len(DIRECTIONS), len(figures)), np.nan)
    for model, rows in enumerate(models.values()):
        for row in rows:
            own = _figures_of(row)
            values[model, layers.index(row.layer), row.direction, : len(own)] = own
    return values, {
        "model": list(models),
        "layer": [layer + 1 for layer in layers],
        "direction": list(DIRECTIONS),
        "figure": figures,
    }


def _figures_of(row: DirectionHealth) -> NDArray[np.float64]:
    """Return a row's figures in the order in which they are written."""
    shares = [share[gate] for gate in SIGMOID_GATES for share in (row.closed, row.open)]
    growth = np.nan if row.growth is None else row.growth
    return np.array([*shares, growth, *row.cell_by_diagonal])
