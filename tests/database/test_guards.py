"""The database itself keeps a rejection final and the log append-only, on both engines, against SQL by hand."""

import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime

import psycopg
import pytest

from orderctl.orders.eligibility import Mode
from orderctl.orders.orders import Status
from orderctl.orders.queries import get_order
from orderctl.rejection.plan import RequestKey
from support.factories import make_order, put
from support.rejection import ids, reject
from support.stores import REFUSALS, open_store, raw


@pytest.fixture
def connection(store, store_url):
    put(store, make_order("G1"), make_order("G2", status=Status.OC_CONFIRMED))
    reject(store, ids("G1", "G2"), RequestKey.of("NIGHT", ids("G1")))
    connection = raw(store_url)
    yield connection
    connection.close()


FORBIDDEN = {
    "un-reject": "UPDATE orders SET status = 'needs-oc', rejected_at = NULL WHERE id = 'G1'",
    "other total": "UPDATE orders SET total = 0 WHERE id = 'G1'",
    "other batch": "UPDATE orders SET batch_id = NULL WHERE id = 'G1'",
    "other id": "UPDATE orders SET id = 'G9' WHERE id = 'G1'",
    "gone": "UPDATE orders SET gone_at = rejected_at WHERE id = 'G1'",
    "delete order": "DELETE FROM orders WHERE id = 'G1'",
    "edit line": "UPDATE order_line SET quantity = 0 WHERE order_id = 'G1'",
    "delete line": "DELETE FROM order_line WHERE order_id = 'G1'",
    "move line": "UPDATE order_line SET order_id = 'G2', number = 9 WHERE order_id = 'G1'",
    "add line": "INSERT INTO order_line (account, order_id, number, quantity, unit_price)"
    " VALUES ('main', 'G1', 99, 1, 1)",
    "edit event": "UPDATE order_event SET actor = 'nobody'",
    "delete event": "DELETE FROM order_event",
    "edit batch": "UPDATE batch SET rejected = 0",
    "delete batch": "DELETE FROM batch",
    "edit verdict": "UPDATE batch_verdict SET code = ''",
    "delete verdict": "DELETE FROM batch_verdict",
    "late verdict": "INSERT INTO batch_verdict (account, batch_id, order_id, verdict)"
    " SELECT account, id, 'late', 'unknown' FROM batch",
    "edit origin": "UPDATE batch_origin SET source = ''",
    "delete origin": "DELETE FROM batch_origin",
    "late origin": "INSERT INTO batch_origin (account, batch_id, number) SELECT account, id, 99 FROM batch",
}


@pytest.mark.parametrize("statement", FORBIDDEN.values(), ids=FORBIDDEN)
def test_the_engine_refuses(connection, statement):
    with pytest.raises(REFUSALS, match="a rejected order is final|the log is append-only"):
        connection.execute(statement)


@pytest.mark.parametrize(
    "table", ["orders", "order_event", "batch", "order_line", "mail", "mail_order", "batch_verdict", "batch_origin"]
)
def test_postgresql_refuses_to_truncate(postgres_url, table):
    with psycopg.connect(postgres_url) as connection, pytest.raises(psycopg.errors.IntegrityError):
        connection.execute(f"TRUNCATE {table} CASCADE")


def test_postgresql_refuses_a_replica_session_too(postgres_url):
    with psycopg.connect(postgres_url) as connection:
        connection.execute("SET session_replication_role = replica")
        with pytest.raises(psycopg.errors.IntegrityError):
            connection.execute("TRUNCATE order_event")


@pytest.mark.parametrize("table", ["orders", "order_event", "batch"])
def test_sqlite_refuses_to_replace(sqlite_url, table):
    with open_store(sqlite_url) as store:
        put(store, make_order("G1"))
        reject(store, ids("G1"))
    connection = raw(sqlite_url)
    with pytest.raises(sqlite3.IntegrityError, match="final|append-only"):
        connection.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")
    connection.close()


PROTECTED = {
    "orders": "SELECT {columns} FROM orders WHERE status = 'rejected'",
    "order_line": "SELECT {columns} FROM order_line WHERE order_id IN ('G1', 'G3')",
    "batch": "SELECT {columns} FROM batch",
    "order_event": "SELECT {columns} FROM order_event",
    "mail_event": "SELECT {columns} FROM mail_event",
    "mail": "SELECT {columns} FROM mail",
    "mail_order": "SELECT {columns} FROM mail_order",
    "batch_verdict": "SELECT {columns} FROM batch_verdict",
    "batch_origin": "SELECT {columns} FROM batch_origin",
}
CONFLICT = ("", "OR REPLACE", "OR IGNORE", "OR ABORT", "OR FAIL", "OR ROLLBACK")
ROWIDS = ("rowid", "_rowid_", "oid")
FRESH = {"status": "needs-oc", "rejected_at": None, "batch_id": None}


