"""Writing vector code for the processor at hand: loops, loads, products, nonlinearities.

A thin layer over llvmlite's builder. A vector has `lanes` numbers of one precision and is
spelt out, not left to the compiler to find, so that the same few instructions come out on
every processor. Integers are 64 bits wide; offsets and steps count numbers, not bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from llvmlite import ir

Value: TypeAlias = Any
"""What an instruction leaves, an `ir.Value`; llvmlite carries no types."""

INT = ir.IntType(64)


@dataclass(frozen=True)
class Target:
    """What code is written for.

    Attributes:
        bits: of a number, 32 or 64.
        vector_bits: of a vector register.
        registers: how many vector registers there are.
    """

    bits: int
    vector_bits: int
    registers: int

    @property
    def lanes(self) -> int:
        """Numbers in a vector."""
        return self.vector_bits // self.bits

    @property
    def rows(self) -> int:
        """Rows of a product's tile, five vectors wide, whose sums stay in registers."""
        return 5 if self.registers >= 32 else 2


class VectorCode:
    """One function under construction: `void name(const int64 *arguments, double factor)`.

    Args:
        module: where the function goes.
        name: of the function.
        target: what it is written for.
        arguments: names of the integers and addresses that it takes, in their order.
    """

    def __init__(
        self, module: ir.Module, name: str, target: Target, arguments: Sequence[str]
    ) -> None:
        self.target = target
        self.real: ir.Type = ir.FloatType() if target.bits == 32 else ir.DoubleType()
        self.vector = ir.VectorType(self.real, target.lanes)
        self._bits = ir.VectorType(ir.IntType(target.bits), target.lanes)
        fma = f"llvm.fmuladd.v{target.lanes}f{target.bits}"
        of_three = ir.FunctionType(self.vector, [self.vector] * 3)
        self._fma = module.globals.get(fma) or ir.Function(module, of_three, fma)
        kind = ir.FunctionType(ir.VoidType(), [INT.as_pointer(), ir.DoubleType()])
        function = ir.Function(module, kind, name)
        self._entry = function.append_basic_block("entry")
        body = function.append_basic_block("body")
        entry = ir.IRBuilder(self._entry)
        given, factor = function.args
        self.arguments: dict[str, Value] = {
            name: entry.load(entry.gep(given, [INT(number)]), name=name)
            for number, name in enumerate(arguments)
        }
        self.factor = factor if target.bits == 64 else entry.fptrunc(factor, self.real)
        entry.branch(body)
        self.build = ir.IRBuilder(body)

    def finish(self) -> None:
        """End the function."""
        self.build.ret_void()

    def variable(self, kind: ir.Type) -> Value:
        """Return the address of a new variable, which the compiler turns into a register."""
        entry = ir.IRBuilder(self._entry)
        entry.position_at_start(self._entry)
        return entry.alloca(kind)

    @contextmanager
    def loop(self, stop: Value, step: int = 1, start: Value | int = 0) -> Iterator[Value]:
        """Repeat what is written inside, for start, start + step, … below `stop`."""
        index = self.variable(INT)
        self.build.store(_integer(start), index)
        blocks = [self.build.append_basic_block(name) for name in ("test", "each", "after")]
        test, each, after = blocks
        self.build.branch(test)
        self.build.position_at_end(test)
        value = self.build.load(index)
        self.build.cbranch(self.build.icmp_signed("<", value, stop), each, after)
        self.build.position_at_end(each)
        yield value
        self.build.store(self.build.add(value, INT(step)), index)
        self.build.branch(test)
        self.build.position_at_end(after)

    def plus(self, start: Value, *products: tuple[Value | int, Value | int]) -> Value:
        """Return an integer plus the products of some pairs of integers."""
        for left, right in products:
            start = self.build.add(start, self.build.mul(_integer(left), _integer(right)))
        return start

    def least(self, left: Value, right: Value) -> Value:
        """Return the smaller of two integers."""
        return self.build.select(self.build.icmp_signed("<", left, right), left, right)

    def numbers(self, address: Value) -> Value:
        """Return an address, given as an integer, as that of numbers."""
        return self.build.inttoptr(address, self.real.as_pointer())

    def integer_at(self, address: Value, offset: Value) -> Value:
        """Load one integer of a table."""
        table = self.build.inttoptr(address, INT.as_pointer())
        return self.build.load(self.build.gep(table, [offset]))

    def load(self, base: Value, offset: Value) -> Value:
        """Load one number."""
        return self.build.load(self.build.gep(base, [offset]))

    def store(self, value: Value, base: Value, offset: Value) -> None:
        """Store one number."""
        self.build.store(value, self.build.gep(base, [offset]))

    def load_vector(self, base: Value, offset: Value) -> Value:
        """Load a vector from an address that need not be aligned."""
        address = self.build.gep(base, [offset])
        return self.build.load(
            self.build.bitcast(address, self.vector.as_pointer()),
            align=self.target.bits // 8,
            typ=self.vector,
        )

    def store_vector(self, value: Value, base: Value, offset: Value) -> None:
        """Store a vector at an address that need not be aligned."""
        address = self.build.gep(base, [offset])
        where = self.build.bitcast(address, self.vector.as_pointer())
        self.build.store(value, where, align=self.target.bits // 8)

    def spread(self, number: Value) -> Value:
        """Return a vector of one number."""
        empty = ir.Constant(self.vector, ir.Undefined)
        first = self.build.insert_element(empty, number, ir.IntType(32)(0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), self.target.lanes), None)
        return self.build.shuffle_vector(first, empty, lanes)

    def constant(self, number: float) -> Value:
        """Return a vector of one constant."""
        return ir.Constant(self.vector, [self.real(number)] * self.target.lanes)

    def fma(self, left: Value, right: Value, addend: Value) -> Value:
        """Return left · right + addend, in one rounding where the processor can."""
        return self.build.call(self._fma, [left, right, addend])

    def multiply(
        self,
        sums: Sequence[Sequence[Value]],
        depth: Value,
        left: Sequence[tuple[Value, Value]],
        left_step: Value,
        right: Value,
        right_step: Value,
        columns: Sequence[Value],
    ) -> None:
        """Add a product to a tile of sums, which are variables that hold vectors.

        sums[m][n] += Σ_k left[m][k · left_step] · right[k · right_step + columns[n] …],
        k below `depth`; each of `left` is an address and an offset.
        """
        with self.loop(depth) as k:
            along = self.plus(INT(0), (k, left_step))
            row = self.plus(INT(0), (k, right_step))
            vectors = [self.load_vector(right, self.build.add(row, n)) for n in columns]
            for (base, offset), sums_of_row in zip(left, sums, strict=True):
                number = self.spread(self.load(base, self.build.add(offset, along)))
                for vector, total in zip(vectors, sums_of_row, strict=True):
                    added = self.fma(number, vector, self.build.load(total))
                    self.build.store(added, total)

    def sigmoid(self, x: Value) -> Value:
        """Return 1 / (1 + e^-x); what is not a number stays so."""
        limit = 87.0 if self.target.bits == 32 else 700.0
        scale, rest = self._exponential(self._clamp(self.build.fneg(x), limit))
        below = self.build.fadd(self.constant(1.0), self.fma(scale, rest, scale))
        return self.build.fdiv(self.constant(1.0), below)

    def tanh(self, x: Value) -> Value:
        """Return tanh x from e^2x - 1, which keeps its precision near 0."""
        # Beyond this tanh rounds to ±1.
        limit = 20.0 if self.target.bits == 32 else 40.0
        scale, rest = self._exponential(self._clamp(self.build.fadd(x, x), limit))
        above = self.fma(scale, rest, self.build.fsub(scale, self.constant(1.0)))
        return self.build.fdiv(above, self.build.fadd(above, self.constant(2.0)))

    def _clamp(self, x: Value, limit: float) -> Value:
        """Bring x to ±limit. The order of the comparisons lets NaN through."""
        for sign, bound in (("<", self.constant(-limit)), (">", self.constant(limit))):
            x = self.build.select(self.build.fcmp_ordered(sign, x, bound), bound, x)
        return x

    def _exponential(self, x: Value) -> tuple[Value, Value]:
        """Return s and p with e^x = s · (1 + p), s a power of two.

        Cody and Waite's reduction, x = n ln 2 + r with |r| ≤ ln 2 / 2, and the series of
        e^r - 1. Adding 1.5 · 2^mantissa rounds to a whole number, which then stands in the
        lowest bits and is moved into the exponent.
        """
        mantissa, bias, degree = (23, 127, 7) if self.target.bits == 32 else (52, 1023, 13)
        # The first part of ln 2 has so few digits that its product with n is exact.
        high, low = (
            (0.693359375, -2.12194440054690583e-4)
            if self.target.bits == 32
            else (6.93145751953125e-1, 1.42860682030941723e-6)
        )
        shift = self.constant(1.5 * 2.0**mantissa)
        shifted = self.fma(x, self.constant(1 / math.log(2)), shift)
        n = self.build.fsub(shifted, shift)
        r = self.fma(n, self.constant(-low), self.fma(n, self.constant(-high), x))
        series = self.constant(1 / math.factorial(degree))
        for power in range(degree - 1, 1, -1):
            series = self.fma(series, r, self.constant(1 / math.factorial(power)))
        rest = self.fma(self.build.fmul(r, r), series, r)
        lanes = self.target.lanes
        exponent = self.build.shl(
            self.build.bitcast(shifted, self._bits),
            ir.Constant(self._bits, [mantissa] * lanes),
        )
        one = ir.Constant(self._bits, [bias << mantissa] * lanes)
        scale = self.build.bitcast(self.build.add(exponent, one), self.vector)
        return scale, rest


def _integer(value: Value | int) -> Value:
    return INT(value) if isinstance(value, int) else value
