"""The triggers that protect the store: rejected orders are final, logs are append-only, values have bounds.

They are the last of several layers (design.md, section 5b): the guarded `UPDATE`, the CHECKs and the grants come before
them. A migration that changes a guarded table drops its triggers and creates them again. What they refuse is in
`conditions`, how each engine says it in `sqlite` and `postgresql`.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from orderctl.database.guards import postgresql, recording, sqlite
from orderctl.database.guards.conditions import NUMBERS

# The columns that archiving changes are missing here: a rejected order may still be archived.
_FROZEN = (
    *("account", "id", "buyer_id", "brand", "status", "reference", "season", "ordered_at", "terms"),
    *("delivery_address", "billing_address", "country", "delivery_from", "delivery_to", "currency", "total"),
    *("quantity", "delivery_notes", "invoices", "backlog_skus", "note", "folded", "fingerprint"),
    *("rejected_at", "batch_id", "lines_digest", "gone_at"),
)
# Those that a later revision added. The guards of earlier ones cannot name them.
_ADDED = {"lines_digest": 11, "gone_at": 13}
_TRIGGER = re.compile(r"CREATE TRIGGER (?P<name>\w+) .*? ON (?P<table>\w+) (?:FOR EACH|REFERENCING) ")


def create_guards(dialect: str, execute: Callable[[str], object]) -> None:
    """Create the triggers of the first schema, on the engine named `sqlite` or `postgresql`."""
    for statement in chain.from_iterable(_first(dialect, 1)):
        execute(statement)


def create_log_guards(dialect: str, log: str, execute: Callable[[str], object], revision: int) -> None:
    """Create the triggers of a log that a later revision adds."""
    for statement in _engine(dialect).append_only(log, revision):
        execute(statement)


def renew_guards(dialect: str, execute: Callable[[str], object], revision: int) -> None:
    """Replace the guards of a store by those of a revision, as they are written today."""
    statements = guard_statements(dialect, revision)
    for statement in statements:
        if made := _TRIGGER.match(statement):
            on_table = f" ON {made['table']}" if dialect == "postgresql" else ""
            execute(f"DROP TRIGGER IF EXISTS {made['name']}{on_table}")
    for statement in statements:
        execute(statement.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))


def guard_statements(dialect: str, revision: int) -> tuple[str, ...]:
    """The statements that create the guards of a revision. A check compares them with the store."""
    return tuple(chain.from_iterable([*_first(dialect, revision), *_later(dialect, revision)]))


def _engine(dialect: str) -> Any:  # noqa: ANN401 - one of two modules
    return sqlite if dialect == "sqlite" else postgresql


def _first(dialect: str, revision: int) -> Iterator[Iterable[str]]:
    engine = _engine(dialect)
    yield engine.first([column for column in _FROZEN if _ADDED.get(column, 1) <= revision], revision)
    for log in ("batch", "order_event"):
        yield engine.append_only(log, revision)


def _later(dialect: str, revision: int) -> Iterator[Iterable[str]]:
    """What the revisions since have guarded, in the order in which it came."""
    engine, is_sqlite = _engine(dialect), dialect == "sqlite"
    came = (
        (5, engine.append_only("mail_event", revision)),
        *((7, engine.bounds(table)) for table in NUMBERS),
        (7, engine.place()),
        (7, engine.mails(revision)),
        (7, sqlite.request_key() if is_sqlite else ()),
        (7, engine.by_a_batch(revision)),
        (13, engine.gone()),
        (16, engine.memory(revision)),
        (17, engine.append_only("policy", revision)),
        (17, engine.policy()),
        (18, engine.append_only("member", revision)),
        (18, () if is_sqlite else postgresql.recipients(revision)),
        (19, engine.append_only("act", revision)),
        (19, engine.acts()),
        (20, engine.append_only("erasure", revision)),
        (20, engine.erased(revision)),
        (21, sqlite.recording(revision) if is_sqlite else recording.recording(revision)),
        (22, engine.append_only("writeback_event", revision)),
        (22, engine.writebacks()),
    )
    return (statements for since, statements in came if since <= revision)