class Tables:
    """What the engine itself says of its tables: their columns, and every key that two rows cannot share."""

    def __init__(self, connection):
        self.connection = connection
        self.sqlite = isinstance(connection, sqlite3.Connection)

    def keys(self, table):
        if not self.sqlite:
            found = self.connection.execute(
                "SELECT array_agg(a.attname::text) FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid"
                " AND a.attnum = ANY (i.indkey) WHERE i.indrelid = %s::regclass AND i.indisunique"
                " GROUP BY i.indexrelid",
                [table],
            )
            return [tuple(columns) for (columns,) in found]
        unique = [row[1] for row in self.connection.execute(f"PRAGMA index_list({table})") if row[2]]
        keys = [tuple(row[2] for row in self.connection.execute(f"PRAGMA index_info({index})")) for index in unique]
        return keys if self._without_rowid(table) else [*keys, *((name,) for name in ROWIDS)]

    def _without_rowid(self, table):
        return self.connection.execute("SELECT wr FROM pragma_table_list WHERE name = ?", [table]).fetchone()[0]

    def columns(self, table):
        if not self.sqlite:
            found = self.connection.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = %s", [table]
            )
            return [name for (name,) in found]
        columns = [row[1] for row in self.connection.execute(f"PRAGMA table_info({table})")]
        return columns if self._without_rowid(table) else [*columns, "rowid"]

    def rows(self, table):
        """Every row that nothing may change, whole."""
        columns = self.columns(table)
        found = self.connection.execute(PROTECTED[table].format(columns=", ".join(columns)))
        return [dict(zip(columns, row, strict=True)) for row in found]

    def everything(self):
        return {table: sorted(map(repr, self.rows(table))) for table in PROTECTED}

    def run(self, sql, values):
        """Run one statement; whether it was refused or not, what is protected is what it was. Nothing stays."""
        before = self.everything()
        if not self.sqlite:
            sql = sql.replace("?", "%s")
        self.connection.execute("BEGIN")
        with suppress(*REFUSALS):
            self.connection.execute(sql, values)
        if not self.sqlite and self.connection.info.transaction_status == psycopg.pq.TransactionStatus.INERROR:
            self.connection.execute("ROLLBACK")
            return
        assert self.everything() == before, (sql, values)
        if not self.sqlite or self.connection.in_transaction:
            self.connection.execute("ROLLBACK")


def intruders(tables, table, key):
    """Statements by which another row takes the key of a protected one: new rows, and rows that are there."""
    victim = tables.rows(table)[0]
    keys = [other for other in tables.keys(table) if other[0] not in ROWIDS or key[0] not in ROWIDS]
    others = {column for other in keys for column in other} - {*key, "_rowid_", "oid"}
    fresh = {column: 9_999 if isinstance(victim[column], int) else "fresh" for column in others}
    row = {**victim, **{column: value for column, value in FRESH.items() if column in victim}, **fresh}
    into = f"INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' for _ in row)})"
    values = list(row.values())
    taken = [victim["rowid" if column in ROWIDS else column] for column in key]
    change = f"{table} SET {', '.join(f'{column} = ?' for column in key)}"
    for clause in CONFLICT if tables.sqlite else [""]:
        yield f"INSERT {clause} {into}", values
        yield f"UPDATE {clause} {change} WHERE {INTRUDER[table]}", taken
    target = "" if key[0] in ROWIDS else f"({', '.join(key)})"
    plain = next(column for column in row if column not in {*key, *others})
    yield f"INSERT {into} ON CONFLICT {target} DO NOTHING", values
    yield f"INSERT {into} ON CONFLICT {target} DO UPDATE SET {plain} = excluded.{plain}", values


INTRUDER = {
    "orders": "id = 'G2'",
    "order_line": "order_id = 'G2'",
    "batch": "id = (SELECT max(id) FROM batch)",
    "order_event": "order_id = 'G3'",
    "mail_event": "id = 'second'",
    "mail": "id = (SELECT max(id) FROM mail)",
    "mail_order": "order_id = 'G3'",
    "batch_verdict": "order_id = 'unknown'",
    "batch_origin": "batch_id = (SELECT max(id) FROM batch)",
}


