"""A database of somebody else's schema is told of a rejection by one guarded UPDATE, or nothing happens there."""

import json
import sqlite3
import threading
import time
from contextlib import contextmanager

import psycopg
import pytest

from support.cli import Cli
from support.systems import cancellation, system_of, told

SCHEMA = """
CREATE TABLE sales_order (
  nr TEXT PRIMARY KEY, state TEXT NOT NULL CHECK (state IN ('booked', 'storno', 'shipped')), why TEXT, stopped_at TEXT
)
"""
HEADER = "id,status,ordered,currency,total,buyer_id,buyer_name,buyer_email"
STATEMENT = (
    "UPDATE sales_order SET state = 'storno', why = :reason, stopped_at = :rejected_at"
    " WHERE nr = :key AND state = 'booked'"
)
QUERY = (
    "SELECT CASE state WHEN 'booked' THEN 'open' WHEN 'storno' THEN 'cancelled' ELSE 'closed' END"
    " FROM sales_order WHERE nr = :key"
)


class Erp:
    """A database with orders A, B and C, and the command line that knows it as the system `erp`."""

    def __init__(self, address, connect, folder, store):
        self.connect = connect
        self.run(SCHEMA, "INSERT INTO sales_order VALUES ('A', 'booked', '', ''), ('B', 'booked', '', '')")
        self.run("INSERT INTO sales_order VALUES ('C', 'shipped', '', '')")
        self.address, self.config = address, folder / "config.toml"
        self.set(statement=STATEMENT)
        self.cli = Cli(store, folder / "home", ORDERCTL_CONFIG=str(self.config))
        file = folder / "orders.csv"
        rows = [f"{each},needs-oc,2026-01-01,EUR,10,x,N,x@b.example" for each in "ABCD"]
        file.write_text("\n".join([HEADER, *rows]) + "\n")
        assert self.cli("import", str(file), "--source", "erp").code == 0

    def set(self, **settings):
        rows = {"kind": "sql", "url": self.address, "timeout": 1, **settings}
        lines = [f"{name} = {json.dumps(value)}" for name, value in rows.items()]
        self.config.write_text("\n".join(["[profile.default.systems.erp]", *lines]) + "\n")

    def run(self, *statements):
        with self.open() as connection:
            return [
                list(connection.execute(each)) if "SELECT" in each else connection.execute(each) for each in statements
            ]

    @contextmanager
    def open(self):
        connection = self.connect()
        try:
            yield connection
            connection.commit()
        finally:
            connection.close()

    def states(self):
        return dict(self.run("SELECT nr, state FROM sales_order")[0])

    def told(self):
        """The state of the write-back of each order, and what the system said of it."""
        listed = self.cli("writeback", "list", "--format", "json").json
        return {each["order_id"]: (each["state"], each["last_error"]) for each in listed}


@pytest.fixture(params=["sqlite", "postgresql"])
def erp(request, tmp_path, sqlite_url):
    """Its database is SQLite, or a PostgreSQL; our store is another one."""
    if request.param == "sqlite":
        path = tmp_path / "erp.db"
        sqlite3.connect(path).close()
        return Erp(f"sqlite:///{path}", lambda: sqlite3.connect(path), tmp_path, sqlite_url)
    url = request.getfixturevalue("postgres_url")
    return Erp(url, lambda: psycopg.connect(url), tmp_path, sqlite_url)


def test_an_order_is_cancelled_in_the_words_of_the_other_schema(erp):
    ran = erp.cli("reject", "A", "--reason", "it's dropped; DROP TABLE", "--yes")
    assert (ran.code, "1 order cancelled there" in ran.out) == (0, True)
    assert erp.states() == {"A": "storno", "B": "booked", "C": "shipped"}
    [[(why, at)]] = erp.run("SELECT why, stopped_at FROM sales_order WHERE nr = 'A'")
    assert (why, at[:2], at[-6:]) == ("it's dropped; DROP TABLE", "20", "+00:00")


def test_a_row_that_changed_meanwhile_is_a_conflict_and_stays_as_it_is(erp):
    assert erp.cli("reject", *"ABCD", "--yes").code == 5
    assert erp.states() == {"A": "storno", "B": "storno", "C": "shipped"}
    told = erp.told()
    assert {order: state for order, (state, _) in told.items()} == {
        "A": "sent", "B": "sent", "C": "refused", "D": "refused",
    }  # fmt: skip
    assert "changed there meanwhile, or not there" in told["C"][1]


def test_a_database_that_can_be_asked_says_why(erp):
    erp.set(statement=STATEMENT, query=QUERY)
    erp.run("UPDATE sales_order SET state = 'storno' WHERE nr = 'B'")
    assert erp.cli("reject", *"ABCD", "--yes").code == 5
    assert erp.told() == {
        "A": ("sent", "erp cancelled it"),
        "B": ("sent", "erp had cancelled it before"),
        "C": ("refused", "erp does not cancel it: it is closed there"),
        "D": ("refused", "erp has no order D"),
    }


