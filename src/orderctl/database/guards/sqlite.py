"""The guards as triggers of SQLite."""

from collections.abc import Iterator, Sequence

from orderctl.database.guards.conditions import (
    ACT_IN_PLACE,
    ACT_OUT_OF_PLACE,
    APPEND_ONLY,
    ARRIVING,
    BATCH_COUNTS,
    BATCH_MAILS,
    BATCH_PREVIOUS,
    BECOMES_REJECTED,
    BY_A_BATCH,
    BY_THE_RULES,
    DAYS,
    DELIVERIES,
    EVENT_OF_BATCH,
    FINAL,
    FIRST_VERSIONS,
    IN_BATCH,
    IN_PLACE,
    INSTANTS,
    MAIL_KEPT,
    MAIL_READDRESSED,
    MAILS_UNDIGESTED,
    NEVER_REJECTED,
    NO_REASON,
    NUMBERS,
    ONE_ATTEMPT,
    OUT_OF_BOUNDS,
    OWN_APPROVAL,
    PLAN_STEP,
    POLICY_AMOUNT,
    POLICY_CODE,
    POLICY_ORDERS,
    POLICY_REASON,
    POLICY_SECOND,
    SINGLY_IN_BULK,
    WITH_BOUNCES,
    WITH_ERASURES,
    WITH_MAIL_DIGESTS,
    WITH_POLICY,
    YEARS,
    acted_on,
    any_of,
    logged,
    logged_address,
    mail_changed,
    moved,
    not_approved,
    own_approval,
    some_event,
    writeback_changed,
)
from orderctl.database.guards.erasing import ERASABLE, STAYS_ERASED, is_erasure, is_named_again, of_orders

# The keys of logs beside the account, where they are not an id alone.
_KEYS = {
    "order_event": ("order_id", "id"),
    "mail_event": ("mail_id", "id"),
    "writeback_event": ("writeback_id", "id"),
    "batch_verdict": ("batch_id", "order_id"),
    "batch_origin": ("batch_id", "number"),
    "member": ("login", "number"),
    **dict.fromkeys(("policy", "act", "erasure"), ("position",)),
}
# `UPDATE OF` fires only for the name that a statement uses, so each name of the rowid is listed.
_ROWIDS = "rowid, _rowid_, oid"
# Later rejections depend on these. SQLite would store a blob in a text column.
_BATCH_TEXTS = ("account", "id", "digest", "previous")


def first(frozen: Sequence[str], revision: int) -> Iterator[str]:
    """The triggers of orders and their lines.

    REPLACE deletes the row that has the new row's key, and fires no DELETE trigger unless a connection asks for it. So
    every trigger on new rows looks for a row that would be replaced, by each key of the table and by the rowid.
    """
    yield from _orders(frozen, revision)
    yield from _lines()


def _orders(frozen: Sequence[str], revision: int) -> Iterator[str]:
    changed = " OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in [*frozen, "rowid"])
    there = (
        "EXISTS (SELECT 1 FROM orders WHERE account = NEW.account AND id = NEW.id AND status = 'rejected')"
        " OR EXISTS (SELECT 1 FROM orders WHERE rowid = NEW.rowid AND status = 'rejected')"
    )
    moved = "NEW.id IS NOT OLD.id OR NEW.account IS NOT OLD.account OR NEW.rowid IS NOT OLD.rowid"
    # The first trigger refuses to change a rejected order, the second to replace one.
    final = f"OLD.status = 'rejected' AND ({changed})"
    if revision >= WITH_ERASURES:
        final += f" AND NOT ({is_erasure('sqlite', of_orders(frozen))})"
    yield trigger("orders_final_update", "UPDATE ON orders", final, FINAL)
    yield trigger("orders_final_move", f"UPDATE OF account, id, {_ROWIDS} ON orders", f"({moved}) AND ({there})", FINAL)
    yield trigger("orders_final_delete", "DELETE ON orders", "OLD.status = 'rejected'", FINAL)
    yield trigger("orders_final_insert", "INSERT ON orders", there, FINAL)