@pytest.mark.parametrize("table", PROTECTED)
def test_nothing_takes_the_place_of_what_is_final(connection, store, table):
    put(store, make_order("G3"), make_order("G5"))
    reject(store, ids("G3", "G5", "unknown"), notify=True, per_order=True)
    for event in ("first", "second"):
        connection.execute(
            "INSERT INTO mail_event (account, mail_id, id, action, from_state, to_state, actor, at)"
            f" SELECT 'main', 'm', '{event}', 'retry', 'refused', 'waiting', 'mia', at FROM batch LIMIT 1"
        )
    tables = Tables(connection)
    found = tables.keys(table)
    assert found
    tried = [statement for key in found for statement in intruders(tables, table, key)]
    for sql, values in tried:
        tables.run(sql, values)


MAIL_AS = {
    "waiting": {},
    "unknown": {"state": "unknown", "attempts": 1, "subject": "s", "text": "t", "html": "h"},
    "refused": {"state": "refused"},
    "sent": {"state": "sent", "attempts": 1, "subject": "s", "text": "t", "html": "h"},
}
MAIL_CHANGES = [
    ("waiting", "UPDATE mail SET recipient = 'thief@x.example'", "only as logged in mail_event"),
    ("unknown", "UPDATE mail SET recipient = 'thief@x.example'", "keeps its recipient|logged in mail_event"),
    ("refused", "UPDATE mail SET recipient = 'thief@x.example', state = 'waiting'", "logged in mail_event"),
    ("unknown", "UPDATE mail SET state = 'bounced'", "is logged in mail_event"),
    ("sent", "UPDATE mail SET state = 'bounced'", "is logged in mail_event"),
    ("waiting", "UPDATE mail SET state = 'bounced'", "does not go this way"),
    ("waiting", "UPDATE mail SET message_id = '<another@x.example>'", "keeps its recipient"),
    ("waiting", "UPDATE mail SET id = 'another'", "keeps its recipient"),
    ("waiting", "UPDATE mail SET state = 'sent'", "does not go this way"),
    ("waiting", "UPDATE mail SET state = 'unknown'", "does not go this way"),
    ("waiting", "UPDATE mail SET state = 'cancelled'", "is logged in mail_event"),
    ("waiting", "UPDATE mail SET next_attempt_at = '2126-01-01T00:00:00.000000Z'", "is logged in mail_event"),
    ("waiting", "UPDATE mail SET token = 'mine'", "does not go this way"),
    ("waiting", "UPDATE mail SET attempts = 2147483646", "out of its bounds"),
    ("waiting", "DELETE FROM mail", "keeps its recipient"),
    ("waiting", "UPDATE mail_order SET message = 'x'", "keeps its recipient"),
    ("waiting", "DELETE FROM mail_order", "keeps its recipient"),
    (
        "waiting",
        "INSERT INTO mail_order (account, mail_id, order_id) SELECT account, mail_id, 'G2' FROM mail_order",
        "keeps its recipient",
    ),
    ("unknown", "UPDATE mail SET text = 'another'", "keeps its recipient"),
    ("unknown", "UPDATE mail SET state = 'waiting'", "is logged in mail_event"),
    ("unknown", "UPDATE mail SET state = 'retry'", "does not go this way"),
    ("unknown", "UPDATE mail SET state = 'sent'", "is logged in mail_event"),
    ("unknown", "UPDATE mail SET state = 'retry', token = 'mine'", "does not go this way"),
    ("unknown", "UPDATE mail SET state = 'sending'", "does not go this way"),
    ("refused", "UPDATE mail SET state = 'waiting'", "is logged in mail_event"),
    ("refused", "UPDATE mail SET state = 'sent'", "does not go this way"),
    ("sent", "UPDATE mail SET state = 'waiting'", "a sent one is final"),
    ("sent", "UPDATE mail SET last_error = ''", "a sent one is final"),
    ("sent", "UPDATE mail SET next_attempt_at = created_at", "a sent one is final"),
]


@pytest.mark.parametrize(("state", "statement", "said"), MAIL_CHANGES)
def test_a_queued_mail_is_what_it_was_queued_as_and_a_sent_one_is_final(connection, store, state, statement, said):
    put(store, make_order("G3"))
    reject(store, ids("G3"), notify=True)
    if MAIL_AS[state]:
        for step in ("claimed", "sending", *(["unknown"] if state == "unknown" else [])):
            connection.execute(f"UPDATE mail SET state = '{step}'")
        changes = ", ".join(f"{column} = {value!r}" for column, value in MAIL_AS[state].items())
        connection.execute(f"UPDATE mail SET {changes}")
    with pytest.raises(REFUSALS, match=said):
        connection.execute(statement)


