"""The triggers that protect the store: rejected orders are final, logs are append-only, values have bounds.

They are the last of several layers (design.md, section 5b): the guarded `UPDATE`, the CHECKs and the grants come before
them. A migration that changes a guarded table drops its triggers and creates them again.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

FINAL = "a rejected order is final"
APPEND_ONLY = "the log is append-only"
OUT_OF_BOUNDS = "a value is out of its bounds"
MAIL_KEPT = "a queued mail keeps its recipient, its orders and its text, and a sent one is final"
MAIL_MOVED = "a mail does not go this way from state to state"
MAIL_UNLOGGED = "what an operator does with a mail is logged in mail_event"
IN_PLACE = "the log is append-only: a batch stands at the number after the last one"
BY_A_BATCH = "an order becomes rejected by a batch alone"
BY_THE_RULES = "an order becomes rejected by the rules of the mode of its batch"
OWN_LOGIN = "a plan names the login that wrote it, and not another"
# What the policy of the store refuses, in the order in which it is checked.
POLICY_ORDERS = "the policy of the store allows fewer orders a batch"
POLICY_AMOUNT = "the policy of the store allows less money a batch"
POLICY_REASON = "the policy of the store wants a reason"
POLICY_CODE = "the policy of the store wants a reason with one of its codes"
POLICY_HOURS = "the policy of the store allows no batch at this hour"
POLICY_SECOND = "the policy of the store wants the approval of another operator"
# Far below the limits of the types: a sum of totals, or a version plus one, must not overflow.
_AMOUNTS = 10**15
_COUNTS = 2**31 - 1
FIRST_VERSIONS = 10**9
_ATTEMPTS = 10**6
# A new order that is imported as rejected has this version until its status is set, so that no batch rejects it. Later
# versions are higher.
ARRIVING = 0
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
OF_0017 = ("policy",)
OF_0016 = ("batch_verdict", "batch_origin", *OF_0017)
OF_0013 = ("gone_at", *OF_0016)
OF_0011 = ("lines_digest", *OF_0013)
_FIRST_LOGS = {"batch": ("account", "id"), "order_event": ("account", "order_id", "id")}
_LATER_LOGS = {"mail_event": ("account", "mail_id", "id")}
# What a batch remembers of the ids it was asked about; written before the batch itself.
_MEMORY = {"batch_verdict": ("account", "batch_id", "order_id"), "batch_origin": ("account", "batch_id", "number")}
_LOGS_OF_0017 = {"policy": ("account", "position")}
_LOGS = _FIRST_LOGS | _LATER_LOGS | _MEMORY | _LOGS_OF_0017
_MAIL_KEEPS = ("account", "id", "batch_id", "buyer_id", "recipient", "language", "message_id", "created_at")
_LETTER = ("subject", "text", "html")
# A worker whose lease ran out finds its mail `unknown`, and still has its token.
_BY_SENDER = {
    "OLD.state IN ('waiting', 'retry')": ("claimed",),
    "OLD.state = 'claimed'": ("waiting", "retry", "sending", "refused", "unknown"),
    "OLD.state = 'sending'": ("waiting", "retry", "sent", "refused", "unknown"),
    "OLD.state = 'unknown' AND OLD.token IS NOT NULL": ("waiting", "retry", "sent", "refused"),
}
_BY_OPERATOR = {
    "OLD.state IN ('waiting', 'retry', 'claimed')": ("cancelled",),
    "OLD.state IN ('retry', 'refused', 'cancelled', 'unknown')": ("waiting",),
    "OLD.state = 'unknown'": ("sent", "refused"),
}
_LOGGED = (
    "SELECT 1 FROM mail_event WHERE account = NEW.account AND mail_id = NEW.id AND from_state = OLD.state"
    " AND to_state = NEW.state AND at = NEW.updated_at"
)
# A batch is written after its mails. The id of a mail is the id of its batch, a point and a number.
_OF_BATCH = (
    "SELECT 1 FROM batch AS b JOIN (SELECT DISTINCT account, split_part(mail_id, '.', 1) AS batch_id FROM added) AS a"
    " ON a.account = b.account AND a.batch_id = b.id"
)
# One row with such a value would break every later run: sums overflow, and dates cannot be read.
_NUMBERS = {
    "orders": {
        "total": (-_AMOUNTS, _AMOUNTS),
        "quantity": (-_AMOUNTS, _AMOUNTS),
        "delivery_notes": (0, _COUNTS),
        "invoices": (0, _COUNTS),
        "backlog_skus": (0, _COUNTS),
    },
    "order_line": {
        "number": (0, _COUNTS),
        "quantity": (-_AMOUNTS, _AMOUNTS),
        "unit_price": (-_AMOUNTS, _AMOUNTS),
    },
    "batch": {
        "planned": (0, _COUNTS),
        "rejected": (0, _COUNTS),
        "skipped": (0, _COUNTS),
        "mails": (0, _COUNTS),
        "mail_per_order": (0, 1),
    },
    "mail": {"attempts": (0, _ATTEMPTS)},
}
_INSTANTS = {
    "orders": ("ordered_at", "archived_at", "rejected_at", "changed_at"),
    "batch": ("at",),
    "mail": ("next_attempt_at", "lease_until", "created_at", "updated_at"),
}
_DAYS = {"orders": ("delivery_from", "delivery_to")}
# An attempt that did not take place is taken back.
_ONE_ATTEMPT = "NEW.attempts NOT BETWEEN OLD.attempts - 1 AND OLD.attempts + 1"
# `UPDATE OF` fires only for the name that a statement uses, so each name of the rowid is listed.
_ROWIDS = "rowid, _rowid_, oid"
_YEARS = ("0001-01-02", "9999-12-30")
# Later rejections depend on these. SQLite would store a blob in a text column.
_BATCH_TEXTS = ("account", "id", "digest", "previous")
_BECOMES_REJECTED = f"NEW.status = 'rejected' AND OLD.status <> 'rejected' AND OLD.version <> {ARRIVING}"
_EVENT_OF_BATCH = (
    "account = NEW.account AND order_id = NEW.id AND id = NEW.batch_id AND batch_id = NEW.batch_id"
    " AND to_status = 'rejected'"
)
# What `eligibility.RULES` says, which this room may not import; a test compares them. Over the row before the change.
NEVER_REJECTED = (
    "OLD.status = 'returned-to-cart' OR OLD.gone_at IS NOT NULL"
    " OR OLD.invoices > 0 OR OLD.delivery_notes > 0 OR OLD.backlog_skus > 0"
)
SINGLY_REJECTED = "'oc-approved', 'oc-declined', 'oc-confirmed'"
# The index `ix_order_event_singly` answers this: few events are of such an order.
_SINGLY_IN_BULK = (
    "NEW.mode = 'bulk' AND EXISTS (SELECT 1 FROM order_event WHERE account = NEW.account AND batch_id = NEW.id"
    f" AND from_status IN ({SINGLY_REJECTED}))"
)
_IN_BATCH = "account = NEW.account AND batch_id = NEW.id"
_EVENTS_IN_BATCH = (
    "SELECT 1 FROM orders AS o JOIN order_event AS e ON e.account = o.account AND e.order_id = o.id"
    " AND e.id = o.batch_id WHERE o.account = NEW.account AND o.batch_id = NEW.id"
)
_NO_REASON = f"EXISTS ({_EVENTS_IN_BATCH} AND e.detail = '' AND e.reason_code = '')"


def create_guards(dialect: str, execute: Callable[[str], object]) -> None:
    """Create the triggers of the first schema, on the engine named `sqlite` or `postgresql`."""
    for statement in _first(dialect, OF_0011):
        execute(statement)


def create_log_guards(dialect: str, log: str, execute: Callable[[str], object]) -> None:
    """Create the triggers of a log that a later migration adds."""
    for statement in _of_log(dialect, log):
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
    later = (statement for log in _LATER_LOGS for statement in _of_log(dialect, log))
    with_policy = not set(OF_0017) <= set(without)
    return (
        *_first(dialect, without),
        *later,
        *_bounds(dialect),
        *_mails(dialect),
        *_request_key(dialect),
        *_by_a_batch(dialect, with_policy=with_policy),
        *(() if set(OF_0013) <= set(without) else _gone(dialect)),
        *(() if set(OF_0016) <= set(without) else _memory(dialect)),
        *(_policy(dialect) if with_policy else ()),
    )


_TRIGGER = re.compile(r"CREATE TRIGGER (?P<name>\w+) .*? ON (?P<table>\w+) (?:FOR EACH|REFERENCING) ")


def _first(dialect: str, without: Sequence[str]) -> Iterator[str]:
    frozen = [column for column in _FROZEN if column not in without]
    yield from _sqlite(frozen) if dialect == "sqlite" else _postgresql(frozen)
    for log in _FIRST_LOGS:
        yield from _of_log(dialect, log)


def _of_log(dialect: str, log: str) -> Iterator[str]:
    return _sqlite_log(log, _LOGS[log]) if dialect == "sqlite" else _pg_log(log)


def _bounds(dialect: str) -> Iterator[str]:
    for table in _NUMBERS:
        yield from _sqlite_bounds(table) if dialect == "sqlite" else _pg_bounds(table)
    yield from _sqlite_place() if dialect == "sqlite" else _pg_place()


def _mails(dialect: str) -> Iterator[str]:
    yield from _sqlite_mails() if dialect == "sqlite" else _pg_mails()


def _mail_changed(differs: str) -> str:
    """The mail was already sent, or a column changed that must stay."""
    return _any(
        [
            "OLD.state = 'sent'",
            *(f"NEW.{column} {differs} OLD.{column}" for column in _MAIL_KEEPS),
            *(f"OLD.{column} IS NOT NULL AND NEW.{column} {differs} OLD.{column}" for column in _LETTER),
        ]
    )


def _mail_moved(differs: str) -> str:
    """The change of state is not allowed, or the token does not come from a claim."""
    moved = f"NEW.state <> OLD.state AND NOT ({_moves(_BY_SENDER)} OR {_moves(_BY_OPERATOR)})"
    claimed = "NEW.state = 'claimed' AND OLD.state IN ('waiting', 'retry')"
    taken = f"NEW.token IS NOT NULL AND NEW.token {differs} OLD.token AND NOT ({claimed})"
    return f"OLD.state <> 'sent' AND ({_any([moved, taken])})"


def _mail_acted_on() -> str:
    """An operator made this change, not a worker, so the log of the mail must have a line for it."""
    waits = "NEW.state = OLD.state AND OLD.state IN ('waiting', 'retry')"
    put_off = f"{waits} AND NEW.next_attempt_at <> OLD.next_attempt_at"
    return _any([f"({_moves(_BY_OPERATOR)}) AND NOT ({_moves(_BY_SENDER)})", put_off])


def _moves(allowed: Mapping[str, tuple[str, ...]]) -> str:
    return _any(f"{was} AND NEW.state IN ({', '.join(map(repr, states))})" for was, states in allowed.items())


def _by_a_batch(dialect: str, *, with_policy: bool) -> Iterator[str]:
    """An existing order becomes rejected only together with the event of its batch."""
    yield from (
        _sqlite_by_a_batch(with_policy=with_policy) if dialect == "sqlite" else _pg_by_a_batch(with_policy=with_policy)
    )


def _policy(dialect: str) -> Iterator[str]:
    """The rules of rejecting, and the policy of the store, for each batch, whatever program writes it."""
    for log in _LOGS_OF_0017:
        yield from _of_log(dialect, log)
    forbidden = f"{_BECOMES_REJECTED} AND ({NEVER_REJECTED})"
    if dialect == "sqlite":
        yield _sqlite_trigger("orders_by_the_rules", "UPDATE OF status ON orders", forbidden, BY_THE_RULES)
        yield from _sqlite_policy()
    else:
        yield from _pg_trigger("orders", "orders_by_the_rules", "UPDATE", forbidden, BY_THE_RULES)
        yield from _pg_policy()


def _sqlite(frozen: list[str]) -> Iterator[str]:
    """The triggers of the first schema on SQLite.

    REPLACE deletes the row that has the new row's key, and fires no DELETE trigger unless a connection asks for it. So
    every trigger on new rows looks for a row that would be replaced, by each key of the table and by the rowid.
    """
    yield from _sqlite_orders(frozen)
    yield from _sqlite_lines()


def _sqlite_orders(frozen: list[str]) -> Iterator[str]:
    changed = " OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in [*frozen, "rowid"])
    there = (
        "EXISTS (SELECT 1 FROM orders WHERE account = NEW.account AND id = NEW.id AND status = 'rejected')"
        " OR EXISTS (SELECT 1 FROM orders WHERE rowid = NEW.rowid AND status = 'rejected')"
    )
    moved = "NEW.id IS NOT OLD.id OR NEW.account IS NOT OLD.account OR NEW.rowid IS NOT OLD.rowid"
    # The first trigger refuses to change a rejected order, the second to replace one.
    yield _sqlite_trigger("orders_final_update", "UPDATE ON orders", f"OLD.status = 'rejected' AND ({changed})", FINAL)
    yield _sqlite_trigger(
        "orders_final_move", f"UPDATE OF account, id, {_ROWIDS} ON orders", f"({moved}) AND ({there})", FINAL
    )
    yield _sqlite_trigger("orders_final_delete", "DELETE ON orders", "OLD.status = 'rejected'", FINAL)
    yield _sqlite_trigger("orders_final_insert", "INSERT ON orders", there, FINAL)


def _sqlite_lines() -> Iterator[str]:
    def of(row: str) -> str:
        mine = f"account = {row}.account AND id = {row}.order_id"
        return f"EXISTS (SELECT 1 FROM orders WHERE {mine} AND status = 'rejected')"

    there = (
        "EXISTS (SELECT 1 FROM order_line AS l JOIN orders AS o ON o.account = l.account AND o.id = l.order_id"
        " WHERE l.rowid = NEW.rowid AND o.status = 'rejected')"
    )
    moved = "NEW.order_id IS NOT OLD.order_id OR NEW.account IS NOT OLD.account"
    update = f"{of('OLD')} OR (({moved}) AND {of('NEW')}) OR (NEW.rowid IS NOT OLD.rowid AND {there})"
    yield _sqlite_trigger("order_line_final_insert", "INSERT ON order_line", f"{of('NEW')} OR {there}", FINAL)
    yield _sqlite_trigger("order_line_final_update", "UPDATE ON order_line", update, FINAL)
    yield _sqlite_trigger("order_line_final_delete", "DELETE ON order_line", of("OLD"), FINAL)


def _sqlite_bounds(table: str) -> Iterator[str]:
    wrong = {
        **{
            column: f"typeof(NEW.{column}) <> 'integer' OR NEW.{column} NOT BETWEEN {least} AND {most}"
            for column, (least, most) in _NUMBERS[table].items()
        },
        **{column: _no_sqlite_time(column, "%Y-%m-%dT%H:%M:%S", 27) for column in _INSTANTS.get(table, ())},
        **{column: _no_sqlite_time(column, "%Y-%m-%d", 10) for column in _DAYS.get(table, ())},
    }
    inserted = list(wrong.values())
    updated = [f"NEW.{column} IS NOT OLD.{column} AND ({bad})" for column, bad in wrong.items()]
    if table == "mail":
        updated.append(_ONE_ATTEMPT)
    if table == "orders":
        inserted.append(f"typeof(NEW.version) <> 'integer' OR NEW.version NOT BETWEEN {ARRIVING} AND {FIRST_VERSIONS}")
        yield _sqlite_trigger(
            "orders_next_version",
            "UPDATE OF version ON orders",
            "NEW.version NOT IN (OLD.version, OLD.version + 1) OR typeof(NEW.version) <> 'integer'",
            OUT_OF_BOUNDS,
        )
    if table == "batch":
        inserted += [f"typeof(NEW.{column}) <> 'text'" for column in _BATCH_TEXTS]
        inserted.append("NEW.at > strftime('%Y-%m-%dT%H:%M:%f', 'now', '+1 day')")
    else:
        # Only of these columns: a rejection changes no other, and the check would run for a million rows.
        columns = ", ".join(wrong)
        yield _sqlite_trigger(
            f"{table}_bounds_update",
            f"UPDATE OF {columns}, {_ROWIDS} ON {table}",
            _any([*updated, "NEW.rowid < 1"]),
            OUT_OF_BOUNDS,
        )
    if table != "mail":
        # Not for mails: the check would cost 0.3 seconds for 100,000 of them.
        yield _sqlite_trigger(f"{table}_bounds_insert", f"INSERT ON {table}", _any(inserted), OUT_OF_BOUNDS)
    # AFTER: before the insert, a rowid that SQLite chooses reads as -1.
    yield _sqlite_trigger(f"{table}_bounds_rowid", f"INSERT ON {table}", "NEW.rowid < 1", OUT_OF_BOUNDS, when="AFTER")


def _sqlite_mails() -> Iterator[str]:
    there = (
        "EXISTS (SELECT 1 FROM mail WHERE account = NEW.account AND id = NEW.id)"
        " OR EXISTS (SELECT 1 FROM mail WHERE rowid = NEW.rowid)"
    )
    linked = (
        "EXISTS (SELECT 1 FROM mail WHERE account = NEW.account AND id = NEW.mail_id) OR EXISTS (SELECT 1"
        " FROM mail_order WHERE account = NEW.account AND mail_id = NEW.mail_id AND order_id = NEW.order_id)"
    )
    changed = f"{_mail_changed('IS NOT')} OR NEW.rowid IS NOT OLD.rowid"
    unlogged = f"({_mail_acted_on()}) AND NOT EXISTS ({_LOGGED})"
    moved = _mail_moved("IS NOT")
    yield _sqlite_trigger("mail_kept_update", "UPDATE ON mail", changed, MAIL_KEPT)
    yield _sqlite_trigger("mail_kept_moves", "UPDATE OF state, token ON mail", moved, MAIL_MOVED)
    yield _sqlite_trigger("mail_kept_logged", "UPDATE OF state, next_attempt_at ON mail", unlogged, MAIL_UNLOGGED)
    yield _sqlite_trigger("mail_kept_delete", "DELETE ON mail", "1", MAIL_KEPT)
    yield _sqlite_trigger("mail_kept_insert", "INSERT ON mail", there, MAIL_KEPT)
    yield _sqlite_trigger("mail_order_kept_update", "UPDATE ON mail_order", "1", MAIL_KEPT)
    yield _sqlite_trigger("mail_order_kept_delete", "DELETE ON mail_order", "1", MAIL_KEPT)
    yield _sqlite_trigger("mail_order_kept_insert", "INSERT ON mail_order", linked, MAIL_KEPT)


def _no_sqlite_time(column: str, form: str, length: int) -> str:
    """The column holds a text that `SqliteDialect` does not write and that cannot be read as a time."""
    new = f"NEW.{column}"
    ends = f" OR {new} NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z'" if length > len("2026-03-14") else ""
    # A modifier makes SQLite normalise the date: 31 February becomes 3 March. Fractions are left out: SQLite rounds the
    # last half millisecond up to the next second.
    whole = f"substr({new}, 1, {min(length, 19)})"
    other = f"strftime('{form}', {whole}, '+0 days') IS NOT {whole}"
    years = f"{new} NOT BETWEEN '{_YEARS[0]}' AND '{_YEARS[1]}'"
    return f"{new} IS NOT NULL AND (typeof({new}) <> 'text' OR length({new}) <> {length} OR {years} OR {other}{ends})"


def _sqlite_place() -> Iterator[str]:
    last = "(SELECT coalesce(max(position), 0) FROM batch WHERE account = NEW.account)"
    yield _sqlite_trigger("batch_in_place", "INSERT ON batch", f"NEW.position IS NOT {last} + 1", IN_PLACE)


def _sqlite_by_a_batch(*, with_policy: bool) -> Iterator[str]:
    logged = f"{_EVENT_OF_BATCH} AND from_status = OLD.status" if with_policy else _EVENT_OF_BATCH
    there = "((account = NEW.account AND id = NEW.id) OR rowid = NEW.rowid) AND status <> 'rejected'"
    yield _sqlite_trigger(
        "orders_by_a_batch",
        "UPDATE OF status ON orders",
        f"{_BECOMES_REJECTED} AND NOT EXISTS (SELECT 1 FROM order_event WHERE {logged})",
        BY_A_BATCH,
    )
    # REPLACE would put an order that is imported as rejected in the place of an existing one.
    yield _sqlite_trigger(
        "orders_by_a_batch_insert",
        "INSERT ON orders",
        f"(NEW.status = 'rejected' OR NEW.version = {ARRIVING}) AND EXISTS (SELECT 1 FROM orders WHERE {there})",
        BY_A_BATCH,
    )
    moved = "NEW.id IS NOT OLD.id OR NEW.account IS NOT OLD.account OR NEW.rowid IS NOT OLD.rowid"
    yield _sqlite_trigger(
        "orders_by_a_batch_move",
        f"UPDATE OF account, id, {_ROWIDS} ON orders",
        f"OLD.version = {ARRIVING} AND ({moved})",
        BY_A_BATCH,
    )


def _gone(dialect: str) -> Iterator[str]:
    """Since when an order is gone can be read. A rejection does not change this column, and is not checked for it."""
    for name, event in {"orders_gone_insert": "INSERT", "orders_gone_update": "UPDATE OF gone_at"}.items():
        if dialect == "sqlite":
            wrong = _no_sqlite_time("gone_at", "%Y-%m-%dT%H:%M:%S", 27)
            yield _sqlite_trigger(name, f"{event} ON orders", wrong, OUT_OF_BOUNDS)
        else:
            wrong = f"NEW.gone_at NOT BETWEEN '{_YEARS[0]}' AND '{_YEARS[1]}'"
            yield from _pg_trigger("orders", name, event, wrong, OUT_OF_BOUNDS)


def _request_key(dialect: str) -> Iterator[str]:
    """The guard of the request key, which was added later. PostgreSQL needs none: it has no REPLACE."""
    if dialect == "sqlite":
        there = "EXISTS (SELECT 1 FROM batch WHERE account = NEW.account AND request_key = NEW.request_key)"
        yield _sqlite_trigger("batch_append_only_key", "INSERT ON batch", there, APPEND_ONLY)


def _memory(dialect: str) -> Iterator[str]:
    """What a batch remembers is append-only, and nothing is added once the batch is there."""
    if dialect == "postgresql":
        yield (
            "CREATE FUNCTION orderctl_refuse_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF EXISTS (SELECT 1"
            " FROM batch AS b JOIN (SELECT DISTINCT account, batch_id FROM added) AS a ON a.account = b.account"
            " AND a.batch_id = b.id) THEN RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE ="
            " 'integrity_constraint_violation'; END IF; RETURN NULL; END $$"
        )
        yield _pg_own_tables("orderctl_refuse_late")
    for table in _MEMORY:
        yield from _of_log(dialect, table)
        if dialect == "sqlite":
            late = "EXISTS (SELECT 1 FROM batch WHERE account = NEW.account AND id = NEW.batch_id)"
            yield _sqlite_trigger(f"{table}_append_only_late", f"INSERT ON {table}", late, APPEND_ONLY)
            continue
        # Once for each statement, as for `mail_order`.
        yield (
            f"CREATE TRIGGER {table}_append_only_late AFTER INSERT ON {table} REFERENCING NEW TABLE AS added"
            f" FOR EACH STATEMENT EXECUTE FUNCTION orderctl_refuse_late('{APPEND_ONLY}')"
        )
        yield f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only_late"


def _any(conditions: Iterable[str]) -> str:
    return " OR ".join(f"({condition})" for condition in conditions)


def _sqlite_log(log: str, key: tuple[str, ...]) -> Iterator[str]:
    same = " AND ".join(f"{column} = NEW.{column}" for column in key)
    there = f"EXISTS (SELECT 1 FROM {log} WHERE {same})"
    if log == "batch":
        there += (
            " OR EXISTS (SELECT 1 FROM batch WHERE account = NEW.account AND position = NEW.position)"
            " OR EXISTS (SELECT 1 FROM batch WHERE rowid = NEW.rowid)"
        )
    yield _sqlite_trigger(f"{log}_append_only_update", f"UPDATE ON {log}", "1", APPEND_ONLY)
    yield _sqlite_trigger(f"{log}_append_only_delete", f"DELETE ON {log}", "1", APPEND_ONLY)
    yield _sqlite_trigger(f"{log}_append_only_insert", f"INSERT ON {log}", there, APPEND_ONLY)


def _sqlite_trigger(name: str, event: str, condition: str, message: str, *, when: str = "BEFORE") -> str:
    return (
        f"CREATE TRIGGER {name} {when} {event} FOR EACH ROW WHEN {condition}"
        f" BEGIN SELECT RAISE(ABORT, '{message}'); END"
    )


def _postgresql(frozen: list[str]) -> Iterator[str]:
    yield (
        "CREATE FUNCTION orderctl_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    yield (
        "CREATE FUNCTION orderctl_refuse_line() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF EXISTS (SELECT 1 FROM orders WHERE status = 'rejected' AND ("
        "(TG_OP <> 'INSERT' AND account = OLD.account AND id = OLD.order_id) OR "
        "(TG_OP <> 'DELETE' AND account = NEW.account AND id = NEW.order_id))) THEN "
        "RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation'; END IF; "
        "IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$"
    )
    yield _pg_own_tables("orderctl_refuse_line")
    changed = f"({_listed('NEW', frozen)}) IS DISTINCT FROM ({_listed('OLD', frozen)})"
    rejected = "OLD.status = 'rejected'"
    yield from _pg_trigger("orders", "orders_final_update", "UPDATE", f"{rejected} AND {changed}", FINAL)
    yield from _pg_trigger("orders", "orders_final_delete", "DELETE", rejected, FINAL)
    for verb in ("insert", "update", "delete"):
        yield from _pg_trigger(
            "order_line", f"order_line_final_{verb}", verb.upper(), "true", FINAL, "orderctl_refuse_line"
        )
    for table in ("orders", "order_line"):
        yield from _pg_no_truncate(table, FINAL)


def _pg_own_tables(function: str) -> str:
    """Make a function use the store's own tables, even if a session has a temporary table `orders`."""
    return (
        "DO $do$ BEGIN EXECUTE format("
        f"'ALTER FUNCTION {function}() SET search_path = %I, pg_temp', current_schema()); END $do$"
    )


