"""The backward sweep as vector code.

The gradient of a cell comes from its two successors. That of the weights is added up on the
way, so that only two diagonals of gate gradients are ever kept.
"""

from __future__ import annotations

import itertools

from llvmlite import ir

from mdlstm_core.kernels.sweep_arguments import BACKWARD
from mdlstm_core.kernels.sweep_code import GATES_OF_CELL, SweepCode
from mdlstm_core.kernels.vector_code import INT, Target, Value


class BackwardCode(SweepCode):
    """The function that sweeps backward (see `VectorCode` for its arguments)."""

    def __init__(self, module: ir.Module, name: str, target: Target) -> None:
        super().__init__(module, name, target, BACKWARD)
        self.grad_hidden, self.grad_gates = self.pointer("grad_hidden"), self.pointer("grad_gates")
        self.sums = self.tile(GATES_OF_CELL)
        self.bias_sums = [self.variable(self.vector) for _ in range(GATES_OF_CELL)]
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
            (diagonal["length"], slot, 2 * GATES_OF_CELL), (panels, self.blocks), self.grad_hidden,
            (INT(0), self.width), add=True,
        )  # fmt: skip

    def _of_input(self, number: Value, diagonal: dict[str, Value]) -> None:
        """Gradient of the input."""
        slot = self.plus(INT(0), (diagonal["back_slot"], self.gates_width))
        panels = (self.pointer("to_input"), self.arguments["input_blocks"])
        where = self.along("grad_input", number, diagonal)
        source = (diagonal["length"], slot, GATES_OF_CELL)
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
        widest = self.build.sdiv(self.build.add(count, self.build.sub(tiles, INT(1))), tiles)
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
        panel_size = self.plus(INT(0), (self.units, gates * lanes))
        panel = self.build.gep(panels, [self.plus(INT(0), (first, panel_size))])
        columns = [self.plus(INT(0), (panel_size, vector)) for vector in range(width)]
        for rows in self.tiles(length):
            sums = [row[:width] for row in self.sums[: len(rows)]]
            places = [
                [
                    self.plus(where[0], (row, where[1]), (self.build.add(first, INT(v)), lanes))
                    for v in range(width)
                ]
                for row in rows
            ]
            if add:
                self._load_sums(sums, target, places)
            else:
                for total in itertools.chain.from_iterable(sums):
                    self.build.store(self.constant(0.0), total)
            with self.loop(INT(gates)) as gate:
                start = self.plus(slot, (gate, self.width))
                left = [(self.grad_gates, self.plus(start, (r, self.gates_width))) for r in rows]
                of_gate = self.plus(INT(0), (self.plus(INT(0), (gate, self.units)), lanes))
                right = self.build.gep(panel, [of_gate])
                self.multiply(sums, self.units, left, INT(1), right, INT(lanes), columns)
            self._store_sums(sums, target, places)

    def _load_sums(self, sums: list[list[Value]], base: Value, places: list[list[Value]]) -> None:
        """Set a tile of sums to what stands at their places."""
        for totals, of_row in zip(sums, places, strict=True):
            for total, place in zip(totals, of_row, strict=True):
                self.build.store(self.load_vector(base, place), total)

    def _store_sums(self, sums: list[list[Value]], base: Value, places: list[list[Value]]) -> None:
        """Store a tile of sums at their places."""
        for totals, of_row in zip(sums, places, strict=True):
            for total, place in zip(totals, of_row, strict=True):
                self.store_vector(self.build.load(total), base, place)

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
        grads = [build.fmul(build.fmul(gate, self._rest(gate)), grad) for gate, grad in of_sigmoids]
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
            for rows in self.tiles(size):
                places = [
                    [
                        self.plus(within, (self.build.add(above, row), self.gates_width), (c, 1))
                        for c in self.gate_columns
                    ]
                    for row in rows
                ]
                sums = self.sums[: len(rows)]
                self._load_sums(sums, weights, places)
                left = [(base, self.build.add(first, row)) for row in rows]
                self.multiply(
                    sums, diagonal["length"], left, apart, grads, self.gates_width,
                    self.gate_columns,
                )  # fmt: skip
                self._store_sums(sums, weights, places)
