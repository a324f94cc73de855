"""Stores in Python, as tests need them."""

from __future__ import annotations


class Dictionary:
    """A store in Python: not near, not atomic."""

    def __init__(self) -> None:
        self.held = {}

    def get(self, key):
        return self.held.get(key)

    def put(self, key, value):
        self.held[key] = value

    def delete(self, key):
        self.held.pop(key, None)

    def keys(self, prefix=""):
        return [key for key in self.held if key.startswith(prefix)]


class Down:
    """A store that cannot be reached."""

    def get(self, *given):
        raise ConnectionError("down")

    put = delete = keys = get