def _pg_bounds(table: str) -> Iterator[str]:
    wrong = {
        **{column: f"NEW.{column} NOT BETWEEN {least} AND {most}" for column, (least, most) in _NUMBERS[table].items()},
        **{
            column: f"NEW.{column} NOT BETWEEN '{_YEARS[0]}' AND '{_YEARS[1]}'"
            for column in (*_INSTANTS.get(table, ()), *_DAYS.get(table, ()))
        },
    }
    inserted = list(wrong.values())
    updated = [f"NEW.{column} IS DISTINCT FROM OLD.{column} AND {bad}" for column, bad in wrong.items()]
    if table == "orders":
        inserted.append(f"NEW.version NOT BETWEEN {ARRIVING} AND {FIRST_VERSIONS}")
        updated.append("NEW.version NOT IN (OLD.version, OLD.version + 1)")
    if table == "mail":
        updated.append(_ONE_ATTEMPT)
    if table == "batch":
        inserted.append("NEW.at > now() + interval '1 day'")
    else:
        yield from _pg_trigger(table, f"{table}_bounds_update", "UPDATE", _any(updated), OUT_OF_BOUNDS)
    yield from _pg_trigger(table, f"{table}_bounds_insert", "INSERT", _any(inserted), OUT_OF_BOUNDS)


