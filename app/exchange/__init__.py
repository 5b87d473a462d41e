"""A project's labels out to files and in again: one engine for window and command line."""
