"""The forward sweep as vector code.

A tile of a few cells and of one vector of units of each gate stays in registers from the
bias over the products with the input and with the two predecessors through the
nonlinearities to cell and hidden state.
"""

from __future__ import annotations

from llvmlite import ir

from mdlstm_core.kernels.sweep_arguments import FORWARD
from mdlstm_core.kernels.sweep_code import GATES_OF_CELL, SweepCode
from mdlstm_core.kernels.vector_code import INT, Target, Value


class ForwardCode(SweepCode):
    """The function that sweeps forward.

    Args:
        module: where the function goes.
        name: of the function.
        target: what it is written for.
        keep: store the gates of all cells, for the backward sweep.
    """

    def __init__(self, module: ir.Module, name: str, target: Target, keep: bool) -> None:
        super().__init__(module, name, target, FORWARD)
        self.keep = keep
        self.input, self.output, self.hidden, self.cell = (
            self.pointer(name) for name in ("input", "output", "hidden", "cell_state")
        )
        self.sums = self.tile(GATES_OF_CELL)
        with self.loop(self.diagonals) as number:
            diagonal = self.diagonal(number)
            with self.loop(self.blocks) as block:
                for rows in self.tiles(diagonal["length"]):
                    self._products(number, diagonal, block, rows)
                    self._cells(diagonal, block, rows)
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
        columns = [INT(gate * lanes) for gate in range(GATES_OF_CELL)]
        step = INT(GATES_OF_CELL * lanes)
        bias_start = self.plus(INT(0), (block, step))
        for gate, column in enumerate(columns):
            bias = self.load_vector(self.pointer("bias"), self.build.add(bias_start, column))
            for sums_of_row in self.sums[: len(rows)]:
                self.build.store(bias, sums_of_row[gate])
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
            sums = self.sums[: len(rows)]
            self.multiply(sums, size, left, INT(1), panel, step, columns)

    def _cells(self, diagonal: dict[str, Value], block: Value, rows: list[Value]) -> None:
        """Turn the sums of a tile of cells into gates, cell and hidden states.

        Hidden states come after all cell states: each waits for a tanh, of which the
        processor then has several at a time.
        """
        within = self.plus(INT(0), (block, self.target.lanes))
        states = [
            self._cell(diagonal, within, row, sums)
            for row, sums in zip(rows, self.sums[: len(rows)], strict=True)
        ]
        for row, (output, cell) in zip(rows, states, strict=True):
            here = self.plus(within, (self.build.add(diagonal["slot"], row), self.width))
            hidden = self.build.fmul(output, self.tanh(cell))
            self.store_vector(hidden, self.hidden, here)

    def _cell(
        self, diagonal: dict[str, Value], within: Value, row: Value, sums: list[Value]
    ) -> tuple[Value, Value]:
        """Return the output gate and the cell state of a cell; store what is kept."""
        build = self.build
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
        if self.keep:
            place = build.add(diagonal["cell"], row)
            kept = self.plus(within, (place, self.gates_width))
            for gate, column in zip(gates, self.gate_columns, strict=True):
                self.store_vector(gate, self.pointer("gates"), build.add(kept, column))
        return output, cell
