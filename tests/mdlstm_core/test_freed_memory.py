"""What is freed is kept where that is asked for, and given back afterwards."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

_PROGRAM = """
import ctypes, resource
from pathlib import Path
import torch
from mdlstm_core.freed_memory import keep_freed

PR_SET_THP_DISABLE = 41  # one fault a page, whatever the machine is set to
ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)

def fresh_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.empty(64 << 20, dtype=torch.uint8).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])

fresh_pages()
start = resident()
usual = fresh_pages()
with keep_freed():
    inside = [fresh_pages() for _ in range(20)]
    first, again, kept = inside[0], inside[-1], resident() - start
print(usual, first, again, kept, resident() - start, fresh_pages())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_what_is_freed_is_kept_inside_and_given_back_afterwards() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )
    usual, first, again, kept, left, after = map(int, done.stdout.split())
    pages = (64 << 20) // os.sysconf("SC_PAGE_SIZE")
    assert min(usual, first, after) > 0.9 * pages
    assert again < 0.1 * pages
    assert kept > 0.9 * pages
    assert left < 0.1 * pages