def _pg_place() -> Iterator[str]:
    """Of two rejections at once, the second is refused like a violation of the unique index, and is retried."""
    yield (
        "CREATE FUNCTION orderctl_refuse_place() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF NEW.position <> (SELECT coalesce(max(position), 0) + 1 FROM batch WHERE account = NEW.account) THEN "
        "RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'unique_violation', CONSTRAINT = 'ix_batch_account_position'; "
        "END IF; RETURN NEW; END $$"
    )
    yield _pg_own_tables("orderctl_refuse_place")
    yield from _pg_trigger("batch", "batch_in_place", "INSERT", "true", IN_PLACE, "orderctl_refuse_place")


def _pg_mails() -> Iterator[str]:
    for function, refused in (("mail", f"NOT EXISTS ({_LOGGED})"), ("mail_order", f"EXISTS ({_OF_BATCH})")):
        yield (
            f"CREATE FUNCTION orderctl_refuse_{function}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF {refused} THEN RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation'; "
            "END IF; RETURN NEW; END $$"
        )
        yield _pg_own_tables(f"orderctl_refuse_{function}")
    changed, moved = _mail_changed("IS DISTINCT FROM"), _mail_moved("IS DISTINCT FROM")
    acted_on, function = _mail_acted_on(), "orderctl_refuse_mail"
    yield from _pg_trigger("mail", "mail_kept_update", "UPDATE", changed, MAIL_KEPT)
    yield from _pg_trigger("mail", "mail_kept_moves", "UPDATE", moved, MAIL_MOVED)
    yield from _pg_trigger("mail", "mail_kept_logged", "UPDATE", acted_on, MAIL_UNLOGGED, function)
    yield from _pg_trigger("mail", "mail_kept_delete", "DELETE", "true", MAIL_KEPT)
    yield from _pg_trigger("mail_order", "mail_order_kept_update", "UPDATE", "true", MAIL_KEPT)
    yield from _pg_trigger("mail_order", "mail_order_kept_delete", "DELETE", "true", MAIL_KEPT)
    # Once for each statement: a call for each of 100,000 rows takes half a second.
    yield (
        "CREATE TRIGGER mail_order_kept_insert AFTER INSERT ON mail_order REFERENCING NEW TABLE AS added"
        f" FOR EACH STATEMENT EXECUTE FUNCTION orderctl_refuse_mail_order('{MAIL_KEPT}')"
    )
    yield "ALTER TABLE mail_order ENABLE ALWAYS TRIGGER mail_order_kept_insert"
    for table in ("mail", "mail_order"):
        yield from _pg_no_truncate(table, MAIL_KEPT)