MAIL_EVENT = (
    "INSERT INTO mail_event"
    " (account, mail_id, id, action, from_state, to_state, actor, at, from_recipient, to_recipient)"
    " SELECT account, id, 'e' || '{to}', 'retry', state, '{to}', 'mia', updated_at, {recipients} FROM mail"
)
MOVED = "recipient, 'new@x.example'"


@pytest.mark.parametrize(
    ("state", "to", "recipients", "changes", "said"),
    [
        ("refused", "waiting", MOVED, "state = 'waiting', recipient = 'new@x.example'", ""),
        ("sent", "bounced", "'', ''", "state = 'bounced'", ""),
        ("unknown", "bounced", "'', ''", "state = 'bounced', token = NULL", ""),
        ("refused", "waiting", "'', ''", "state = 'waiting', recipient = 'new@x.example'", "only as logged"),
        ("refused", "waiting", MOVED, "state = 'waiting', recipient = 'thief@x.example'", "only as logged"),
        ("sent", "bounced", MOVED, "state = 'bounced', recipient = 'new@x.example'", "keeps its recipient"),
        ("sent", "bounced", "'', ''", "state = 'bounced', text = 'another'", "keeps its recipient"),
        ("sent", "bounced", "'', ''", "state = 'bounced', token = 'mine'", "does not go this way"),
        ("sent", "waiting", MOVED, "state = 'waiting', recipient = 'new@x.example'", "a sent one is final"),
    ],
)
def test_a_mail_comes_back_or_gets_another_address_only_as_its_log_says(
    connection, store, state, to, recipients, changes, said
):
    put(store, make_order("G3"))
    reject(store, ids("G3"), notify=True)
    for step in ("claimed", "sending", *(["unknown"] if state == "unknown" else [])):
        connection.execute(f"UPDATE mail SET state = '{step}'")
    connection.execute(
        f"UPDATE mail SET {', '.join(f'{column} = {value!r}' for column, value in MAIL_AS[state].items())}"
    )
    connection.execute(MAIL_EVENT.format(to=to, recipients=recipients))
    if said:
        with pytest.raises(REFUSALS, match=said):
            connection.execute(f"UPDATE mail SET {changes}")
    else:
        connection.execute(f"UPDATE mail SET {changes}")


HOSTILE = {
    "a position far ahead": "INSERT INTO batch (account, id, position, at, mode)"
    " SELECT account, 'far', 9223372036854775807, at, mode FROM batch",
    "a position left out": "INSERT INTO batch (account, id, position, at, mode)"
    " SELECT account, 'gap', position + 2, at, mode FROM batch",
    "a batch of another age": "INSERT INTO batch (account, id, position, at, mode)"
    " SELECT account, 'late', position + 1, '9998-01-01T00:00:00.000000Z', mode FROM batch",
    "a count below nothing": "INSERT INTO batch (account, id, position, at, mode, rejected)"
    " SELECT account, 'few', position + 1, at, mode, -1 FROM batch",
    "the last version": "UPDATE orders SET version = 2147483647 WHERE id = 'G2'",
    "an order of the last version": "INSERT INTO orders"
    " (account, id, status, ordered_at, currency, total, quantity, version)"
    " SELECT account, 'G9', 'needs-oc', ordered_at, currency, 1, 1, 2147483647 FROM orders WHERE id = 'G2'",
    "a total that no sum holds": "UPDATE orders SET total = 9223372036854775807 WHERE id = 'G2'",
    "a count that no column holds": "UPDATE orders SET invoices = -1 WHERE id = 'G2'",
    "a price that no sum holds": "UPDATE order_line SET unit_price = -9223372036854775807 WHERE order_id = 'G2'",
}
HOSTILE_TEXTS = {
    "a day that is none": "UPDATE orders SET delivery_from = '2026-02-31' WHERE id = 'G2'",
    "an instant that is none": "UPDATE orders SET ordered_at = 'yesterday' WHERE id = 'G2'",
    "gone at no time": "UPDATE orders SET gone_at = '2026-02-31T00:00:00.000000Z' WHERE id = 'G2'",
    "a batch at no time": "INSERT INTO batch (account, id, position, at, mode)"
    " SELECT account, 'never', position + 1, 'never', mode FROM batch",
    "a digest that is no text": "INSERT INTO batch (account, id, position, at, mode, digest)"
    " SELECT account, 'blob', position + 1, at, mode, x'00ff' FROM batch",
    "a total that is no number": "UPDATE orders SET total = 'much' WHERE id = 'G2'",
    "the first rowid of all": "INSERT INTO batch (rowid, account, id, position, at, mode)"
    " SELECT -1, account, 'below', position + 1, at, mode FROM batch",
}


