"""Function records: what an identity was made of, and how two of them differ."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def components(record: str) -> dict[str, dict[str, Any]]:
    """The components of a record, by label; none where it cannot be read."""
    try:
        found = json.loads(record).get("components", [])
        return {part["label"]: part for part in found if isinstance(part, dict) and "label" in part}
    except (ValueError, AttributeError, TypeError):
        return {}


def source_diff(a: str, b: str) -> str:
    """A unified diff of the components that differ between two records."""
    import difflib

    before, after = components(a), components(b)
    out: list[str] = []
    for label in dict.fromkeys([*before, *after]):
        old, new = before.get(label), after.get(label)
        if old is not None and new is not None and old.get("digest") == new.get("digest"):
            continue
        out.extend(
            line.rstrip("\n")
            for line in difflib.unified_diff(
                _text(old), _text(new), f"a/{label}", f"b/{label}", lineterm=""
            )
        )
    return "\n".join(out)


def _text(part: dict[str, Any] | None) -> list[str]:
    if part is None:
        return []
    text = part.get("source") or part.get("preview") or part.get("digest") or ""
    return str(text).splitlines()