def _pg_by_a_batch(*, with_policy: bool) -> Iterator[str]:
    yield from _pg_trigger(
        "orders", "orders_by_a_batch", "UPDATE", f"{_BECOMES_REJECTED} AND NEW.batch_id IS NULL", BY_A_BATCH
    )
    # Once for each statement, after it: a rejection writes orders and events in one statement, and a call for each
    # order would add a quarter to its time. A scalar subquery is looked up by the key, however many events there are.
    found = f"(SELECT 1 FROM order_event WHERE {_EVENT_OF_BATCH.replace('NEW.', 'changed.')})"
    yield (
        "CREATE FUNCTION orderctl_refuse_without_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF EXISTS ("
        f"SELECT 1 FROM changed WHERE status = 'rejected' AND batch_id IS NOT NULL AND {found} IS NULL) THEN "
        "RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation'; END IF; "
        f"{_PG_BEGIN_BATCHES if with_policy else ''}RETURN NULL; END $$"
    )
    yield _pg_own_tables("orderctl_refuse_without_event")
    before = " OLD TABLE AS former" if with_policy else ""
    yield (
        f"CREATE TRIGGER orders_with_events AFTER UPDATE ON orders REFERENCING{before} NEW TABLE AS changed"
        f" FOR EACH STATEMENT EXECUTE FUNCTION orderctl_refuse_without_event('{BY_A_BATCH}')"
    )
    yield "ALTER TABLE orders ENABLE ALWAYS TRIGGER orders_with_events"


