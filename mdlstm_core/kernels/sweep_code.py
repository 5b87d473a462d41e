"""The sweep of one direction over one image as vector code, forward and backward.

Diagonal by diagonal, as in `diagonals`. Forward, a tile of a few cells and of one vector of
units of each gate stays in registers from the bias over the products with the input and
with the two predecessors through the nonlinearities to cell and hidden state. Backward, the
gradient comes from the two successors, and that of the weights is added up on the way, so
that only two diagonals of gate gradients are ever kept.

Units are padded with zeros to whole vectors. Cells lie in diagonal order, with one slot of
zeros on either end of a diagonal for what lies outside the grid. Every row of the table of
diagonals holds `TABLE`; every function takes its arguments in the order named here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from llvmlite import ir

from mdlstm_core.kernels.vector_code import INT, Target, Value, VectorCode

TABLE = ("length", "first_row", "cell", "slot", "row_slot", "back_slot", "successor_slot")
"""Of a diagonal: cells; row of the first; number of cells before; slots of the first cell
and of its predecessor in the row before (that in the column before follows); in the backward
sweep's memory the slots of the first cell and of its successor in the next column (that in
the next row follows)."""

_GRID = ("diagonals", "table", "features", "units", "blocks", "input", "input_row", "input_column")
"""Number of diagonals, their table, sizes (blocks: vectors that hold the units), the input at
the corner where the sweep starts, and how far apart its rows and columns are."""

FORWARD = (
    *_GRID,
    "weights",  # blocks × (features, units of the row, of the column before) × 5 × lanes
    "bias",  # blocks × 5 × lanes
    "hidden",  # slots × padded units, zeros to begin with
    "cell_state",  # slots × padded units, zeros to begin with
    "gates",  # cells × 5 × padded units
    "output",  # at the corner where the sweep starts
    "output_row",
    "output_column",
)

BACKWARD = (
    *_GRID,
    "to_hidden",  # blocks × (5 gates × units of the column after, of the row after) × lanes
    "to_input",  # blocks of features × 5 gates × units × lanes; 0: no gradient of the input
    "hidden",
    "cell_state",
    "gates",
    "output",  # its gradient
    "output_row",
    "output_column",
    "grad_hidden",  # cells of the longest diagonal × padded units, zeros to begin with
    "grad_gates",  # slots × 5 × padded units, zeros to begin with
    "grad_cell_row",  # slots × padded units, zeros to begin with
    "grad_cell_column",  # slots × padded units, zeros to begin with
    "grad_weights",  # (features, units, units) × 5 × padded units, to be added to
    "grad_bias",  # 5 × padded units, to be added to
    "grad_input",  # rows × columns × padded features, from the corner
    "grad_input_row",
    "grad_input_column",
    "input_blocks",  # vectors that hold the features
)

_GATES = 5


class _Sweep(VectorCode):
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
        self.gates_width = self.plus(INT(0), (self.width, _GATES))
        self.gate_columns = [self.plus(INT(0), (self.width, gate)) for gate in range(_GATES)]

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

    @contextmanager
    def tiles(self, length: Value) -> Iterator[list[Value]]:
        """Go through `length` rows in tiles; yields the rows' numbers.

        The last tile repeats the last row, which computes and stores the same once more.
        """
        last = self.build.sub(length, INT(1))
        with self.loop(length, self.target.rows) as start:
            rows = [self.build.add(start, INT(m)) for m in range(self.target.rows)]
            yield [rows[0], *(self.least(row, last) for row in rows[1:])]

    def tile(self, width: int) -> list[list[Value]]:
        """Return variables for a tile of sums."""
        return [[self.variable(self.vector) for _ in range(width)] for _ in range(self.target.rows)]

    def copy_units(self, target: tuple[Value, Value], source: tuple[Value, Value]) -> None:
        """Copy the units of a cell without their padding."""
        with self.loop(self.units) as unit:
            number = self.load(source[0], self.build.add(source[1], unit))
            self.store(number, target[0], self.build.add(target[1], unit))


class _Forward(_Sweep):
    def __init__(self, module: ir.Module, name: str, target: Target, keep: bool) -> None:
        super().__init__(module, name, target, FORWARD)
        self.keep = keep
        self.input, self.output, self.hidden, self.cell = (
            self.pointer(name) for name in ("input", "output", "hidden", "cell_state")
        )
        self.sums = self.tile(_GATES)
        with self.loop(self.diagonals) as number:
            diagonal = self.diagonal(number)
            with self.loop(self.blocks) as block, self.tiles(diagonal["length"]) as rows:
                self._products(number, diagonal, block, rows)
                for row, sums in zip(rows, self.sums, strict=True):
                    self._cell(diagonal, block, row, sums)
            start, step = self.along("output", number, diagonal)
            with self.loop(diagonal["length"]) as row:
                slot = self.build.add(diagonal["slot"], row)
                hidden = self.plus(INT(0), (slot, self.width))
                self.copy_units((self.output, self.plus(start, (row, step))), (self.hidden, hidden))
        self.finish()

    def _products(
        self, number: Value, diagonal: dict[str, Value], block: Value, rows: list[Value]
    ) -> None:
        """Sum up bias, input and predecessors for a block of units of a tile of cells."""
        lanes = self.target.lanes
        columns = [INT(gate * lanes) for gate in range(_GATES)]
        step = INT(_GATES * lanes)
        bias_start = self.plus(INT(0), (block, step))
        for gate, column in enumerate(columns):
            bias = self.load_vector(self.pointer("bias"), self.build.add(bias_start, column))
            for sums in self.sums:
                self.build.store(bias, sums[gate])
        depth = self.plus(self.features, (self.units, 2))
        start, along = self.along("input", number, diagonal)
        before = self.plus(INT(0), (diagonal["row_slot"], self.width))
        after = self.build.add(before, self.width)
        parts = (
            (self.input, start, along, INT(0), self.features),
            (self.hidden, before, self.width, self.features, self.units),
            (self.hidden, after, self.width, self.build.add(self.features, self.units), self.units),
        )
        weights = self.pointer("weights")
        for base, first, apart, above, size in parts:
            of_block = self.plus(above, (block, depth))
            panel = self.build.gep(weights, [self.plus(INT(0), (of_block, step))])
            left = [(base, self.plus(first, (row, apart))) for row in rows]
            self.multiply(self.sums, size, left, INT(1), panel, step, columns)

    def _cell(
        self, diagonal: dict[str, Value], block: Value, row: Value, sums: list[Value]
    ) -> None:
        """Turn the sums of a cell into gates, cell state and hidden state."""
        build = self.build
        within = self.plus(INT(0), (block, self.target.lanes))
        nets = [build.load(total) for total in sums]
        gates = [*(self.sigmoid(net) for net in nets[:4]), self.tanh(nets[4])]
        output, write, forget_row, forget_column, candidate = gates
        before = self.plus(within, (build.add(diagonal["row_slot"], row), self.width))
        of_row = self.load_vector(self.cell, before)
        of_column = self.load_vector(self.cell, build.add(before, self.width))
        forgotten = self.fma(forget_row, of_row, build.fmul(forget_column, of_column))
        cell = self.fma(self.spread(self.factor), forgotten, build.fmul(write, candidate))
        here = self.plus(within, (build.add(diagonal["slot"], row), self.width))
        self.store_vector(cell, self.cell, here)
        self.store_vector(build.fmul(output, self.tanh(cell)), self.hidden, here)
        if self.keep:
            place = build.add(diagonal["cell"], row)
            kept = self.plus(within, (place, self.gates_width))
            for gate, column in zip(gates, self.gate_columns, strict=True):
                self.store_vector(gate, self.pointer("gates"), build.add(kept, column))


class _Backward(_Sweep):
    def __init__(self, module: ir.Module, name: str, target: Target) -> None:
        super().__init__(module, name, target, BACKWARD)
        self.grad_hidden, self.grad_gates = self.pointer("grad_hidden"), self.pointer("grad_gates")
        self.sums = self.tile(_GATES)
        self.bias_sums = [self.variable(self.vector) for _ in range(_GATES)]
        wants_input = self.build.icmp_signed("!=", self.arguments["to_input"], INT(0))
        with self.loop(self.diagonals) as done:
            number = self.build.sub(self.build.sub(self.diagonals, INT(1)), done)
            diagonal = self.diagonal(number)
            self._of_hidden(number, diagonal)
            with self.loop(self.blocks) as block:
                self._of_gates(diagonal, block)
                self._of_weights(number, diagonal, block)
            with self.build.if_then(wants_input):
                self._of_input(number, diagonal)
        self.finish()

    def _of_hidden(self, number: Value, diagonal: dict[str, Value]) -> None:
        """Gradient of the hidden states: of the output, plus what the successors hand back."""
        start, step = self.along("output", number, diagonal)
        output = self.pointer("output")
        with self.loop(diagonal["length"]) as row:
            here = self.plus(INT(0), (row, self.width))
            self.copy_units((self.grad_hidden, here), (output, self.plus(start, (row, step))))
        slot = self.plus(INT(0), (diagonal["successor_slot"], self.gates_width))
        panels = self.pointer("to_hidden")
        self._to_cells(
            (diagonal["length"], slot, 2 * _GATES), (panels, self.blocks), self.grad_hidden,
            (INT(0), self.width), add=True,
        )  # fmt: skip

    def _of_input(self, number: Value, diagonal: dict[str, Value]) -> None:
        """Gradient of the input."""
        slot = self.plus(INT(0), (diagonal["back_slot"], self.gates_width))
        panels = (self.pointer("to_input"), self.arguments["input_blocks"])
        where = self.along("grad_input", number, diagonal)
        source = (diagonal["length"], slot, _GATES)
        self._to_cells(source, panels, self.pointer("grad_input"), where, add=False)

    def _to_cells(
        self,
        source: tuple[Value, Value, int],
        panels: tuple[Value, Value],
        target: Value,
        where: tuple[Value, Value],
        *,
        add: bool,
    ) -> None:
        """Multiply gate gradients with weights, for all cells of a diagonal.

        Args:
            source: cells, where their gate gradients start, and how many gates a cell has.
            panels: the weights, panels of one vector of columns each, and their number.
            target: what to write to.
            where: where in it the first cell starts, and how far apart cells are.
            add: to what is there already.
        """
        count = panels[1]
        # As even as can be in tiles of up to five vectors: 7 = 4 + 3.
        tiles = self.build.sdiv(self.build.add(count, INT(4)), INT(5))
        widest = self.build.sdiv(
            self.build.add(count, self.build.sub(tiles, INT(1))), tiles
        )
        with self.loop(tiles) as tile:
            first = self.plus(INT(0), (tile, widest))
            width = self.least(widest, self.build.sub(count, first))
            for known in range(1, 6):
                with self.build.if_then(self.build.icmp_signed("==", width, INT(known))):
                    self._tiles_of_width(known, first, source, panels[0], target, where, add)

    def _tiles_of_width(
        self,
        width: int,
        first: Value,
        source: tuple[Value, Value, int],
        panels: Value,
        target: Value,
        where: tuple[Value, Value],
        add: bool,
    ) -> None:
        length, slot, gates = source
        lanes = self.target.lanes
        depth = self.plus(INT(0), (self.units, gates))
        sums = [row[:width] for row in self.sums]
        panel_size = self.plus(INT(0), (depth, lanes))
        panel = self.build.gep(panels, [self.plus(INT(0), (first, panel_size))])
        columns = [self.plus(INT(0), (panel_size, vector)) for vector in range(width)]
        with self.tiles(length) as rows:
            places = [
                [
                    self.plus(where[0], (row, where[1]), (self.build.add(first, INT(v)), lanes))
                    for v in range(width)
                ]
                for row in rows
            ]
            for totals, of_row in zip(sums, places, strict=True):
                for total, place in zip(totals, of_row, strict=True):
                    begin = self.load_vector(target, place) if add else self.constant(0.0)
                    self.build.store(begin, total)
            with self.loop(INT(gates)) as gate:
                start = self.plus(slot, (gate, self.width))
                left = [(self.grad_gates, self.plus(start, (r, self.gates_width))) for r in rows]
                of_gate = self.plus(INT(0), (self.plus(INT(0), (gate, self.units)), lanes))
                right = self.build.gep(panel, [of_gate])
                self.multiply(sums, self.units, left, INT(1), right, INT(lanes), columns)
            for totals, of_row in zip(sums, places, strict=True):
                for total, place in zip(totals, of_row, strict=True):
                    self.store_vector(self.build.load(total), target, place)

    def _of_gates(self, diagonal: dict[str, Value], block: Value) -> None:
        """Gradient of a block of gates before their nonlinearity, and of the bias."""
        within = self.plus(INT(0), (block, self.target.lanes))
        bias = self.pointer("grad_bias")
        places = [self.build.add(within, column) for column in self.gate_columns]
        for place, total in zip(places, self.bias_sums, strict=True):
            self.build.store(self.load_vector(bias, place), total)
        with self.loop(diagonal["length"]) as row:
            grads = self._of_cell(diagonal, within, row)
            slot = self.build.add(diagonal["back_slot"], row)
            here = self.plus(INT(0), (slot, self.gates_width))
            for grad, place, total in zip(grads, places, self.bias_sums, strict=True):
                self.store_vector(grad, self.grad_gates, self.build.add(here, place))
                self.build.store(self.build.fadd(self.build.load(total), grad), total)
        for place, total in zip(places, self.bias_sums, strict=True):
            self.store_vector(self.build.load(total), bias, place)

    def _of_cell(self, diagonal: dict[str, Value], within: Value, row: Value) -> list[Value]:
        """Return the gate gradients of a cell; store what goes back to its predecessors."""
        build = self.build
        cells, to_row, to_column = (
            self.pointer(name) for name in ("cell_state", "grad_cell_row", "grad_cell_column")
        )

        def slot(name: str) -> Value:
            return self.plus(within, (build.add(diagonal[name], row), self.width))

        kept = self.plus(within, (build.add(diagonal["cell"], row), self.gates_width))
        output, write, forget_row, forget_column, candidate = (
            self.load_vector(self.pointer("gates"), build.add(kept, column))
            for column in self.gate_columns
        )
        grad_h = self.load_vector(self.grad_hidden, self.plus(within, (row, self.width)))
        tanh_c = self.tanh(self.load_vector(cells, slot("slot")))
        successor = slot("successor_slot")
        grad_c = build.fadd(
            self.load_vector(to_column, successor),
            self.load_vector(to_row, build.add(successor, self.width)),
        )
        through = build.fmul(grad_h, output)
        grad_c = self.fma(through, self._rest(build.fmul(tanh_c, tanh_c)), grad_c)
        scaled = build.fmul(grad_c, self.spread(self.factor))
        here, before = slot("back_slot"), slot("row_slot")
        self.store_vector(build.fmul(scaled, forget_row), to_row, here)
        self.store_vector(build.fmul(scaled, forget_column), to_column, here)
        of_row = self.load_vector(cells, before)
        of_column = self.load_vector(cells, build.add(before, self.width))
        of_sigmoids = (
            (output, build.fmul(grad_h, tanh_c)),
            (write, build.fmul(grad_c, candidate)),
            (forget_row, build.fmul(scaled, of_row)),
            (forget_column, build.fmul(scaled, of_column)),
        )
        grads = [
            build.fmul(build.fmul(gate, self._rest(gate)), grad) for gate, grad in of_sigmoids
        ]
        of_candidate = self._rest(build.fmul(candidate, candidate))
        return [*grads, build.fmul(build.fmul(grad_c, write), of_candidate)]

    def _rest(self, part: Value) -> Value:
        """Return 1 - part."""
        return self.build.fsub(self.constant(1.0), part)

    def _of_weights(self, number: Value, diagonal: dict[str, Value], block: Value) -> None:
        """Add a diagonal's part to the gradient of a block of the weights."""
        start, along = self.along("input", number, diagonal)
        before = self.plus(INT(0), (diagonal["row_slot"], self.width))
        hidden = self.pointer("hidden")
        parts = (
            (self.pointer("input"), start, along, INT(0), self.features),
            (hidden, before, self.width, self.features, self.units),
            (
                hidden,
                self.build.add(before, self.width),
                self.width,
                self.build.add(self.features, self.units),
                self.units,
            ),
        )
        within = self.plus(INT(0), (block, self.target.lanes))
        slot = self.plus(within, (diagonal["back_slot"], self.gates_width))
        grads = self.build.gep(self.grad_gates, [slot])
        weights = self.pointer("grad_weights")
        for base, first, apart, above, size in parts:
            with self.tiles(size) as rows:
                places = [
                    [
                        self.plus(within, (self.build.add(above, row), self.gates_width), (c, 1))
                        for c in self.gate_columns
                    ]
                    for row in rows
                ]
                for totals, of_row in zip(self.sums, places, strict=True):
                    for total, place in zip(totals, of_row, strict=True):
                        self.build.store(self.load_vector(weights, place), total)
                left = [(base, self.build.add(first, row)) for row in rows]
                self.multiply(
                    self.sums, diagonal["length"], left, apart, grads, self.gates_width,
                    self.gate_columns,
                )  # fmt: skip
                for totals, of_row in zip(self.sums, places, strict=True):
                    for total, place in zip(totals, of_row, strict=True):
                        self.store_vector(self.build.load(total), weights, place)


def write_sweeps(target: Target) -> ir.Module:
    """Return a module with `forward`, `forward_keeping` (all gates) and `backward`."""
    module = ir.Module("sweeps")
    _Forward(module, "forward", target, keep=False)
    _Forward(module, "forward_keeping", target, keep=True)
    _Backward(module, "backward", target)
    return module
