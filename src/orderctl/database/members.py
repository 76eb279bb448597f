"""The members of an account: which logins of PostgreSQL see and change it (design.md, section 6c)."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from datetime import datetime

from orderctl.database.acts import MEMBER_ACT, Act, can_record, record_act
from orderctl.database.clock import Clock
from orderctl.database.connection import Columns, Connection, read_instant
from orderctl.database.store import Store, login
from orderctl.errors import StoreUnavailableError, UsageError
from orderctl.language import _


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRecord:
    """What was done with a login: `add` or `remove`, when, by whom. `number` counts from 1 for each login."""

    login: str
    number: int
    action: str
    at: datetime
    actor: str
    actor_login: str

    @property
    def act(self) -> Act:
        """The act that tells of it."""
        kind, subject = f"{MEMBER_ACT}{self.action}", f"{self.login}/{self.number}"
        return Act(kind=kind, subject=subject, actor=self.actor, at=self.at).told_by([astuple(self)])

    @property
    def by(self) -> str:
        """Who did it, with the login of the database."""
        return f"{self.actor} (db: {self.actor_login})"


_COLUMNS = Columns("login, number, action, at, actor, actor_login", at=read_instant)


def member_history(connection: Connection) -> tuple[MemberRecord, ...]:
    """Everything that was done with the members of the account, newest first.

    Raises UsageError on SQLite, StoreUnavailableError for a login that is not the owner's: it would see its own rows.
    """
    _check_owner(connection)
    found = connection.execute(
        f"SELECT {_COLUMNS.sql} FROM member WHERE account = :account ORDER BY at DESC, number DESC, login"
    )
    return tuple(MemberRecord(**_COLUMNS.values(row)) for row in found)


def members_of(history: Iterable[MemberRecord]) -> tuple[MemberRecord, ...]:
    """Who is a member, by name: the newest record of each login, if it added it."""
    newest: dict[str, MemberRecord] = {}
    for record in history:
        if record.login not in newest or newest[record.login].number < record.number:
            newest[record.login] = record
    return tuple(newest[name] for name in sorted(newest) if newest[name].action == "add")


def join(store: Store, *, actor: str, clock: Clock) -> None:
    """Add the login that is connected: the owner, who made the store just now."""
    with store.snapshot() as connection:
        own = login(connection)
    change_member(store, own, "add", actor=actor, clock=clock, tell=False)


def change_member(
    store: Store, name: str, action: str, *, actor: str, clock: Clock, tell: bool = True
) -> MemberRecord | None:
    """`add` or `remove` a login; None if it is a member already, or none. `tell`: an act tells of it.

    Raises UsageError for a login that the server does not know, or on SQLite; StoreUnavailableError for a login that
    is not the owner's.
    """

    def keep(connection: Connection) -> MemberRecord | None:
        history = member_history(connection)
        is_member = any(record.login == name for record in members_of(history))
        if is_member == (action == "add"):
            return None
        if action == "add":
            _check_login(connection, name)
        record = MemberRecord(
            login=name,
            number=1 + max((record.number for record in history if record.login == name), default=0),
            action=action,
            at=clock.of(connection),
            actor=actor,
            actor_login=login(connection),
        )
        # An owner who leaves can write an act until then, and one who joins from then on.
        told = tell and can_record(connection)
        if told:
            record_act(connection, record.act)
        _COLUMNS.insert(connection, "member", record)
        if tell and not told:
            if can_record(connection):
                record_act(connection, record.act)
            elif any(each.login == record.actor_login for each in history):
                raise UsageError(
                    _(
                        "the login {login!r} is no member any more, and no act could tell of this",
                        login=record.actor_login,
                    ),
                    hint=_("add it first: orderctl member add {login}", login=record.actor_login),
                )
        return record

    return store.write(keep)


def _check_owner(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        raise UsageError(
            _("a SQLite store has no logins: who can write its file can do everything in it, to every account"),
            hint=_("guard the file, or use PostgreSQL: orderctl help postgresql"),
        )
    row = connection.execute(f"SELECT row_security_active('member'), {connection.dialect.login}").fetchone()
    if row and row[0]:
        raise StoreUnavailableError(
            _("the login {login!r} does not own the store, and its owner alone keeps the members", login=row[1]),
            hint=_("ask the owner: who ran orderctl store init"),
        )


def _check_login(connection: Connection, name: str) -> None:
    if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = :login", {"login": name}).fetchone() is None:
        raise UsageError(
            _("the server knows no login {name!r}", name=name),
            hint=_("make it first, as in: CREATE ROLE mia LOGIN IN ROLE orderctl_operator"),
        )