# A batch is written after its orders. Until then its row in `batch_begun` refers to nothing, and the foreign key lets
# nobody commit. An order cannot join a batch that is there.
_PG_BEGIN_BATCHES = (
    "INSERT INTO batch_begun (account, id) SELECT DISTINCT account, batch_id FROM changed"
    " WHERE status = 'rejected' AND batch_id IS NOT NULL"
    " AND NOT EXISTS (SELECT 1 FROM batch AS b WHERE b.account = changed.account AND b.id = changed.batch_id)"
    " ON CONFLICT DO NOTHING; "
    "IF EXISTS (SELECT 1 FROM changed JOIN batch AS b ON b.account = changed.account AND b.id = changed.batch_id"
    " WHERE changed.status = 'rejected' AND NOT EXISTS (SELECT 1 FROM former WHERE former.account = changed.account"
    " AND former.id = changed.id AND former.status = 'rejected')) THEN "
    "RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation'; END IF; "
)
# The orders of a batch that its plan does not have, whose approval is worth nothing for them.
_PLANNED = {
    "sqlite": "SELECT key FROM json_each(json_extract(plan, '$.plan.targets.packed'))",
    "postgresql": "SELECT jsonb_object_keys((plan::jsonb #>> '{plan,targets,packed}')::jsonb)",
}


