"""What a training run was started with: it goes on with nothing else."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mdlstm_core.config import NetworkConfig
from mdlstm_core.errors import InputError
from mdlstm_core.training.sources import Source

_NAMED = 3
"""Images that a sentence names; of others it says how many there are."""


def settings_of(
    config: NetworkConfig, options: dict[str, Any], sources: Sequence[Source]
) -> dict[str, Any]:
    """Return what decides what a run learns, as JSON values.

    The data are known by their names, not by where they lie: a folder may move.
    """
    settings = {
        "config": config.to_json(),
        "options": options,
        "images": [len(source.train) for source in sources],
        "data": [
            {
                "classes": [c.name for c in source.classes],
                "same": dict(source.same),
                "train": source.train.stems,
                "validation": source.validation.stems,
            }
            for source in sources
        ],
    }
    # As JSON gives it back: tuples are lists there.
    normalized: dict[str, Any] = json.loads(json.dumps(settings))
    return normalized


def places_of(source: Source) -> dict[str, str | None]:
    """Return where a dataset, its lists and its checkpoint lie."""
    places = {
        "dataset": source.train.root,
        "train_list": source.train.list_file,
        "validation_list": source.validation.list_file,
        "out": source.out,
    }
    return {name: None if path is None else str(path.absolute()) for name, path in places.items()}


def check_same(
    state: Path, before: dict[str, Any], now: dict[str, Any], sources: Sequence[Source]
) -> None:
    """Check that a run can go on with what `settings_of` gives now.

    Args:
        state: the run's state, for the sentence.
        before: its settings; those of an earlier version have no "data", of which then
            only the number of images is compared.
        now: the settings of the run that is to go on.
        sources: its datasets, for the sentence.

    Raises:
        InputError: they differ; the sentence says in what.
    """
    by_names = "data" in before
    left_out = "images" if by_names else "data"
    first, second = ({k: v for k, v in s.items() if k != left_out} for s in (before, now))
    then, here = first.pop("data", None), second.pop("data", None)
    # Before the options: other classes are another number of outputs, too.
    if by_names and then != here:
        raise InputError(
            f"{state} was started with other data: {_data_difference(then, here, sources)}; "
            "give it what it had, or begin a new run from its weights with --start-from "
            f"{shlex.quote(str(state))}."
        )
    if first != second:
        raise InputError(f"{state} was started with other settings: {_difference(first, second)}.")


def _difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Say in which settings two runs differ, groups of settings one after the other."""
    told = []
    for key in sorted(before.keys() | now.keys()):
        first, second = before.get(key), now.get(key)
        if isinstance(first, dict) and isinstance(second, dict):
            told += [_difference(first, second)] if first != second else []
        elif first != second:
            told.append(f"{key} {first}, not {second}")
    return ", ".join(told)


def _data_difference(
    before: list[dict[str, Any]], now: list[dict[str, Any]], sources: Sequence[Source]
) -> str:
    """Say in what the data of two runs differ, the first that was found."""
    for then, here, source in zip(before, now, sources, strict=False):
        root = source.train.root
        for number, (first, second) in enumerate(
            zip(then["classes"], here["classes"], strict=False)
        ):
            if first != second:
                return f"class {number} of {root} was {first}, not {second}"
        if then["classes"] != here["classes"]:
            return f"{root} had {len(then['classes'])} classes, not {len(here['classes'])}"
        for key, verb in (("train", "learn from"), ("validation", "measure on")):
            if then[key] != here[key]:
                told = _other_images(then[key], here[key])
                return f"the images of {root} to {verb} differ ({told})"
        if then["same"] != here["same"]:
            first, second = (
                ", ".join(f"{a}={b}" for a, b in sorted(same.items())) or "nothing"
                for same in (then["same"], here["same"])
            )
            return f"for {root}, --same was {first}, not {second}"
    return f"the number of datasets was {len(before)}, not {len(now)}"


def _other_images(before: list[str], now: list[str]) -> str:
    gone, new = set(before) - set(now), set(now) - set(before)
    told = [f"missing: {_listed(gone)}"] if gone else []
    told += [f"new: {_listed(new)}"] if new else []
    return "; ".join(told) or "the same in another order"


def _listed(names: set[str]) -> str:
    shown = sorted(names)[:_NAMED]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