@pytest.mark.parametrize(("asks", "second"), [(True, "sent"), (False, "refused")])
def test_a_repetition_of_what_was_done_changes_nothing(erp, tmp_path, asks, second):
    settings = {"query": QUERY} if asks else {}
    system = system_of(tmp_path, kind="sql", url=erp.address, statement=STATEMENT, **settings)
    late = cancellation("A", reason="again")
    assert [state for state, _ in told(system, cancellation("A"), late)] == ["sent", second]
    assert erp.run("SELECT why FROM sales_order WHERE nr = 'A'")[0] == [("dropped",)]


@pytest.fixture
def postgres_erp(postgres_url, tmp_path, sqlite_url):
    return Erp(postgres_url, lambda: psycopg.connect(postgres_url), tmp_path, sqlite_url)


LOST = "PERFORM pg_terminate_backend(pg_backend_pid())"


@pytest.mark.parametrize(
    ("happens", "does", "state", "said"),
    [
        ("BEFORE", LOST, "retry", "erp puts it off: "),
        ("AT COMMIT", LOST, "unknown", "erp did not answer ("),
        ("BEFORE", "RAISE 'it is invoiced'", "refused", "erp does not cancel it: it is invoiced"),
        ("AT COMMIT", "RAISE 'it is invoiced'", "refused", "erp does not cancel it: it is invoiced"),
    ],
)
def test_what_happens_before_the_commit_changes_nothing_and_what_happens_at_it_is_known_or_not(
    postgres_erp, tmp_path, happens, does, state, said
):
    kind, when = ("CONSTRAINT TRIGGER", "AFTER UPDATE") if happens == "AT COMMIT" else ("TRIGGER", "BEFORE UPDATE")
    deferred = "DEFERRABLE INITIALLY DEFERRED" if happens == "AT COMMIT" else ""
    postgres_erp.run(
        f"CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {does}; RETURN new; END $$",
        f"CREATE {kind} acts {when} ON sales_order {deferred} FOR EACH ROW WHEN (new.nr = 'A') EXECUTE FUNCTION act()",
    )
    system = system_of(tmp_path, kind="sql", url=postgres_erp.address, statement=STATEMENT)
    [(first, words), (second, _)] = told(system, cancellation("A"), cancellation("B", number=2))
    assert (first, words.startswith(said), second) == (state, True, "sent"), words
    assert postgres_erp.states()["A"] == "booked"


def test_a_key_that_is_a_number_there_is_compared_as_one(postgres_erp, tmp_path):
    postgres_erp.run("CREATE TABLE numbered (id bigint PRIMARY KEY, off boolean, at timestamptz)")
    postgres_erp.run("INSERT INTO numbered VALUES (17, false, NULL)")
    statement = "UPDATE numbered SET off = true, at = :rejected_at WHERE id = :key AND NOT off"
    system = system_of(tmp_path, kind="sql", url=postgres_erp.address, statement=statement)
    first, second, third = told(system, cancellation("17"), cancellation("17"), cancellation("no number"))
    assert (first[0], second[0], third[0]) == ("sent", "refused", "refused")
    assert postgres_erp.run("SELECT off, at FROM numbered") == [[(True, cancellation().rejected_at)]]


def test_a_database_that_is_not_there_keeps_the_write_backs(postgres_erp):
    postgres_erp.set(statement=STATEMENT, url="postgresql://nobody@/erp?host=/nowhere")
    ran = postgres_erp.cli("reject", "A", "--yes")
    assert (ran.code, "erp cannot be reached" in ran.out) == (5, True)
    assert postgres_erp.told()["A"][0] == "waiting"


def test_a_database_is_asked_about_what_is_unknown(postgres_erp, tmp_path):
    system = system_of(tmp_path, kind="sql", url=postgres_erp.address, statement=STATEMENT, query=QUERY)
    with system:
        assert system.look(["A", "C", "X"]) == {"A": "open", "C": "closed", "X": "missing"}


def test_config_check_connects_and_names_what_is_wrong(erp):
    assert "ok     systems.erp: " in erp.cli("config", "check").out
    erp.set(statement="SELECT :key")
    ran = erp.cli("config", "check")
    assert (ran.code, "systems.erp.statement is not an UPDATE" in ran.out) == (2, True)
    assert erp.states() == {"A": "booked", "B": "booked", "C": "shipped"}


def test_more_than_one_row_is_rolled_back(erp):
    erp.set(statement="UPDATE sales_order SET state = 'storno' WHERE nr <> :key")
    assert erp.cli("reject", "A", "--yes").code == 5
    assert erp.told()["A"] == ("refused", "erp does not cancel it: the statement would change 2 rows")
    assert erp.states() == {"A": "booked", "B": "booked", "C": "shipped"}


def test_what_a_constraint_refuses_is_a_conflict_in_the_words_of_the_database(erp):
    erp.set(statement="UPDATE sales_order SET state = :reason WHERE nr = :key AND state = 'booked'")
    assert erp.cli("reject", *"AB", "--reason", "odd", "--yes").code == 5
    state, said = erp.told()["A"]
    assert (state, "constraint" in said.lower()) == ("refused", True)
    assert erp.told()["B"][0] == "refused"
    assert erp.states() == {"A": "booked", "B": "booked", "C": "shipped"}