def _not_approved(dialect: str) -> str:
    """No operator but its author approved the plan of the batch, or it has other orders than the plan."""
    name = "lower(trim({}))"
    logins = " AND approver_login <> author_login" if dialect == "postgresql" else ""
    return (
        "NOT EXISTS (SELECT 1 FROM plan WHERE account = NEW.account AND id = NEW.id AND state IN ('approved', 'held')"
        f" AND {name.format('approver')} <> {name.format('author')}{logins} AND NOT EXISTS (SELECT 1 FROM orders"
        f" WHERE {_IN_BATCH} AND orders.id NOT IN ({_PLANNED[dialect]})))"
    )


def _sqlite_policy() -> Iterator[str]:
    """The time zones of hours are unknown to SQLite: the program alone checks those."""
    rules = "(SELECT rules FROM policy WHERE account = NEW.account ORDER BY position DESC LIMIT 1)"
    sums = f"(SELECT currency, sum(max(total, 0)) AS amount FROM orders WHERE {_IN_BATCH} GROUP BY currency)"

    def rule(name: str) -> str:
        return f"json_extract({rules}, '$.{name}')"

    def more_orders(name: str) -> str:
        counted = f"max(NEW.rejected, (SELECT count(*) FROM orders WHERE {_IN_BATCH}))"
        return f"{rule(name)} IS NOT NULL AND {counted} > {rule(name)}"

    def more_money(name: str) -> str:
        limits = f"json_each({rules}, '$.{name}')"
        over = f"SELECT 1 FROM {limits} AS most JOIN {sums} AS sums ON sums.currency = most.key"
        return f"EXISTS (SELECT 1 FROM {limits}) AND EXISTS ({over} WHERE sums.amount > most.value)"

    codes = f"SELECT value FROM json_each({rules}, '$.reason_codes')"
    needs_second = _any([more_orders("second_operator_above_orders"), more_money("second_operator_above_amounts")])
    refused = {
        "batch_by_the_rules": (_SINGLY_IN_BULK, BY_THE_RULES),
        "batch_policy_orders": (more_orders("max_orders"), POLICY_ORDERS),
        "batch_policy_amount": (more_money("max_amounts"), POLICY_AMOUNT),
        "batch_policy_reason": (f"{rule('reason_required')} AND NEW.reason = '' AND {_NO_REASON}", POLICY_REASON),
        "batch_policy_code": (
            f"EXISTS ({codes}) AND EXISTS ({_EVENTS_IN_BATCH} AND e.reason_code NOT IN ({codes}))",
            POLICY_CODE,
        ),
        "batch_policy_second": (f"({needs_second}) AND {_not_approved('sqlite')}", POLICY_SECOND),
    }
    for name, (condition, message) in refused.items():
        yield _sqlite_trigger(name, "INSERT ON batch", condition, message)


