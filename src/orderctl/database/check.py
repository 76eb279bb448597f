"""Checks of the store: its file, its schema, its guards and its contents."""

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from orderctl.database.address import Address
from orderctl.database.connection import IS_DISTRIBUTED, Connection
from orderctl.database.guards.statements import guard_statements
from orderctl.database.store import CURRENT, Engine, check_revision, make_engine
from orderctl.errors import ExitCode, OrderctlError, StoreUnavailableError
from orderctl.language import N_, _, enumerated


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check: its name, whether it passed, and what was found.

    `exit_code` is for a run that finds nothing worse than this check, which did not pass.
    """

    name: str
    ok: bool
    detail: str
    exit_code: ExitCode = ExitCode.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What the checks of a store or of its settings found: the JSON document and the exit code are made from it."""

    checks: tuple[Check, ...]

    @property
    def wrong(self) -> int:
        """How many checks did not pass."""
        return sum(not check.ok for check in self.checks)

    @property
    def exit_code(self) -> ExitCode:
        """The highest one of the checks that did not pass."""
        return max((check.exit_code for check in self.checks if not check.ok), default=ExitCode.DONE)


_TRIGGER = re.compile(r"\ACREATE TRIGGER (\w+) ")
_FUNCTION = re.compile(r"\ACREATE FUNCTION (\w+)\(.*?\$\$(.*)\$\$\Z", re.DOTALL)
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_OF_ORDER = "NOT EXISTS (SELECT 1 FROM orders AS o WHERE o.account = :account AND o.id = t.order_id)"
_NO_BATCH = "NOT EXISTS (SELECT 1 FROM batch AS b WHERE b.account = :account AND b.id = t.batch_id)"
_NO_BUYER = "NOT EXISTS (SELECT 1 FROM buyer AS b WHERE b.account = :account AND b.id = t.buyer_id)"
_FOR_AUDITOR = "(t.batch_id = '' AND t.buyer_id = '')"  # a checkpoint is of no batch
_TELLS = "EXISTS (SELECT 1 FROM mail_order AS m WHERE m.account = :account AND m.mail_id = t.id)"
_ORPHANS = {
    N_("{number:,} lines"): ("order_line", _OF_ORDER),
    N_("{number:,} tags"): ("order_tag", _OF_ORDER),
    N_("{number:,} events"): ("order_event", _OF_ORDER),
    N_("{number:,} words of sources"): ("order_source", _OF_ORDER),
    N_("{number:,} selected orders"): ("selection_item", _OF_ORDER),
    N_("{number:,} verdicts"): ("batch_verdict", _NO_BATCH),
    N_("{number:,} origins of ids"): ("batch_origin", _NO_BATCH),
    N_("{number:,} mailed orders"): (
        "mail_order",
        f"{_OF_ORDER} OR NOT EXISTS (SELECT 1 FROM mail AS m WHERE m.account = :account AND m.id = t.mail_id)",
    ),
    N_("{number:,} mails"): (
        "mail",
        f"NOT {_FOR_AUDITOR} AND ({_NO_BATCH} OR NOT {_TELLS})",
    ),
    N_("{number:,} orders of unknown buyers"): ("orders", f"t.buyer_id IS NOT NULL AND {_NO_BUYER}"),
}


def check_store(address: Address, account: str, *, quick: bool) -> Iterator[Check]:
    """Check the store; `quick` skips what reads every row. Stops where further checks would mean nothing.

    Raises StoreUnavailableError if the store cannot be reached.
    """
    engine = make_engine(address)
    try:
        if address.path is not None:
            yield from _file(address)
        with engine.translating(), engine.reading(account) as connection:
            revision = _revision(connection, engine)
            yield revision
            if revision.ok:
                yield _guards(connection)
                yield from () if quick else _contents(connection)
    except OrderctlError as error:
        # A damaged file is a result of the check. Trying again later does not help.
        if not getattr(error.__cause__, "sqlite_errorname", "").startswith(_DAMAGED):
            raise
        yield Check("integrity", ok=False, detail=error.message)
    finally:
        engine.close()


