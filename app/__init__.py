"""The desktop application and the command line."""

import os

# Before torch is loaded: threads that wait for others must sleep and not spin, or every
# parallel operation stalls when another process, or the window, wants a core.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
