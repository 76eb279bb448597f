"""The triggers that protect the store: rejected orders are final, logs are append-only, values have bounds.

They are the last of several layers (design.md, section 5b): the guarded `UPDATE`, the CHECKs and the grants come before
them. A migration that changes a guarded table drops its triggers and creates them again. What they refuse is in
`conditions`, how each engine says it in `sqlite` and `postgresql`.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from orderctl.database.guards import postgresql, sqlite
from orderctl.database.guards.conditions import (
    APPEND_ONLY,
    BECOMES_REJECTED,
    BY_THE_RULES,
    NEVER_REJECTED,
    NUMBERS,
    OUT_OF_BOUNDS,
    YEARS,
)
from orderctl.database.guards.recording import recording

# The columns that archiving changes are missing here: a rejected order may still be archived.
_FROZEN = [
    "account",
    "id",
    "buyer_id",
    "brand",
    "status",
    "reference",
    "season",
    "ordered_at",
    "terms",
    "delivery_address",
    "billing_address",
    "country",
    "delivery_from",
    "delivery_to",
    "currency",
    "total",
    "quantity",
    "delivery_notes",
    "invoices",
    "backlog_skus",
    "note",
    "folded",
    "fingerprint",
    "rejected_at",
    "batch_id",
    "lines_digest",
    "gone_at",
]
# Columns and tables that a later migration adds. The guards of earlier migrations cannot name them.
OF_0027 = ("mails_digest",)
OF_0024 = ("to_recipient", *OF_0027)
OF_0022 = ("writeback", *OF_0024)
OF_0021 = ("actor_login", "events_digest", *OF_0022)
OF_0020 = ("erasure", *OF_0021)
OF_0019 = ("act", *OF_0020)
OF_0018 = ("member", *OF_0019)
OF_0017 = ("policy", *OF_0018)
OF_0016 = ("batch_verdict", "batch_origin", *OF_0017)
OF_0013 = ("gone_at", *OF_0016)
OF_0011 = ("lines_digest", *OF_0013)
_FIRST_LOGS = {"batch": ("account", "id"), "order_event": ("account", "order_id", "id")}
_LATER_LOGS = {"mail_event": ("account", "mail_id", "id")}
# What a batch remembers of the ids it was asked about; written before the batch itself.
_MEMORY = {"batch_verdict": ("account", "batch_id", "order_id"), "batch_origin": ("account", "batch_id", "number")}
_LOGS_OF_0017 = {"policy": ("account", "position")}
_LOGS_OF_0018 = {"member": ("account", "login", "number")}
_LOGS_OF_0019 = {"act": ("account", "position")}
_LOGS_OF_0020 = {"erasure": ("account", "position")}
_LOGS_OF_0022 = {"writeback_event": ("account", "writeback_id", "id")}
_LOGS = (
    _FIRST_LOGS | _LATER_LOGS | _MEMORY | _LOGS_OF_0017 | _LOGS_OF_0018 | _LOGS_OF_0019 | _LOGS_OF_0020 | _LOGS_OF_0022
)


def create_guards(dialect: str, execute: Callable[[str], object]) -> None:
    """Create the triggers of the first schema, on the engine named `sqlite` or `postgresql`."""
    for statement in _first(dialect, OF_0011):
        execute(statement)


def create_log_guards(dialect: str, log: str, execute: Callable[[str], object]) -> None:
    """Create the triggers of a log that a later migration adds."""
    for statement in _of_log(dialect, log, erasing=False):
        execute(statement)


def renew_guards(dialect: str, execute: Callable[[str], object], *, without: Sequence[str] = ()) -> None:
    """Replace the guards of a store by those of today; `without` names columns and tables that a later one adds."""
    statements = guard_statements(dialect, without)
    for statement in statements:
        if made := _TRIGGER.match(statement):
            on_table = f" ON {made['table']}" if dialect == "postgresql" else ""
            execute(f"DROP TRIGGER IF EXISTS {made['name']}{on_table}")
    for statement in statements:
        execute(statement.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))


def guard_statements(dialect: str, without: Sequence[str] = ()) -> tuple[str, ...]:
    """The statements that create the guards. A check compares them with the store."""
    erasing = not set(OF_0020) <= set(without)
    later = (statement for log in _LATER_LOGS for statement in _of_log(dialect, log, erasing=erasing))
    with_policy = not set(OF_0017) <= set(without)
    return (
        *_first(dialect, without),
        *later,
        *_bounds(dialect),
        *_mails(dialect, without),
        *_request_key(dialect),
        *_by_a_batch(dialect, with_policy=with_policy),
        *(() if set(OF_0013) <= set(without) else _gone(dialect)),
        *(() if set(OF_0016) <= set(without) else _memory(dialect, erasing=erasing)),
        *(_policy(dialect) if with_policy else ()),
        *(() if set(OF_0018) <= set(without) else _members(dialect)),
        *(() if set(OF_0019) <= set(without) else _acts(dialect, erasing=erasing)),
        *(_erased(dialect) if erasing else ()),
        *(() if set(OF_0021) <= set(without) else _recording(dialect, without)),
        *(() if set(OF_0022) <= set(without) else _writebacks(dialect)),
    )


_TRIGGER = re.compile(r"CREATE TRIGGER (?P<name>\w+) .*? ON (?P<table>\w+) (?:FOR EACH|REFERENCING) ")


def _first(dialect: str, without: Sequence[str]) -> Iterator[str]:
    frozen = [column for column in _FROZEN if column not in without]
    erasing = not set(OF_0020) <= set(without)
    yield from (
        sqlite.first(frozen, erasing=erasing) if dialect == "sqlite" else postgresql.first(frozen, erasing=erasing)
    )
    for log in _FIRST_LOGS:
        yield from _of_log(dialect, log, erasing=erasing)


def _of_log(dialect: str, log: str, *, erasing: bool) -> Iterator[str]:
    if dialect == "sqlite":
        return sqlite.append_only(log, _LOGS[log], erasing=erasing)
    return postgresql.append_only(log, erasing=erasing)


def _bounds(dialect: str) -> Iterator[str]:
    for table in NUMBERS:
        yield from sqlite.bounds(table) if dialect == "sqlite" else postgresql.bounds(table)
    yield from sqlite.place() if dialect == "sqlite" else postgresql.place()


def _mails(dialect: str, without: Sequence[str]) -> Iterator[str]:
    mails = sqlite.mails if dialect == "sqlite" else postgresql.mails
    yield from mails(
        erasing=not set(OF_0020) <= set(without),
        with_bounces=not set(OF_0024) <= set(without),
        with_digests=not set(OF_0027) <= set(without),
    )


def _writebacks(dialect: str) -> Iterator[str]:
    yield from _of_log(dialect, "writeback_event", erasing=True)
    yield from sqlite.writebacks() if dialect == "sqlite" else postgresql.writebacks()


def _by_a_batch(dialect: str, *, with_policy: bool) -> Iterator[str]:
    """An existing order becomes rejected only together with the event of its batch."""
    yield from (
        sqlite.by_a_batch(with_policy=with_policy)
        if dialect == "sqlite"
        else postgresql.by_a_batch(with_policy=with_policy)
    )


def _policy(dialect: str) -> Iterator[str]:
    """The rules of rejecting, and the policy of the store, for each batch, whatever program writes it."""
    for log in _LOGS_OF_0017:
        yield from _of_log(dialect, log, erasing=False)
    forbidden = f"{BECOMES_REJECTED} AND ({NEVER_REJECTED})"
    if dialect == "sqlite":
        yield sqlite.trigger("orders_by_the_rules", "UPDATE OF status ON orders", forbidden, BY_THE_RULES)
        yield from sqlite.policy()
    else:
        yield from postgresql.trigger("orders", "orders_by_the_rules", "UPDATE", forbidden, BY_THE_RULES)
        yield from postgresql.policy()


def _members(dialect: str) -> Iterator[str]:
    """Who was a member of an account is kept. On PostgreSQL a mail goes to its buyer, and is queued with its batch."""
    for log in _LOGS_OF_0018:
        yield from _of_log(dialect, log, erasing=False)
    if dialect == "postgresql":
        yield from postgresql.recipients()


def _acts(dialect: str, *, erasing: bool) -> Iterator[str]:
    """Acts are added at the end of their chain."""
    for log in _LOGS_OF_0019:
        yield from _of_log(dialect, log, erasing=erasing)
    yield from sqlite.acts() if dialect == "sqlite" else postgresql.acts()


def _erased(dialect: str) -> Iterator[str]:
    """Erasures are recorded for good, and a buyer who was erased stays so."""
    for log in _LOGS_OF_0020:
        yield from _of_log(dialect, log, erasing=False)
    yield from sqlite.erased() if dialect == "sqlite" else postgresql.erased()


def _recording(dialect: str, without: Sequence[str]) -> Iterator[str]:
    """Who recorded something and when, and that a batch is whole. SQLite knows neither logins nor SHA-256."""
    record = sqlite.recording if dialect == "sqlite" else recording
    yield from record(with_mails=not set(OF_0027) <= set(without))


def _gone(dialect: str) -> Iterator[str]:
    """Since when an order is gone can be read. A rejection does not change this column, and is not checked for it."""
    for name, event in {"orders_gone_insert": "INSERT", "orders_gone_update": "UPDATE OF gone_at"}.items():
        if dialect == "sqlite":
            wrong = sqlite.no_time("gone_at", "%Y-%m-%dT%H:%M:%S", 27)
            yield sqlite.trigger(name, f"{event} ON orders", wrong, OUT_OF_BOUNDS)
        else:
            wrong = f"NEW.gone_at NOT BETWEEN '{YEARS[0]}' AND '{YEARS[1]}'"
            yield from postgresql.trigger("orders", name, event, wrong, OUT_OF_BOUNDS)


def _request_key(dialect: str) -> Iterator[str]:
    """The guard of the request key, which was added later. PostgreSQL needs none: it has no REPLACE."""
    if dialect == "sqlite":
        there = "EXISTS (SELECT 1 FROM batch WHERE account = NEW.account AND request_key = NEW.request_key)"
        yield sqlite.trigger("batch_append_only_key", "INSERT ON batch", there, APPEND_ONLY)


def _memory(dialect: str, *, erasing: bool) -> Iterator[str]:
    """What a batch remembers is append-only, and nothing is added once the batch is there."""
    if dialect == "postgresql":
        yield (
            "CREATE FUNCTION orderctl_refuse_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF EXISTS (SELECT 1"
            " FROM batch AS b JOIN (SELECT DISTINCT account, batch_id FROM added) AS a ON a.account = b.account"
            " AND a.batch_id = b.id) THEN RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE ="
            " 'integrity_constraint_violation'; END IF; RETURN NULL; END $$"
        )
        yield postgresql.own_tables("orderctl_refuse_late")
    for table in _MEMORY:
        yield from _of_log(dialect, table, erasing=erasing)
        if dialect == "sqlite":
            late = "EXISTS (SELECT 1 FROM batch WHERE account = NEW.account AND id = NEW.batch_id)"
            yield sqlite.trigger(f"{table}_append_only_late", f"INSERT ON {table}", late, APPEND_ONLY)
            continue
        # Once for each statement, as for `mail_order`.
        yield (
            f"CREATE TRIGGER {table}_append_only_late AFTER INSERT ON {table} REFERENCING NEW TABLE AS added"
            f" FOR EACH STATEMENT EXECUTE FUNCTION orderctl_refuse_late('{APPEND_ONLY}')"
        )
        yield f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only_late"
