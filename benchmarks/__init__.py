"""Comparisons, each in one run; each checks that the numbers are equal before it times."""

# Sets how torch's threads wait, as for the users; must come before torch is loaded.
import app  # noqa: F401
