"""The desktop application and the command line."""

import ctypes
import os
import sys

# Before torch is loaded: threads that wait for others must sleep and not spin, or every
# parallel operation stalls when another process, or the window, wants a core.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

if sys.version_info < (3, 12):
    # PySide6 6.12 drops a reference to True at each signal emitted, and to None at each
    # processEvents; after thousands of them Python 3.11 aborts. From 3.12 on they are
    # immortal by themselves.
    for constant in (None, True, False):
        ctypes.c_ssize_t.from_address(id(constant)).value += 1 << 40
