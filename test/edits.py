"""Damage to files, for the tests that what is wrong is found."""


def edit(path, old, new):
    """Puts `new` in the place of `old`, text or bytes, which the file must hold exactly once."""
    old, new = (part if isinstance(part, bytes) else part.encode() for part in (old, new))
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))
