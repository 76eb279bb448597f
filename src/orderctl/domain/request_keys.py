"""A caller's own key: a rejection that is asked for again under it gives the result of the first run."""

import hashlib
import json
import re
from dataclasses import dataclass

from orderctl.domain.errors import UnexpectedPlanError, UsageError
from orderctl.domain.selection import Choice, FilterScope, IdScope
from orderctl.language import say

LONGEST_KEY = 200
_KEY = re.compile(rf"[!-~]{{1,{LONGEST_KEY}}}", re.ASCII)


class KeyUsedError(UnexpectedPlanError):
    """Another run under the same key was first; nothing was changed by this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKey:
    """A key, and a digest of what was asked for under it."""

    key: str
    digest: str

    @classmethod
    def of(cls, key: str, choice: Choice, **options: str | bool | None) -> "RequestKey":
        """The key of a call that asks for this, as it was written. Raises UsageError."""
        if not _KEY.fullmatch(key):
            raise UsageError(
                say("--key {key!r} is no key", key=key),
                hint=say(
                    "1 to {most} letters, digits and signs of ASCII without spaces, as in NIGHT-2026-11-28",
                    most=LONGEST_KEY,
                ),
            )
        # The digest is kept with the batch: what goes into it stays as it is.
        document = {**_chosen(choice), "except": sorted(choice.excluded.ids), **options}
        return cls(key=key, digest=hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest())


def _chosen(choice: Choice) -> dict[str, object]:
    """The orders as they were asked for: what a filter finds changes with every rejection."""
    scope = choice.scope
    if isinstance(scope, IdScope):
        return {"ids": sorted(scope.given.ids), "notes": scope.given.notes.packed}
    if isinstance(scope, FilterScope):
        return {"filter": scope.filter.text}
    return {"selection": scope.name, "actor": scope.actor}
