"""What can go wrong with a service; the command prints the message and ends with status 1."""


class StackError(Exception):
    """A service cannot be started, stopped or reached; the message says which one, why, and where to look."""