def _pg_policy() -> Iterator[str]:
    yield (
        "CREATE FUNCTION orderctl_refuse_status() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF NOT EXISTS (SELECT 1 FROM order_event WHERE {_EVENT_OF_BATCH} AND from_status = OLD.status) THEN "
        "RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN NULL; END $$"
    )
    yield _pg_own_tables("orderctl_refuse_status")
    # After the statement that writes orders and events at once. Few orders are of such a status.
    singly = f"{_BECOMES_REJECTED} AND OLD.status IN ({SINGLY_REJECTED})"
    yield (
        f"CREATE TRIGGER orders_singly AFTER UPDATE ON orders FOR EACH ROW WHEN ({singly}) "
        f"EXECUTE FUNCTION orderctl_refuse_status('{BY_A_BATCH}')"
    )
    yield "ALTER TABLE orders ENABLE ALWAYS TRIGGER orders_singly"
    yield from _pg_batch()
    own = "IS DISTINCT FROM session_user::text"
    steps = ("approver", "approver_login", "approved_at")
    changed = f"({_listed('NEW', steps)}) IS DISTINCT FROM ({_listed('OLD', steps)})"
    inserted = f"NEW.author_login {own} OR (NEW.approver IS NOT NULL AND NEW.approver_login {own})"
    yield from _pg_trigger("plan", "plan_own_login_insert", "INSERT", inserted, OWN_LOGIN)
    yield from _pg_trigger(
        "plan", "plan_own_login_update", "UPDATE", f"{changed} AND NEW.approver_login {own}", OWN_LOGIN
    )