def _file(address: Address) -> Iterator[Check]:
    """Check that only the owner may access the store's file and the files that SQLite keeps beside it."""
    path = address.path
    if path is None or not path.is_file():
        return
    files = (path, *(path.with_name(f"{path.name}{ending}") for ending in ("-wal", "-shm")))
    shared = [file.name for file in files if file.exists() and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    found = (
        _("others may open {files}: chmod 600", files=", ".join(shared)) if shared else _("only its owner may open it")
    )
    yield Check("file", ok=not shared, detail=found)


def _revision(connection: Connection, engine: Engine) -> Check:
    try:
        check_revision(connection, engine.shown)
    except StoreUnavailableError as error:
        return Check("account", ok=False, detail=error.sentence)
    except OrderctlError as error:
        return Check("schema", ok=False, detail=error.sentence)
    return Check("schema", ok=True, detail=_("revision {revision}", revision=CURRENT))


def _guards(connection: Connection) -> Check:
    """Check that every trigger is there, unchanged and enabled."""
    expected = guard_statements(connection.dialect.name, int(CURRENT))
    check = _sqlite_guards if connection.dialect.name == "sqlite" else _postgres_guards
    wrong = list(check(connection, expected))
    if connection.dialect.name != "sqlite":
        wrong += _unprotected(connection)
    count = sum(1 for statement in expected if _TRIGGER.match(statement))
    found = (
        _("the store does not guard itself: {triggers}", triggers=enumerated(wrong))
        if wrong
        else _("{count} triggers there and on", count=count)
    )
    if _has_shards(connection):
        found += _("; those of the shards were not looked at")
    return Check("guards", ok=not wrong, detail=found)


def _has_shards(connection: Connection) -> bool:
    if connection.dialect.name == "sqlite":
        return False
    return connection.execute(f"SELECT 1 WHERE {IS_DISTRIBUTED}").fetchone() is not None


def _sqlite_guards(connection: Connection, expected: tuple[str, ...]) -> Iterator[str]:
    there: dict[str, str] = dict(
        connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    )
    for statement in expected:
        name = _name(_TRIGGER, statement)
        if name not in there:
            yield _("{name} is missing", name=name)
        elif there[name] != statement:
            yield _("{name} was altered", name=name)


def _postgres_guards(connection: Connection, expected: tuple[str, ...]) -> Iterator[str]:
    there: dict[str, str] = dict(
        connection.execute(
            "SELECT t.tgname, t.tgenabled::text FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid"
            " WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace"
        ).fetchall()
    )
    bodies: dict[str, str] = dict(
        connection.execute(
            "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
        ).fetchall()
    )
    for statement in expected:
        if name := _name(_TRIGGER, statement):
            if name not in there:
                yield _("{name} is missing", name=name)
            elif there[name] != "A":
                off = there[name] == "D"
                yield _("{name} is switched off", name=name) if off else _("{name} is not always on", name=name)
        elif made := _FUNCTION.match(statement):
            if made[1] not in bodies:
                yield _("{name} is missing", name=f"{made[1]}()")
            elif bodies[made[1]] != made[2]:
                yield _("{name} was altered", name=f"{made[1]}()")


def _unprotected(connection: Connection) -> Iterator[str]:
    """The tables that do not hold each login to its accounts, by the one policy that all of them share.

    Restrictive policies, such as those of the roles, only take away.
    """
    found = connection.execute(
        "SELECT c.relname, c.relrowsecurity AND (c.relforcerowsecurity OR c.relname = 'member'),"
        " array_agg(p.polname || ' ' || pg_get_expr(p.polqual, p.polrelid))"
        " FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'account'"
        " LEFT JOIN pg_policy AS p ON p.polrelid = c.oid AND p.polpermissive"
        " WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace GROUP BY c.oid ORDER BY c.relname"
    ).fetchall()
    policies = {table: policy for table, _on, policy in found}
    for table, is_on, policy in found:
        if not is_on or policy[0] is None:
            yield _("{name} is switched off", name=f"row level security of {table}")
        elif table != "member" and policy != policies.get("orders"):
            yield _("{name} was altered", name=f"of_members on {table}")


def _name(pattern: re.Pattern[str], statement: str) -> str:
    found = pattern.match(statement)
    return found[1] if found else ""


def _contents(connection: Connection) -> Iterator[Check]:
    if connection.dialect.name == "sqlite":
        found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(5)").fetchall()]
        sound = found == ["ok"]
        yield Check("integrity", ok=sound, detail=_("SQLite finds nothing wrong") if sound else "; ".join(found))
        broken = len(connection.execute("PRAGMA foreign_key_check").fetchall())
    else:
        row = connection.execute(
            "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND NOT convalidated"
        ).fetchone()
        broken = int(row[0]) if row else 0
    yield Check(
        "references",
        ok=not broken,
        detail=_("{number:,} broken", number=broken) if broken else _("every reference holds"),
    )
    yield _orphans(connection)


def _orphans(connection: Connection) -> Check:
    """Look for rows of the account whose parent row is missing."""
    found = []
    for name, (table, condition) in _ORPHANS.items():
        row = connection.execute(
            f"SELECT count(*) FROM {table} AS t WHERE t.account = :account AND ({condition})"
        ).fetchone()
        if row and row[0]:
            found.append(_(name, number=row[0]))
    return Check("orphans", ok=not found, detail=enumerated(found) or _("none"))
