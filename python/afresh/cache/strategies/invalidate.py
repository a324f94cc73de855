"""Taking back what a function makes out of date, once it has succeeded.

The template becomes a pattern: what its fields are filled in with is taken literally, also where it has a star in it;
``*`` in the template itself stands for anything.
"""

from __future__ import annotations

from afresh.cache import routes
from afresh.cache.keys import Template

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from afresh.cache.keys import Arguments
    from afresh.cache.steps import Steps
    from afresh.cache.strategies.asked import Asked


class Invalidate:
    """Deletes what a template matches, filled in with the arguments of the call."""

    def __init__(self, template: str, arguments: Arguments, names: Mapping[str, str], others: Mapping[str, Any]) -> None:
        self.template = Template(template, arguments, [*names, *others])
        self.names, self.others = names, others

    def steps(self, asked: Asked) -> Steps:
        result = yield asked.run()
        values = {**asked.arguments, **self.others}
        values.update((name, asked.arguments[argument]) for name, argument in self.names.items())
        pattern = self.template(values, routes.escape)
        yield from asked.cache._steps(asked.face, type(asked.cache).delete_match, pattern)
        return result


