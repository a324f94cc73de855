"""Function records: what an identity was made of, and how two of them differ."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def components(record: str) -> list[dict[str, Any]]:
    """The components of a record; none where it cannot be read. Several lambdas have one label."""
    try:
        found = json.loads(record).get("components", [])
        return [part for part in found if isinstance(part, dict) and isinstance(part.get("label"), str)]
    except (ValueError, AttributeError, TypeError):
        return []


def changes(a: str, b: str) -> list[tuple[str, dict[str, Any] | None, dict[str, Any] | None]]:
    """The components that differ between two records: label, before, after."""
    before, after = _without(components(a), components(b)), _without(components(b), components(a))
    found: list[tuple[str, dict[str, Any] | None, dict[str, Any] | None]] = []
    for old in before:
        new = next((part for part in after if part["label"] == old["label"]), None)
        if new is not None:
            after.remove(new)
        found.append((old["label"], old, new))
    return found + [(new["label"], None, new) for new in after]


def _without(parts: list[dict[str, Any]], others: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of which there is no equal among the others."""
    known = {(part["label"], str(part.get("digest"))) for part in others}
    return [part for part in parts if (part["label"], str(part.get("digest"))) not in known]


def source_diff(a: str, b: str) -> str:
    """A unified diff of the components that differ between two records."""
    import difflib

    out: list[str] = []
    for label, old, new in changes(a, b):
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