def _lines() -> Iterator[str]:
    def of(row: str) -> str:
        mine = f"account = {row}.account AND id = {row}.order_id"
        return f"EXISTS (SELECT 1 FROM orders WHERE {mine} AND status = 'rejected')"

    there = (
        "EXISTS (SELECT 1 FROM order_line AS l JOIN orders AS o ON o.account = l.account AND o.id = l.order_id"
        " WHERE l.rowid = NEW.rowid AND o.status = 'rejected')"
    )
    moved = "NEW.order_id IS NOT OLD.order_id OR NEW.account IS NOT OLD.account"
    update = f"{of('OLD')} OR (({moved}) AND {of('NEW')}) OR (NEW.rowid IS NOT OLD.rowid AND {there})"
    yield trigger("order_line_final_insert", "INSERT ON order_line", f"{of('NEW')} OR {there}", FINAL)
    yield trigger("order_line_final_update", "UPDATE ON order_line", update, FINAL)
    yield trigger("order_line_final_delete", "DELETE ON order_line", of("OLD"), FINAL)


def bounds(table: str) -> Iterator[str]:
    """Numbers and instants within their bounds, of the type that the program writes."""
    wrong = {
        **{
            column: f"typeof(NEW.{column}) <> 'integer' OR NEW.{column} NOT BETWEEN {least} AND {most}"
            for column, (least, most) in NUMBERS[table].items()
        },
        **{column: no_time(column, "%Y-%m-%dT%H:%M:%S", 27) for column in INSTANTS.get(table, ())},
        **{column: no_time(column, "%Y-%m-%d", 10) for column in DAYS.get(table, ())},
    }
    inserted = list(wrong.values())
    updated = [f"NEW.{column} IS NOT OLD.{column} AND ({bad})" for column, bad in wrong.items()]
    if table == "mail":
        updated.append(ONE_ATTEMPT)
    if table == "orders":
        inserted.append(f"typeof(NEW.version) <> 'integer' OR NEW.version NOT BETWEEN {ARRIVING} AND {FIRST_VERSIONS}")
        yield trigger(
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
        yield trigger(
            f"{table}_bounds_update",
            f"UPDATE OF {columns}, {_ROWIDS} ON {table}",
            any_of([*updated, "NEW.rowid < 1"]),
            OUT_OF_BOUNDS,
        )
    if table != "mail":
        # Not for mails: the check would cost 0.3 seconds for 100,000 of them.
        yield trigger(f"{table}_bounds_insert", f"INSERT ON {table}", any_of(inserted), OUT_OF_BOUNDS)
    # AFTER: before the insert, a rowid that SQLite chooses reads as -1.
    yield trigger(f"{table}_bounds_rowid", f"INSERT ON {table}", "NEW.rowid < 1", OUT_OF_BOUNDS, when="AFTER")


def mails(revision: int) -> Iterator[str]:
    """A mail keeps what it was queued as, its orders too, and goes from state to state as allowed."""
    linked = (
        "EXISTS (SELECT 1 FROM mail WHERE account = NEW.account AND id = NEW.mail_id) OR EXISTS (SELECT 1"
        " FROM mail_order WHERE account = NEW.account AND mail_id = NEW.mail_id AND order_id = NEW.order_id)"
    )
    yield from _delivery("mail", mail_changed("IS NOT", revision), revision)
    if revision >= WITH_BOUNCES:
        moved_on = "NEW.state = 'waiting' AND NEW.recipient IS NOT OLD.recipient"
        other = f"{moved_on} AND NOT EXISTS ({logged_address()})"
        yield trigger("mail_kept_recipient", "UPDATE OF recipient ON mail", other, MAIL_READDRESSED)
    yield trigger("mail_order_kept_update", "UPDATE ON mail_order", _unless_erased("mail_order", revision), MAIL_KEPT)
    yield trigger("mail_order_kept_delete", "DELETE ON mail_order", "1", MAIL_KEPT)
    yield trigger("mail_order_kept_insert", "INSERT ON mail_order", linked, MAIL_KEPT)


def writebacks() -> Iterator[str]:
    """A write-back keeps what it was queued as, and goes from state to state as a mail does."""
    return _delivery("writeback", writeback_changed("IS NOT"), WITH_ERASURES)


def _delivery(table: str, changed: str, revision: int) -> Iterator[str]:
    there = (
        f"EXISTS (SELECT 1 FROM {table} WHERE account = NEW.account AND id = NEW.id)"
        f" OR EXISTS (SELECT 1 FROM {table} WHERE rowid = NEW.rowid)"
    )
    changed += " OR NEW.rowid IS NOT OLD.rowid"
    if revision >= WITH_ERASURES:
        changed = f"({changed}) AND {_unless_erased(table, revision)}"
    unlogged = f"({acted_on()}) AND NOT EXISTS ({logged(table)})"
    is_kept, is_moved, is_logged = DELIVERIES[table]
    yield trigger(f"{table}_kept_update", f"UPDATE ON {table}", changed, is_kept)
    yield trigger(f"{table}_kept_moves", f"UPDATE OF state, token ON {table}", moved("IS NOT"), is_moved)
    yield trigger(f"{table}_kept_logged", f"UPDATE OF state, next_attempt_at ON {table}", unlogged, is_logged)
    yield trigger(f"{table}_kept_delete", f"DELETE ON {table}", "1", is_kept)
    yield trigger(f"{table}_kept_insert", f"INSERT ON {table}", there, is_kept)


def no_time(column: str, form: str, length: int) -> str:
    """The column holds a text that the program does not write and that cannot be read as a time."""
    new = f"NEW.{column}"
    ends = f" OR {new} NOT GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z'" if length > len("2026-03-14") else ""
    # A modifier makes SQLite normalise the date: 31 February becomes 3 March. Fractions are left out: SQLite rounds the
    # last half millisecond up to the next second.
    whole = f"substr({new}, 1, {min(length, 19)})"
    other = f"strftime('{form}', {whole}, '+0 days') IS NOT {whole}"
    years = f"{new} NOT BETWEEN '{YEARS[0]}' AND '{YEARS[1]}'"
    return f"{new} IS NOT NULL AND (typeof({new}) <> 'text' OR length({new}) <> {length} OR {years} OR {other}{ends})"


def place() -> Iterator[str]:
    """A batch stands at the number after the last one."""
    last = "(SELECT coalesce(max(position), 0) FROM batch WHERE account = NEW.account)"
    yield trigger("batch_in_place", "INSERT ON batch", f"NEW.position IS NOT {last} + 1", IN_PLACE)


def acts() -> Iterator[str]:
    """An act stands behind the last one."""
    yield trigger("act_in_place", "INSERT ON act", ACT_OUT_OF_PLACE, ACT_IN_PLACE)


def by_a_batch(revision: int) -> Iterator[str]:
    """An existing order becomes rejected only together with the event of its batch."""
    logged = f"{EVENT_OF_BATCH} AND from_status = OLD.status" if revision >= WITH_POLICY else EVENT_OF_BATCH
    there = "((account = NEW.account AND id = NEW.id) OR rowid = NEW.rowid) AND status <> 'rejected'"
    yield trigger(
        "orders_by_a_batch",
        "UPDATE OF status ON orders",
        f"{BECOMES_REJECTED} AND NOT EXISTS (SELECT 1 FROM order_event WHERE {logged})",
        BY_A_BATCH,
    )
    # REPLACE would put an order that is imported as rejected in the place of an existing one.
    yield trigger(
        "orders_by_a_batch_insert",
        "INSERT ON orders",
        f"(NEW.status = 'rejected' OR NEW.version = {ARRIVING}) AND EXISTS (SELECT 1 FROM orders WHERE {there})",
        BY_A_BATCH,
    )
    moved = "NEW.id IS NOT OLD.id OR NEW.account IS NOT OLD.account OR NEW.rowid IS NOT OLD.rowid"
    yield trigger(
        "orders_by_a_batch_move",
        f"UPDATE OF account, id, {_ROWIDS} ON orders",
        f"OLD.version = {ARRIVING} AND ({moved})",
        BY_A_BATCH,
    )


def append_only(log: str, revision: int) -> Iterator[str]:
    """The rows of a log are added and never changed or replaced, but by an erasure."""
    same = " AND ".join(f"{column} = NEW.{column}" for column in ("account", *_KEYS.get(log, ("id",))))
    there = f"EXISTS (SELECT 1 FROM {log} WHERE {same})"
    if log == "batch":
        there += (
            " OR EXISTS (SELECT 1 FROM batch WHERE account = NEW.account AND position = NEW.position)"
            " OR EXISTS (SELECT 1 FROM batch WHERE rowid = NEW.rowid)"
        )
    yield trigger(f"{log}_append_only_update", f"UPDATE ON {log}", _unless_erased(log, revision), APPEND_ONLY)
    yield trigger(f"{log}_append_only_delete", f"DELETE ON {log}", "1", APPEND_ONLY)
    yield trigger(f"{log}_append_only_insert", f"INSERT ON {log}", there, APPEND_ONLY)


def _unless_erased(table: str, revision: int) -> str:
    """Any change of a row, but an erasure that is recorded."""
    erasable = revision >= WITH_ERASURES and table in ERASABLE
    return f"NOT ({is_erasure('sqlite', ERASABLE[table])})" if erasable else "1"


def request_key() -> Iterator[str]:
    """The request key, which came later than the log of batches. PostgreSQL needs no such guard: it has no REPLACE."""
    there = "EXISTS (SELECT 1 FROM batch WHERE account = NEW.account AND request_key = NEW.request_key)"
    yield trigger("batch_append_only_key", "INSERT ON batch", there, APPEND_ONLY)


def gone() -> Iterator[str]:
    """Since when an order is gone can be read. A rejection does not change this column, and is not checked for it."""
    wrong = no_time("gone_at", "%Y-%m-%dT%H:%M:%S", 27)
    yield trigger("orders_gone_insert", "INSERT ON orders", wrong, OUT_OF_BOUNDS)
    yield trigger("orders_gone_update", "UPDATE OF gone_at ON orders", wrong, OUT_OF_BOUNDS)


def memory(revision: int) -> Iterator[str]:
    """What a batch remembers is append-only, and nothing is added once the batch is there."""
    late = "EXISTS (SELECT 1 FROM batch WHERE account = NEW.account AND id = NEW.batch_id)"
    for table in ("batch_verdict", "batch_origin"):
        yield from append_only(table, revision)
        yield trigger(f"{table}_append_only_late", f"INSERT ON {table}", late, APPEND_ONLY)


def trigger(name: str, event: str, condition: str, message: str, *, when: str = "BEFORE") -> str:
    """A trigger that refuses a row with this message."""
    return (
        f"CREATE TRIGGER {name} {when} {event} FOR EACH ROW WHEN {condition}"
        f" BEGIN SELECT RAISE(ABORT, '{message}'); END"
    )


def erased(revision: int) -> Iterator[str]:
    """A buyer who was erased stays so, whatever a file says later."""
    for event in ("INSERT", "UPDATE"):
        name = f"buyer_stays_erased_{event.lower()}"
        yield trigger(name, f"{event} ON buyer", is_named_again("sqlite", revision), STAYS_ERASED)


def policy() -> Iterator[str]:
    """The rules of rejecting, and the policy of the store. SQLite knows no time zones: the program checks hours."""
    forbidden = f"{BECOMES_REJECTED} AND ({NEVER_REJECTED})"
    yield trigger("orders_by_the_rules", "UPDATE OF status ON orders", forbidden, BY_THE_RULES)
    rules = "(SELECT rules FROM policy WHERE account = NEW.account ORDER BY position DESC LIMIT 1)"
    sums = f"(SELECT currency, sum(max(total, 0)) AS amount FROM orders WHERE {IN_BATCH} GROUP BY currency)"

    def rule(name: str) -> str:
        return f"json_extract({rules}, '$.{name}')"

    def more_orders(name: str) -> str:
        counted = f"max(NEW.rejected, (SELECT count(*) FROM orders WHERE {IN_BATCH}))"
        return f"{rule(name)} IS NOT NULL AND {counted} > {rule(name)}"

    def more_money(name: str) -> str:
        limits = f"json_each({rules}, '$.{name}')"
        over = f"SELECT 1 FROM {limits} AS most JOIN {sums} AS sums ON sums.currency = most.key"
        return f"EXISTS (SELECT 1 FROM {limits}) AND EXISTS ({over} WHERE sums.amount > most.value)"

    codes = f"SELECT value FROM json_each({rules}, '$.reason_codes')"
    needs_second = any_of([more_orders("second_operator_above_orders"), more_money("second_operator_above_amounts")])
    refused = {
        "batch_by_the_rules": (SINGLY_IN_BULK, BY_THE_RULES),
        "batch_policy_orders": (more_orders("max_orders"), POLICY_ORDERS),
        "batch_policy_amount": (more_money("max_amounts"), POLICY_AMOUNT),
        "batch_policy_reason": (f"{rule('reason_required')} AND NEW.reason = '' AND {NO_REASON}", POLICY_REASON),
        "batch_policy_code": (
            f"EXISTS ({codes}) AND " + some_event("e.reason_code", f"{{}} NOT IN ({codes})"),
            POLICY_CODE,
        ),
        "batch_policy_second": (f"({needs_second}) AND {not_approved('sqlite')}", POLICY_SECOND),
    }
    for name, (condition, message) in refused.items():
        yield trigger(name, "INSERT ON batch", condition, message)


def recording(revision: int) -> Iterator[str]:
    """A batch counts its orders and follows the one before it, and nobody approves a plan of their own."""
    last = "(SELECT digest FROM batch WHERE account = NEW.account AND position = NEW.position - 1)"
    counted = f"NEW.rejected IS NOT (SELECT count(*) FROM orders WHERE {IN_BATCH}) OR NEW.planned < NEW.rejected"
    changed = any_of(f"NEW.{column} IS NOT OLD.{column}" for column in ("approver", "approved_at"))
    own = f"NEW.approver IS NOT NULL AND ({changed}) AND {own_approval('NEW', 'sqlite')}"
    begun = "NEW.state NOT IN ('saved', 'held') OR (NEW.state = 'held') <> (NEW.approver IS NOT NULL)"
    other = f"NEW.previous IS NOT coalesce({last}, '')"
    # After the other triggers and the unique indexes, which say more; of those after it, one looks at the rowid.
    mails = [("mails", MAILS_UNDIGESTED, BATCH_MAILS)]
    wholes = [("previous", other, BATCH_PREVIOUS), ("counts", counted, BATCH_COUNTS)]
    for name, wrong, message in (*wholes, *(mails if revision >= WITH_MAIL_DIGESTS else ())):
        condition = f"NEW.rowid >= 1 AND ({wrong})"
        yield trigger(f"batch_whole_{name}", "INSERT ON batch", condition, message, when="AFTER")
    yield trigger("plan_own_approval", "UPDATE OF approver, approved_at ON plan", own, OWN_APPROVAL)
    yield trigger("plan_begins_open", "INSERT ON plan", begun, PLAN_STEP)
