"""The one family of errors that users see as a single line."""


class SertkError(Exception):
    """Something the user can mend: the message says what is wrong, where, and what to do."""


class UsageError(SertkError):
    """A command was called wrongly; commands exit with status 2."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether Python or PyTorch, on a CPU or GPU, could get no memory."""
    named = type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
    return isinstance(error, MemoryError) or named
