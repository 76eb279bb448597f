"""The triggers that make a rejection final and the log append-only, on both engines (design.md, section 3).

The last of several layers: the guarded `UPDATE`, the CHECKs and the grants come before them. A migration
that changes a guarded table drops its triggers and creates these anew.
"""

from collections.abc import Callable, Iterator

FINAL = "a rejected order is final"
APPEND_ONLY = "the log is append-only"

# What archiving changes is left out: that much a rejected order still allows.
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
]
_FIRST_LOGS = {"batch": ("account", "id"), "order_event": ("account", "order_id", "id")}
_LATER_LOGS = {"mail_event": ("account", "mail_id", "id")}
_LOGS = _FIRST_LOGS | _LATER_LOGS
TRIGGERS = (
    "orders_final_update",
    "orders_final_delete",
    "orders_final_insert",
    "order_line_final_insert",
    "order_line_final_update",
    "order_line_final_delete",
    *(f"{log}_append_only_{verb}" for log in _LOGS for verb in ("update", "delete", "insert")),
)


def create_guards(dialect: str, execute: Callable[[str], object]) -> None:
    """Create the triggers of the first schema, on the engine named `sqlite` or `postgresql`."""
    for statement in _first(dialect):
        execute(statement)


def create_log_guards(dialect: str, log: str, execute: Callable[[str], object]) -> None:
    """Create the triggers of a log that came later."""
    for statement in _of_log(dialect, log):
        execute(statement)


def guard_statements(dialect: str) -> tuple[str, ...]:
    """The statements that create the guards, so that a check can compare them with what is there."""
    return (*_first(dialect), *(statement for log in _LATER_LOGS for statement in _of_log(dialect, log)))


def _first(dialect: str) -> Iterator[str]:
    yield from _sqlite() if dialect == "sqlite" else _postgresql()
    for log in _FIRST_LOGS:
        yield from _of_log(dialect, log)


def _of_log(dialect: str, log: str) -> Iterator[str]:
    return _sqlite_log(log, _LOGS[log]) if dialect == "sqlite" else _pg_log(log)


def _sqlite() -> Iterator[str]:
    changed = " OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in _FROZEN)
    yield _sqlite_trigger("orders_final_update", "UPDATE ON orders", f"OLD.status = 'rejected' AND ({changed})", FINAL)
    yield _sqlite_trigger("orders_final_delete", "DELETE ON orders", "OLD.status = 'rejected'", FINAL)
    # INSERT OR REPLACE deletes without firing the trigger above.
    there = "SELECT 1 FROM orders WHERE account = NEW.account AND id = NEW.id AND status = 'rejected'"
    yield _sqlite_trigger("orders_final_insert", "INSERT ON orders", f"EXISTS ({there})", FINAL)
    for verb, row in (("insert", "NEW"), ("update", "OLD"), ("delete", "OLD")):
        rejected = f"SELECT 1 FROM orders WHERE account = {row}.account AND id = {row}.order_id AND status = 'rejected'"
        yield _sqlite_trigger(
            f"order_line_final_{verb}", f"{verb.upper()} ON order_line", f"EXISTS ({rejected})", FINAL
        )


def _sqlite_log(log: str, key: tuple[str, ...]) -> Iterator[str]:
    same = " AND ".join(f"{column} = NEW.{column}" for column in key)
    there = f"EXISTS (SELECT 1 FROM {log} WHERE {same})"
    yield _sqlite_trigger(f"{log}_append_only_update", f"UPDATE ON {log}", "1", APPEND_ONLY)
    yield _sqlite_trigger(f"{log}_append_only_delete", f"DELETE ON {log}", "1", APPEND_ONLY)
    yield _sqlite_trigger(f"{log}_append_only_insert", f"INSERT ON {log}", there, APPEND_ONLY)


def _sqlite_trigger(name: str, event: str, when: str, message: str) -> str:
    return f"CREATE TRIGGER {name} BEFORE {event} FOR EACH ROW WHEN {when} BEGIN SELECT RAISE(ABORT, '{message}'); END"


def _postgresql() -> Iterator[str]:
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
    changed = f"({_listed('NEW')}) IS DISTINCT FROM ({_listed('OLD')})"
    rejected = "OLD.status = 'rejected'"
    yield from _pg_trigger("orders", "orders_final_update", "UPDATE", f"{rejected} AND {changed}", FINAL)
    yield from _pg_trigger("orders", "orders_final_delete", "DELETE", rejected, FINAL)
    for verb in ("insert", "update", "delete"):
        yield from _pg_trigger(
            "order_line", f"order_line_final_{verb}", verb.upper(), "true", FINAL, "orderctl_refuse_line"
        )
    for table in ("orders", "order_line"):
        yield from _pg_no_truncate(table, FINAL)


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


def _listed(row: str) -> str:
    return ", ".join(f"{row}.{column}" for column in _FROZEN)


def _pg_trigger(
    table: str, name: str, event: str, when: str, message: str, function: str = "orderctl_refuse"
) -> Iterator[str]:
    yield (
        f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW WHEN ({when}) "
        f"EXECUTE FUNCTION {function}('{message}')"
    )
    # ALWAYS: session_replication_role = replica does not switch it off.
    yield f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"
