"""The one family of errors that users see as a single line."""


class SertkError(Exception):
    """Something the user can mend: the message says what is wrong, where, and what to do."""


class UsageError(SertkError):
    """A command was called wrongly; commands exit with status 2."""
