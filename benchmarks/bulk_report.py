"""The tables of docs/scale.md, from the figures of `benchmarks.bulk`."""

from __future__ import annotations

from typing import Any

_SIZES = ((1e6, "MB"), (1e9, "GB"), (1e12, "TB"), (1e15, "PB"))

_COSTS = (
    "images", "core-hours", "on 2 cores", "on 1,000 cores", "read", "masks", "table", "index",
)  # fmt: skip


def report(results: dict[str, Any]) -> str:
    """Return what was measured and what a run costs, in Markdown."""
    looks = results["looks"]
    return "\n".join(
        [
            f"Model `{looks['model']}`: {looks['count']} looks at an image (scales "
            f"{', '.join(str(scale) for scale in looks['scales'])}"
            f"{', each with its mirror image' if looks['mirrored'] else ''}).",
            "",
            *_table(("", "measured"), _measured(results)),
            "",
            *_table(
                _COSTS,
                [_costs(results, power) for power in (4, 6, 9)],
            ),
        ]
    )


def _measured(results: dict[str, Any]) -> list[tuple[str, ...]]:
    micro = results["microseconds"]
    rows: list[tuple[str, ...]] = [
        (f"processor time an image of {size.replace('x', '×')}", f"{found['seconds']:.3f} s")
        for size, found in results["processor"].items()
    ]
    size, found = next(iter(results["processor"].items()))
    rows += [
        ("starting and loading the model, processor time", f"{found['seconds_to_start']:.1f} s"),
        (
            f"bytes: JPEG of {size.replace('x', '×')}, its mask, its row",
            ", ".join(f"{found[f'bytes_{what}']:,.0f}" for what in ("image", "mask", "row")),
        ),
        (
            "naming an image: from a folder, from a list",
            f"{micro['name_in_folder']:.0f} µs, {micro['name_in_list']:.0f} µs",
        ),
        (
            "asking whether an image is done; noting that it is",
            f"{micro['ask']:.0f} µs, {micro['note']:.0f} µs",
        ),
        ("index of done images", f"{micro['index_bytes']:.0f} bytes an image"),
        ("going on: checking a row and its mask", f"{micro['check_on_going_on']:.0f} µs"),
    ]
    for run in results["runs"]:
        rate = run["images_per_second"]
        name = f"{run['engine']}, {run['workers']} of one thread"
        rows.append((name, "too short" if rate is None else f"{rate:.2f} images a second"))
    rows += [
        (f"two workers against one, {engine}", f"{ratio:.2f} times the images a second")
        for engine, ratio in results["ratios"].items()
    ]
    rows += [
        (
            f"{found['images']} images, killed {found['kills']} times, {found['engine']}",
            f"{found['rows']} rows, {found['distinct_ids']} ids, {found['masks']} masks, "
            f"{found['failed']} errors",
        )
        for found in results["kills"]
    ]
    return rows


def _costs(results: dict[str, Any], power: int) -> tuple[str, ...]:
    count, found = 10**power, next(iter(results["processor"].values()))
    seconds = count * found["seconds"]
    return (
        f"10^{power}",
        _figure(seconds / 3600),
        _time(seconds / 2),
        _time(seconds / 1000),
        *(_bytes(count * found[f"bytes_{what}"]) for what in ("image", "mask", "row")),
        _bytes(count * results["microseconds"]["index_bytes"]),
    )


def _time(seconds: float) -> str:
    for unit, length in (("years", 365 * 86400), ("days", 2 * 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / (86400 if unit == 'days' else length):.2g} {unit}"
    return f"{seconds:.2g} s"


def _bytes(count: float) -> str:
    factor, unit = next((pair for pair in _SIZES if count < 1000 * pair[0]), _SIZES[-1])
    return f"{_figure(count / factor)} {unit}"


def _figure(value: float) -> str:
    return f"{value:.2g}" if value < 100 else f"{value:,.0f}"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = [head, ("---",) * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]
