"""What the forward and the backward sweep have in common, as vector code.

A function sweeps one direction over one image, diagonal by diagonal as in `diagonals`.
Units are padded with zeros to whole vectors. Cells lie in diagonal order, with one slot of
zeros on either end of a diagonal for what lies outside the grid.
"""

from __future__ import annotations

from collections.abc import Iterator

from llvmlite import ir

from mdlstm_core.kernels.sweep_arguments import TABLE
from mdlstm_core.kernels.vector_code import INT, Target, Value, VectorCode

GATES_OF_CELL = 5
_LEAST_ROWS = 2
"""Rows of the smallest tile: with five vectors enough products to keep a processor busy."""


class SweepCode(VectorCode):
    """What both sweeps share."""

    def __init__(
        self, module: ir.Module, name: str, target: Target, arguments: tuple[str, ...]
    ) -> None:
        super().__init__(module, name, target, arguments)
        given = self.arguments
        self.diagonals, self.features, self.units, self.blocks = (
            given[name] for name in ("diagonals", "features", "units", "blocks")
        )
        self.width = self.plus(INT(0), (self.blocks, target.lanes))
        self.gates_width = self.plus(INT(0), (self.width, GATES_OF_CELL))
        self.gate_columns = [self.plus(INT(0), (self.width, gate)) for gate in range(GATES_OF_CELL)]

    def pointer(self, name: str) -> Value:
        """Return the address that an argument holds."""
        return self.numbers(self.arguments[name])

    def diagonal(self, number: Value) -> dict[str, Value]:
        """Load a diagonal's row of the table."""
        table = self.arguments["table"]
        start = self.plus(INT(0), (number, len(TABLE)))
        return {
            name: self.integer_at(table, self.build.add(start, INT(column)))
            for column, name in enumerate(TABLE)
        }

    def along(self, name: str, number: Value, diagonal: dict[str, Value]) -> tuple[Value, Value]:
        """Return where a diagonal starts in a grid and how far apart its cells are."""
        row, column = self.arguments[f"{name}_row"], self.arguments[f"{name}_column"]
        first = diagonal["first_row"]
        start = self.plus(INT(0), (first, row), (self.build.sub(number, first), column))
        return start, self.build.sub(row, column)

    def tiles(self, length: Value) -> Iterator[list[Value]]:
        """Go through `length` rows in tiles; yields the rows' numbers.

        Twice where whole tiles are larger than two rows, so that what is written for them
        is written for the rest, too, which comes in twos. A last one alone is computed and
        stored twice.
        """
        size = self.target.rows
        whole = INT(0)
        if size > _LEAST_ROWS:
            whole = self.build.sub(length, self.build.srem(length, INT(size)))
            with self.loop(whole, size) as start:
                yield [self.build.add(start, INT(m)) for m in range(size)]
        last = self.build.sub(length, INT(1))
        with self.loop(length, _LEAST_ROWS, whole) as start:
            yield [start, self.least(self.build.add(start, INT(1)), last)]

    def tile(self, width: int) -> list[list[Value]]:
        """Return variables for a tile of sums."""
        return [[self.variable(self.vector) for _ in range(width)] for _ in range(self.target.rows)]

    def copy_units(self, target: tuple[Value, Value], source: tuple[Value, Value]) -> None:
        """Copy the units of a cell without their padding."""
        build, lanes = self.build, self.target.lanes
        whole = build.sub(self.units, build.srem(self.units, INT(lanes)))
        with self.loop(whole, lanes) as unit:
            numbers = self.load_vector(source[0], build.add(source[1], unit))
            self.store_vector(numbers, target[0], build.add(target[1], unit))
        with self.loop(self.units, start=whole) as unit:
            number = self.load(source[0], build.add(source[1], unit))
            self.store(number, target[0], build.add(target[1], unit))
