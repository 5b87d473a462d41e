"""Comparisons within one run; each checks that both sides agree before it times them."""

# Before torch is loaded: measured as the program runs.
import app  # noqa: F401
