"""Handing out sweeps to threads, as machine code that each of the threads runs.

A task is a few sweeps one after the other. A thread takes the next task until none is
left, so that one that another process delays does less, and nobody waits for it.
"""

from __future__ import annotations

from llvmlite import ir

from mdlstm_core.kernels.vector_code import INT

PLAN = ("next", "tasks", "firsts", "calls", "size", "sweep", "factor")
"""What the threads share, 64 bits each: the number of the next task, how many there are; the
addresses of each task's first call (one more than there are tasks) and of the calls; how many
integers a call takes; the address of the sweep; the forget gates' scale, a double."""


def write_task_code(module: ir.Module, name: str) -> None:
    """Write the function that a thread runs: takes the address of a `PLAN`."""
    plan_type, sweep_type = (
        INT.as_pointer(),
        ir.FunctionType(ir.VoidType(), [INT.as_pointer(), ir.DoubleType()]),
    )
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [plan_type]), name)
    (plan,) = function.args
    entry, take, begin, each, done = (
        function.append_basic_block(block) for block in ("entry", "take", "begin", "each", "done")
    )
    build = ir.IRBuilder(entry)
    places = {part: build.gep(plan, [INT(number)]) for number, part in enumerate(PLAN)}
    tasks, size = build.load(places["tasks"]), build.load(places["size"])
    firsts, calls = (
        build.inttoptr(build.load(places[part]), INT.as_pointer()) for part in ("firsts", "calls")
    )
    sweep = build.inttoptr(build.load(places["sweep"]), sweep_type.as_pointer())
    factor = build.bitcast(build.load(places["factor"]), ir.DoubleType())
    build.branch(take)

    build.position_at_end(take)
    task = build.atomic_rmw("add", places["next"], INT(1), "monotonic")
    build.cbranch(build.icmp_signed("<", task, tasks), begin, done)

    build.position_at_end(begin)
    first = build.load(build.gep(firsts, [task]))
    stop = build.load(build.gep(firsts, [build.add(task, INT(1))]))
    build.branch(each)

    build.position_at_end(each)
    number = build.phi(INT)
    build.call(sweep, [build.gep(calls, [build.mul(number, size)]), factor])
    following = build.add(number, INT(1))
    number.add_incoming(first, begin)
    number.add_incoming(following, each)
    build.cbranch(build.icmp_signed("<", following, stop), each, take)

    build.position_at_end(done)
    build.ret_void()