def test_a_row_that_somebody_holds_is_tried_later(erp):
    with erp.open() as other:
        other.execute("UPDATE sales_order SET why = 'being edited' WHERE nr = 'A'")
        ran = erp.cli("reject", "A", "--yes")
    assert (ran.code, erp.told()["A"][0]) == (5, "retry")
    assert erp.cli("writeback", "retry", "--all").code == 0
    assert erp.cli("writeback", "send").code == 0
    assert erp.states()["A"] == "storno"


def test_a_row_is_looked_at_again_after_somebody_who_held_it(erp):
    """The other transaction ships the order while ours waits for its row."""
    erp.set(statement=STATEMENT, timeout=20)
    connection = erp.connect()
    connection.execute("UPDATE sales_order SET state = 'shipped' WHERE nr = 'A'")
    ran = []
    rejecting = threading.Thread(target=lambda: ran.append(erp.cli("reject", "A", "--yes")))
    rejecting.start()
    time.sleep(1.5)
    connection.commit()
    connection.close()
    rejecting.join()
    assert (ran[0].code, erp.told()["A"][0], erp.states()["A"]) == (5, "refused", "shipped")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "systems.erp.statement is not set"),
        ({"statement": "DELETE FROM sales_order WHERE nr = :key"}, "is not an UPDATE"),
        ({"statement": "UPDATE sales_order SET state = 'storno'"}, "does not say which order"),
        ({"statement": "UPDATE sales_order SET why = :reson WHERE nr = :key"}, "there is no parameter :reson"),
        ({"statement": "@/nowhere/cancel.sql"}, "/nowhere/cancel.sql cannot be read"),
        ({"statement": STATEMENT, "url": "sqlite:////nowhere/erp.db"}, "there is no such file of SQLite"),
    ],
)
def test_settings_that_cannot_be_used_are_named_and_nothing_is_sent(erp, settings, said):
    erp.set(**settings)
    ran = erp.cli("reject", "A", "--yes")
    # Nothing is rejected whose system could not be told.
    assert (ran.code, said in ran.err, erp.told(), erp.states()["A"]) == (2, True, {}, "booked"), ran


@pytest.mark.parametrize("statement", ["UPDATE no_table SET x = 1 WHERE nr = :key", "UPDATE sales_order WHERE :key"])
def test_a_statement_that_cannot_be_run_stops_the_round_and_no_order_is_in_conflict(erp, statement):
    erp.set(statement=statement)
    ran = erp.cli("reject", *"AB", "--yes")
    assert (ran.code, "systems.erp.statement cannot be run" in ran.out) == (5, True)
    assert {state for state, _ in erp.told().values()} <= {"waiting", "retry"}


def test_a_query_that_says_something_else_is_named(erp):
    erp.set(statement=STATEMENT, query="SELECT state FROM sales_order WHERE nr = :key")
    ran = erp.cli("reject", "C", "--yes")
    assert (ran.code, "systems.erp.query says 'shipped' of an order" in ran.out) == (5, True)


ORDERS = (
    "SELECT nr AS id, CASE state WHEN 'booked' THEN 'needs-oc' WHEN 'storno' THEN 'rejected' ELSE 'oc-confirmed' END"
    " AS status, '2026-01-01' AS ordered, 'EUR' AS currency, '10.00' AS total,"
    " CASE state WHEN 'shipped' THEN 1 ELSE 0 END AS delivery_notes FROM sales_order"
)


def test_its_orders_are_pulled_by_the_select_of_the_settings(erp):
    erp.set(statement=STATEMENT, orders=ORDERS)
    erp.run("INSERT INTO sales_order VALUES ('E', 'booked', '', '')")
    pulled = erp.cli("pull", "erp", "--format", "json")
    assert (pulled.code, pulled.json["created"], pulled.json["source"]) == (0, 1, "erp"), pulled.err
    ran = erp.cli("reject", "E", "C", "--yes", "--format", "json")
    # What was shipped there is protected here; and a database is not asked again, the guard of its statement is.
    assert (ran.code, ran.json["rejected"], erp.states()["E"]) == (0, 1, "storno")
    assert "Not asked again before the orders are rejected: erp." in ran.err
    assert erp.cli("pull", "erp", "--format", "json").json["rejected_left_alone"] == 1


@pytest.mark.parametrize(
    ("orders", "said"),
    [
        ("", "systems.erp.orders is not set"),
        ("SELECT wrong FROM sales_order", "wrong"),
        ("UPDATE sales_order SET state = 'storno'", "erp"),
        ("@none.sql", "none.sql cannot be read"),
    ],
)
def test_a_select_that_cannot_be_used_is_named_and_nothing_is_written_there(erp, orders, said):
    erp.set(statement=STATEMENT, orders=orders)
    before = erp.states()
    ran = erp.cli("pull", "erp")
    assert (ran.code in {1, 2}, said in ran.err, erp.states()) == (True, True, before), ran.err
