"""The one exception that users read, and the one that they need not."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one sentence that names the file or value and the mend. The command
    line prints it and exits with code 2, the window shows it in its message bar.
    """


class AlreadySaidError(Exception):
    """Another process has said why none of them can go on: this one ends without a word."""
