"""Who acts: the operator as the program knows them, and the login to the database (design.md, section 2)."""

from __future__ import annotations

from dataclasses import dataclass

from orderctl.core.text import fold


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """An actor; `login` is the database's name for the connected user, empty on SQLite."""

    actor: str
    login: str = ""

    def __str__(self) -> str:
        """As in the log: `mia (db: ops)`."""
        return f"{self.actor} (db: {self.login})" if self.login else self.actor

    def may_be(self, other: Identity) -> bool:
        """Whether both may be one person: the same name in any case, or the same database login."""
        same_name = fold(self.actor.strip()) == fold(other.actor.strip())
        return same_name or bool(self.login and self.login == other.login)