def still_rejects(store):
    put(store, make_order("G4"))
    return reject(store, ids("G2", "G4"), mode=Mode.INDIVIDUAL).rejected


@pytest.mark.parametrize("statement", HOSTILE.values(), ids=HOSTILE)
def test_no_row_ends_later_rejections(connection, store, statement):
    with pytest.raises(REFUSALS, match="out of its bounds|append-only"):
        connection.execute(statement)
    assert still_rejects(store) == 2


@pytest.mark.parametrize("decimals", [-1, 4, "'many'", "NULL"])
def test_the_decimals_of_a_quantity_are_few(connection, decimals):
    with pytest.raises((sqlite3.Error, psycopg.Error)):
        connection.execute(f"UPDATE order_line SET quantity_decimals = {decimals} WHERE order_id = 'G2'")


@pytest.mark.parametrize("statement", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
def test_no_text_in_the_place_of_a_value_ends_later_rejections(sqlite_url, statement):
    with open_store(sqlite_url) as store, closing(raw(sqlite_url)) as connection:
        put(store, make_order("G1"), make_order("G2", status=Status.OC_CONFIRMED))
        reject(store, ids("G1"))
        with pytest.raises(sqlite3.IntegrityError, match="out of its bounds"):
            connection.execute(statement)
        assert still_rejects(store) == 2


@pytest.mark.parametrize("at", ["soon", "2026-02-31T00:00:00.000000Z", "10000-01-01T00:00:00.000000Z"])
def test_when_a_source_spoke_can_always_be_read(store, store_url, at):
    put(store, make_order("G1"))
    with closing(raw(store_url)) as connection, pytest.raises((*REFUSALS, psycopg.DataError)):
        connection.execute(f"UPDATE order_source SET seen_at = '{at}'")
    assert reject(store, ids("G1")).rejected == 1


@pytest.mark.parametrize("microsecond", [0, 1, 499_999, 999_499, 999_500, 999_999])
def test_an_order_of_any_instant_is_kept(store, microsecond):
    at = datetime(2026, 2, 28, 23, 59, 59, microsecond, tzinfo=UTC)
    put(store, make_order("G7", ordered_at=at))
    with store.snapshot() as connection:
        assert get_order(connection, "G7").ordered_at == at


def test_archiving_is_what_a_rejected_order_allows(connection, store):
    connection.execute("UPDATE orders SET archived_at = rejected_at, version = version + 1 WHERE id = 'G1'")
    with store.snapshot() as after:
        assert get_order(after, "G1").archived_at is not None


def test_other_orders_may_change(connection):
    connection.execute("UPDATE orders SET total = 1 WHERE id = 'G2'")
    connection.execute("UPDATE order_line SET quantity = 1 WHERE order_id = 'G2'")
    connection.execute("DELETE FROM order_line WHERE order_id = 'G2'")


TO_REJECTED = "UPDATE orders SET status = 'rejected', rejected_at = ordered_at"
EVENT = (
    "INSERT INTO order_event (account, order_id, id, batch_id, to_status, at)"
    " SELECT account, '{order}', '{id}', '{batch}', '{to}', at FROM batch"
)
NEW = (
    "INSERT{clause} INTO orders (account, id, status, rejected_at, ordered_at, currency, total, quantity, version)"
    " SELECT account, '{id}', '{status}', {at}, ordered_at, currency, 1, 1, {version} FROM orders WHERE id = 'G2'"
)
AROUND = {
    "with no batch": [TO_REJECTED + " WHERE id = 'G2'"],
    "with a batch that knows nothing of it": [TO_REJECTED + ", batch_id = (SELECT max(id) FROM batch) WHERE id = 'G2'"],
    "with the event of another order": [
        EVENT.format(order="G1", id="b", batch="b", to="rejected"),
        TO_REJECTED + ", batch_id = 'b' WHERE id = 'G2'",
    ],
    "with the event of another batch": [
        EVENT.format(order="G2", id="b", batch="c", to="rejected"),
        TO_REJECTED + ", batch_id = 'b' WHERE id = 'G2'",
    ],
    "with an event of something else": [
        EVENT.format(order="G2", id="b", batch="b", to="needs-oc"),
        TO_REJECTED + ", batch_id = 'b' WHERE id = 'G2'",
    ],
    "with what an import of a new order notes": [
        EVENT.format(order="G2", id="x", batch="", to="rejected").replace("''", "NULL"),
        TO_REJECTED + ", version = version + 1 WHERE id = 'G2'",
    ],
    "back at the version of a new order": [
        "UPDATE orders SET version = 0 WHERE id = 'G2'",
        TO_REJECTED + " WHERE id = 'G2'",
    ],
    "by an upsert": [
        NEW.format(clause="", id="G2", status="rejected", at="ordered_at", version=1)
        + " ON CONFLICT (account, id) DO UPDATE SET status = 'rejected', rejected_at = excluded.rejected_at",
    ],
    "by an upsert of a new order": [
        NEW.format(clause="", id="G2", status="needs-oc", at="NULL", version=0)
        + " ON CONFLICT (account, id) DO UPDATE SET status = 'rejected', rejected_at = orders.ordered_at",
    ],
}
ARRIVES = NEW.format(clause="", id="G9", status="needs-oc", at="NULL", version=0)
AROUND_SQLITE = {
    "replaced by a rejected one": [
        NEW.format(clause=" OR REPLACE", id="G2", status="rejected", at="ordered_at", version=1)
    ],
    "replaced by a new one": [
        NEW.format(clause=" OR REPLACE", id="G2", status="needs-oc", at="NULL", version=0),
        TO_REJECTED + ", version = 1 WHERE id = 'G2'",
    ],
    "replaced by a new one that moves": [
        ARRIVES,
        "UPDATE OR REPLACE orders SET id = 'G2' WHERE id = 'G9'",
        TO_REJECTED + ", version = 1 WHERE id = 'G2'",
    ],
    "replaced by a new one that moves and is rejected": [
        ARRIVES,
        "UPDATE OR REPLACE orders SET id = 'G2', status = 'rejected', rejected_at = ordered_at WHERE id = 'G9'",
    ],
    "replaced by a new one that takes its rowid": [
        ARRIVES,
        "UPDATE OR REPLACE orders SET rowid = (SELECT rowid FROM orders WHERE id = 'G2') WHERE id = 'G9'",
        TO_REJECTED + ", version = 1 WHERE id = 'G9'",
    ],
    "replaced at its rowid": [
        NEW.format(clause=" OR REPLACE", id="G9", status="rejected", at="ordered_at", version=1)
        .replace("(account", "(rowid, account")
        .replace("SELECT account", "SELECT rowid, account")
    ],
}


def try_around(connection, statements):
    """One after the other, as somebody would who does not look; none of it stays."""
    refusals = []
    for statement in statements:
        connection.execute("SAVEPOINT before")
        try:
            connection.execute(statement)
        except REFUSALS as error:
            refusals.append(str(error))
            connection.execute("ROLLBACK TO before")
    rows = connection.execute("SELECT id, status FROM orders WHERE id IN ('G2', 'G9') ORDER BY id").fetchall()
    return bool(refusals), dict(rows)


@pytest.mark.parametrize("statements", AROUND.values(), ids=AROUND)
def test_an_order_that_is_there_becomes_rejected_by_a_batch_alone(connection, statements):
    connection.execute("BEGIN")
    assert try_around(connection, statements) == (True, {"G2": "oc-confirmed"})


@pytest.mark.parametrize("statements", AROUND_SQLITE.values(), ids=AROUND_SQLITE)
def test_nothing_that_arrives_rejected_takes_the_place_of_an_order(sqlite_url, statements):
    with open_store(sqlite_url) as store, closing(raw(sqlite_url)) as connection:
        put(store, make_order("G1"), make_order("G2", status=Status.OC_CONFIRMED, lines=(), buyer=None))
        reject(store, ids("G1"))
        connection.execute("BEGIN")
        refused, found = try_around(connection, statements)
        assert (refused, found["G2"]) == (True, "oc-confirmed")


def test_an_order_may_arrive_rejected_by_hand(connection):
    connection.execute(ARRIVES)
    connection.execute(TO_REJECTED + ", version = 1 WHERE id = 'G9'")
    with pytest.raises(REFUSALS, match="a rejected order is final"):
        connection.execute("UPDATE orders SET status = 'needs-oc', rejected_at = NULL WHERE id = 'G9'")
