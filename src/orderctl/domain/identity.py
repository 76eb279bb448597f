"""Who acts: the name that the program was given, and the one that the database knows for sure."""

from dataclasses import dataclass

from orderctl.domain.text import fold


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """An actor; `login` is the database's own name for who is connected, empty where it has none (SQLite)."""

    actor: str
    login: str = ""

    def __str__(self) -> str:
        """Write it as the log keeps it: `mia (db: ops)`."""
        return f"{self.actor} (db: {self.login})" if self.login else self.actor

    def may_be(self, other: "Identity") -> bool:
        """Whether both may be one person: one name, whatever its case, or one database login."""
        same_name = fold(self.actor.strip()) == fold(other.actor.strip())
        return same_name or bool(self.login and self.login == other.login)
