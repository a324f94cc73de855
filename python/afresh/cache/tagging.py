"""Tags that keys have by what they look like: ``register_tag("user:{id}", "profile:{id}:*")``.

What is stored under a key that matches the template gets the tag, beside those that are named when it is stored. A field
of the tag is filled in with what stands in its place in the key.
"""

from __future__ import annotations

from afresh.cache.errors import WrongKeyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from re import Match


class Registered:
    """The tags of one cache that were registered."""

    def __init__(self) -> None:
        self._rules: tuple[tuple[str, str, Callable[[str], Match[str] | None]], ...] = ()

    def __bool__(self) -> bool:
        return bool(self._rules)

    def add(self, tag: str, template: str) -> None:
        names, matches = _matcher(template)
        if unknown := set(_fields(tag)) - names:
            raise WrongKeyError(
                f"the tag {tag!r} asks for `{min(unknown)}`, which the key {template!r} does not have"
            )
        others = [rule for rule in self._rules if rule[:2] != (tag, template)]
        self._rules = (*others, (tag, template, matches))

    def of(self, key: str, tags: Sequence[str]) -> Sequence[str]:
        """The tags that were named, and those of the key."""
        if not self._rules:
            return tags
        found = [tag.format(**match.groupdict()) for tag, _, matches in self._rules if (match := matches(key))]
        return list(dict.fromkeys([*tags, *found]))


def _fields(template: str) -> list[str]:
    import string

    try:
        return [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise WrongKeyError(f"the template {template!r} cannot be understood: {error}") from None


def _matcher(template: str) -> tuple[set[str], Callable[[str], Match[str] | None]]:
    """The fields of a key's template, and what finds them in a key."""
    import re
    import string

    names = _fields(template)
    if bad := [name for name in names if not name.isidentifier()]:
        raise WrongKeyError(f"`{{{bad[0]}}}` is not a field of a key that a tag can have", hint="give a plain name")
    parts, seen = [], set()
    for literal, field, _, _ in string.Formatter().parse(template):
        parts.append(".*".join(map(re.escape, literal.split("*"))))
        if field is not None:
            parts.append(f"(?P={field})" if field in seen else f"(?P<{field}>.+?)")
            seen.add(field)
    return set(names), re.compile("".join(parts), re.DOTALL).fullmatch
