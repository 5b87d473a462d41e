"""Comparisons, each in one run; each checks that the numbers are equal before it times."""