def _pg_batch() -> Iterator[str]:
    """The check of a batch when it is written: its orders are there by then, and none can be added later."""

    def more_money(name: str) -> str:
        most = f"jsonb_each_text(rule -> '{name}') AS most"
        return f"EXISTS (SELECT 1 FROM {most} WHERE (sums ->> most.key)::numeric > most.value::numeric)"

    opens, closes = "rule ->> 'opens'", "rule ->> 'closes'"
    open_now = (
        f"CASE WHEN {opens} < {closes} THEN hour >= {opens} AND hour < {closes}"
        f" ELSE hour >= {opens} OR hour < {closes} END"
    )
    needs_second = _any(
        ["number > (rule ->> 'second_operator_above_orders')::int", more_money("second_operator_above_amounts")]
    )
    wrong_code = f"EXISTS ({_EVENTS_IN_BATCH} AND NOT rule -> 'reason_codes' ? e.reason_code)"
    refused = {
        POLICY_ORDERS: "number > (rule ->> 'max_orders')::int",
        POLICY_AMOUNT: more_money("max_amounts"),
        POLICY_REASON: f"(rule ->> 'reason_required')::boolean AND NEW.reason = '' AND {_NO_REASON}",
        POLICY_CODE: f"jsonb_array_length(rule -> 'reason_codes') > 0 AND {wrong_code}",
        POLICY_HOURS: f"{opens} IS NOT NULL AND NOT {open_now}",
        POLICY_SECOND: f"({needs_second}) AND {_not_approved('postgresql')}",
    }
    cases = " ".join(f"WHEN {condition} THEN '{message}'" for message, condition in refused.items())
    yield (
        "CREATE FUNCTION orderctl_refuse_batch() RETURNS trigger LANGUAGE plpgsql AS $$"
        " DECLARE rule jsonb; number bigint; sums jsonb; hour text; refused text; BEGIN "
        # Waits for a transaction that began a batch of this id, and fails or finds its orders then.
        "INSERT INTO batch_begun (account, id) VALUES (NEW.account, NEW.id) ON CONFLICT DO NOTHING; "
        f"IF {_SINGLY_IN_BULK} THEN RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';"
        " END IF; "
        "SELECT rules INTO rule FROM policy WHERE account = NEW.account ORDER BY position DESC LIMIT 1; "
        "IF NOT FOUND THEN RETURN NEW; END IF; "
        "SELECT greatest(NEW.rejected, coalesce(sum(orders), 0)), coalesce(jsonb_object_agg(currency, amount), '{}')"
        " INTO number, sums FROM (SELECT currency, count(*) AS orders, sum(greatest(total, 0)) AS amount"
        f" FROM orders WHERE {_IN_BATCH} GROUP BY currency) AS of_currency; "
        "hour := to_char(clock_timestamp() AT TIME ZONE (rule ->> 'time_zone'), 'HH24:MI'); "
        f"refused := CASE {cases} END; IF refused IS NOT NULL THEN RAISE EXCEPTION '%', refused"
        " USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN NEW; END $$"
    )
    yield _pg_own_tables("orderctl_refuse_batch")
    yield from _pg_trigger("batch", "batch_policy", "INSERT", "true", BY_THE_RULES, "orderctl_refuse_batch")


def _pg_log(log: str) -> Iterator[str]:
    yield from _pg_trigger(log, f"{log}_append_only_update", "UPDATE", "true", APPEND_ONLY)
    yield from _pg_trigger(log, f"{log}_append_only_delete", "DELETE", "true", APPEND_ONLY)
    yield from _pg_no_truncate(log, APPEND_ONLY)


def _pg_no_truncate(table: str, message: str) -> Iterator[str]:
    yield (
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT "
        f"EXECUTE FUNCTION orderctl_refuse('{message}')"
    )
    yield f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_truncate"


def _listed(row: str, columns: Iterable[str]) -> str:
    return ", ".join(f"{row}.{column}" for column in columns)


def _pg_trigger(
    table: str, name: str, event: str, when: str, message: str, function: str = "orderctl_refuse"
) -> Iterator[str]:
    yield (
        f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW WHEN ({when}) "
        f"EXECUTE FUNCTION {function}('{message}')"
    )
    # ALWAYS: `session_replication_role = replica` does not disable it.
    yield f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"
