"""Why a call would be answered from the store, or would run: what the engine found out, in words for one screen.

Nothing runs here, and nothing that is stored changes. What differs from the nearest commit is told by the function
records, so that there is nothing to prepare for the question.
"""

from __future__ import annotations

from afresh import _afresh, models, warn
from afresh.accepts import accepted
from afresh.records import changes, source_diff

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from afresh.memo import Memo

#: How many lines of a diff are shown, and how many characters of a value.
MOST_LINES = 30
MOST_CHARACTERS = 200


class Explanation:
    """Why a call would be answered, or would run. ``print`` it; its ``repr`` is the text too.

    ``kind`` is ``"hit"``, ``"expired"``, ``"unusable"`` (there is an answer that cannot be read or trusted),
    ``"miss"`` or ``"uncached"`` (the call has no key); ``commit`` is the commit of the answer or, for a miss, the
    nearest one, where there is one.
    """

    __slots__ = ("commit", "kind", "text")

    def __init__(self, kind: str, text: str, commit: models.Commit | None = None) -> None:
        self.kind = kind
        self.text = text
        self.commit = commit

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text


def explain(memo: Memo, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Explanation:
    """What would become of ``memo(*args, **kwargs)``."""
    warn.emit()
    call, problem = memo._bound(args, kwargs)
    notes = _notes(memo)
    if call is None:
        kind, commit, lines = "uncached", None, [f"uncached: {problem}"]
    else:
        found = call.explain()
        warn.emit()
        if memo._tracks and found["kind"] == "hit":
            _look_again(memo, call, found)
        kind = found["kind"]
        record = found.get("record")
        commit = None if record is None else models.commit(record)
        lines = _LINES[kind](found, commit)
        kind = "miss" if kind == "outdated" else kind
        if memo._options.force or memo._options.cache is False:
            setting = "force=True" if memo._options.force else "cache=False"
            notes.append(f"{setting}: the function runs whatever is stored")
        notes[:0] = [f"accepted: {one}" for one in accepted(memo)]
    # The first line is about the call, what the functions look like comes last.
    head, *rest = lines
    text = "\n".join([_line(head), *(f"  {_line(note)}" for note in notes), *rest])
    return Explanation(kind, text, commit)


def _notes(memo: Memo) -> list[str]:
    """What the identity of the call rests on only weakly."""
    notes = [f"opaque: {note}" for note in memo._opaque()]
    mine = f"{memo.name}: argument "
    for text, back in _afresh.drain_warnings():
        if text.startswith(mine):
            notes.append(f"opaque: argument {text[len(mine) :]}")
        else:
            warn.gathered(text, back)
    return notes


def _look_again(memo: Memo, call: _afresh.Call, found: dict[str, Any]) -> None:
    """Of a tracked function: whether what it read is as it was, or was when an earlier answer was made."""
    from afresh import readings, track

    record, _ = track.find(memo, call)
    if record is None:
        found["kind"] = "outdated"
        found["changed"] = readings.changed(found["record"]) if "record" in found else []
    elif record["hash"] != found["commit"]:
        created = record["started"] + record["took_us"] // 1000
        found.update(commit=record["hash"], record=record, created=created, took_us=record["took_us"])


def _outdated(found: dict[str, Any], commit: models.Commit | None) -> list[str]:
    from afresh import readings

    # That something in the environment differs says less than which variable.
    first, *more = sorted(found["changed"], key=lambda name: name == readings.ALL) or [""]
    kind, _, name = first.partition(":")
    what = "what it read" if first in ("", readings.ALL) else f"{_READ.get(kind, kind)} `{name}`"
    rest = f", and {len(more)} more" if more else ""
    return [f"miss: same arguments; {what} changed{rest}", f"  {_origin(found, commit)}"]


#: What is called how that a function was seen to read.
_READ = {"file": "file", "dir": "folder", "env": "environment variable"}


def _hit(found: dict[str, Any], commit: models.Commit | None) -> list[str]:
    if found.get("failed"):
        return [f"hit: the failure is raised again: {_origin(found, commit)}"]
    due = {"stale": "stale, used while it is refreshed: ", "early": "to be refreshed: "}.get(found.get("verdict", ""), "")
    return [f"hit: {due}{_origin(found, commit)}"]


def _expired(found: dict[str, Any], commit: models.Commit | None) -> list[str]:
    return [f"expired {_span(found['by'])} ago: {_origin(found, commit)}"]


def _unusable(found: dict[str, Any], commit: models.Commit | None) -> list[str]:
    return [f"miss: there is an answer, but {found['reason']}: {_origin(found, commit)}"]


def _miss(found: dict[str, Any], commit: models.Commit | None) -> list[str]:
    if commit is None:
        return ["miss: never computed, nor is any other call of the function on record"]
    if not found["never_seen"]:
        return [f"miss: {_in_vain(commit)} ({_nearest(found, commit)})"]
    difference = found["difference"]
    arguments = difference["arguments"]
    parts = []
    before, after = difference["records"] or ("", "")
    if difference["function_changed"]:
        parts.append(("" if arguments else "same arguments; ") + _changed(before, after, difference["records"]))
    parts += [_differs(*argument) for argument in arguments]
    inside = [_line(line) for *_, inner in arguments if inner for line in inner["lines"]]
    seen = "never computed; nearest" if arguments else "computed before"
    near = f"  {seen}: {_line(_nearest(found, commit))}"
    if commit.error is not None:
        near += f", failed: {_line(_short(commit.error))}"
    diff = [_line(line) for line in source_diff(before, after).splitlines()]
    if len(diff) > MOST_LINES:
        diff[MOST_LINES:] = [f"... {len(diff) - MOST_LINES} more lines"]
    return [f"miss: {'; '.join(parts)}", near, *(f"    {line}" for line in inside), *diff]


_LINES = {"hit": _hit, "outdated": _outdated, "expired": _expired, "unusable": _unusable, "miss": _miss}


def _in_vain(commit: models.Commit) -> str:
    """Why an earlier execution of the same call left no answer."""
    if commit.error is not None:
        return f"failed last time: {_short(commit.error)}"
    if commit.unkept is not None:
        return f"the result was not kept: {commit.unkept}"
    return "the answer was taken back"


def _changed(before: str, after: str, known: Any) -> str:
    """``helper `etl.clean` changed (etl.py:41)``, and how many more things."""
    if not known:
        return "the function changed; what it was is no longer on record"
    # What is on record beside the identity may differ and is not why.
    found = [change for change in changes(before, after) if not any(part and part.get("aside") for part in change[1:])]
    if not found:
        return "the function has another version, mode or dependencies"
    # What was changed by hand says more than what it made of the code.
    found.sort(key=lambda change: change[0] not in ("mode", "version"))
    label, old, new = found[0]
    part = new or old or {}
    role, _, name = label.partition(" ")
    text = f"{role} `{name}`" if name else f"`{role}`"
    text += " changed" if old and new else " is new" if new else " is gone"
    if old and new and " " not in label and old.get("preview") and new.get("preview"):
        text = f"{label}: {_short(old['preview'])} → {_short(new['preview'])}"
    if part.get("file"):
        import os

        line = f":{part['line']}" if part.get("line") else ""
        text += f" ({os.path.basename(str(part['file']))}{line})"
    if len(found) > 1:
        text += f", and {len(found) - 1} more"
    return text


def _differs(name: str, before: str | None, after: str | None, inside: dict[str, Any] | None) -> str:
    """How one argument differs."""
    if inside is not None:
        return f"argument `{name}` differs: {_short(inside['headline'])}"
    if before is None:
        return f"argument `{name}` is new: {_short(after)}"
    if after is None:
        return f"argument `{name}` is gone: {_short(before)}"
    if before == after:
        return f"argument `{name}` differs: both look like {_short(after)}"
    return f"argument `{name}` differs: {_short(before)} → {_short(after)}"


def _origin(found: dict[str, Any], commit: models.Commit | None) -> str:
    """``computed 2 days ago by ana@box in 41 s (commit 3f2a91e0c1d2)``."""
    ago = _span(max(found["now"] - found["created"], 0) / 1000)
    return f"computed {ago} ago{_by(commit)} in {_span(found['took_us'] / 1e6)} (commit {found['commit'][:12]})"


def _nearest(found: dict[str, Any], commit: models.Commit) -> str:
    ago = _span(max(found["now"] / 1000 - commit.created_at.timestamp(), 0))
    return f"commit {commit.short_hash}, {ago} ago{_by(commit)}"


def _by(commit: models.Commit | None) -> str:
    if commit is None or not (commit.user or commit.host):
        return ""
    return f" by {commit.user}@{commit.host}" if commit.user and commit.host else f" by {commit.user or commit.host}"


def _span(seconds: float) -> str:
    """A span in its largest unit: ``850 µs``, ``12 ms``, ``41 s``, ``4 minutes``, ``2 days``."""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{int(seconds)} s"
    for unit, size, until in (("minute", 60, 60), ("hour", 3600, 24), ("day", 86400, float("inf"))):
        count = int(seconds // size)
        if count < until:
            break
    return f"{count} {unit}{'' if count == 1 else 's'}"


def _short(text: str | None) -> str:
    text = text or ""
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + "…"


def _line(text: str) -> str:
    """One line that no terminal obeys: what is stored was written by others."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text.expandtabs(4))
