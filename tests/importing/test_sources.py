"""What the sources said, and when: freshness, complete files, what is gone, and what speaks against the orders here."""

import os
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderctl.database.connection import Fragment
from orderctl.importing.queries import OrderImport, Sighting
from orderctl.orders.contradictions import Contradiction, Said, contradiction, contradictions
from orderctl.orders.eligibility import Mode, eligible_sql, refusal
from orderctl.orders.orders import SaidOrder, Status
from orderctl.orders.queries import get_order
from support.cli import Cli
from support.factories import NOW, make_order, put
from support.rejection import ids, reject
from support.stores import open_store, raw

HEADER = "id,status,ordered,currency,total,delivery_notes,invoices"


@pytest.fixture
def cli(store_url, tmp_path):
    return Cli(store_url, tmp_path / "home")


@pytest.fixture
def file(tmp_path):
    """Writes a file of orders, each an id with its status and counts, and gives its path; `age` is how old it is."""

    def write(*orders, name="orders.csv", age=timedelta(0)):
        path = tmp_path / name
        rows = []
        for order in orders:
            parts = order.split(":")
            order_id, status, notes, invoices = [*parts, *["needs-oc", "0", "0"][len(parts) - 1 :]]
            rows.append(f"{order_id},{status},2026-01-01,EUR,1,{notes},{invoices}")
        path.write_text("\n".join([HEADER, *rows]) + "\n")
        at = (datetime.now(UTC) - age).timestamp()
        os.utime(path, (at, at))
        return str(path)

    return write


def shown(cli, order_id):
    return cli("show", order_id, "--format", "json").json


def test_an_order_keeps_its_source_and_when_that_last_spoke_of_it(cli, file):
    path = file("A1", age=timedelta(days=9))
    assert cli("import", path).code == 0
    assert cli("import", file("B1", name="b.csv"), "--source", "ERP", "--as-of", "2026-03-01T12:00:00+02:00").code == 0
    order = shown(cli, "A1")["order"]
    at = datetime.fromtimestamp(Path(path).stat().st_mtime, UTC)
    assert (order["source"], datetime.fromisoformat(order["seen_at"])) == ("csv", at)
    assert "Source   csv, as of" in cli("show", "A1").out
    assert "9 d" in cli("show", "A1").out
    assert cli("search", "--columns", "id,source,seen", "--format", "csv", "--sort", "id").lines == [
        "id,source,seen",
        f"A1,csv,{at.isoformat()}",
        "B1,ERP,2026-03-01T10:00:00+00:00",
    ]
    assert cli("search", "source:erp").lines == ["B1"]
    assert cli("search", "seen:2026-03-01").lines == ["B1"]
    assert cli("search", "seen:2026-03-02..").lines == ["A1"]
    assert (
        cli("search", "seen:none").lines == cli("search", "source:none").lines == cli("search", "gone:any").lines == []
    )
    assert "Seen (UTC)" not in cli("search", "--format", "table").out
    assert "2026-03-01 10:00" in cli("search", "--format", "table", "--columns", "id,seen").out


def test_a_file_that_is_older_than_the_store_is_named_and_taken(cli, file):
    cli("import", file("A1", "A2"))
    again = file("A1", "A3", age=timedelta(days=2))
    ran = cli("import", again, "--check")
    warning = "the file is older than what the store has of 1 of its orders, and is taken all the same"
    assert warning in " ".join(ran.err.split())
    ran = cli("import", again, "--format", "json")
    assert (ran.code, ran.json["older"], ran.json["source"]) == (0, 1, "csv")
    assert warning in " ".join(ran.err.split())
    assert shown(cli, "A1")["order"]["seen_at"] == ran.json["as_of"]


def test_a_file_of_the_future_was_said_now(cli, file):
    before = datetime.now(UTC)
    cli("import", file("A1", age=-timedelta(days=400)))
    assert before <= datetime.fromisoformat(shown(cli, "A1")["order"]["seen_at"]) <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--as-of", "soon"], "--as-of 'soon'"),
        (["--source", " "], "--source ' '"),
        (["--complete", "--skip-bad"], "--complete takes a whole file"),
        (["--allow-empty"], "only with --complete"),
    ],
)
def test_what_cannot_be_meant_is_refused(sqlite_url, tmp_path, file, options, says):
    ran = Cli(sqlite_url, tmp_path / "home")("import", file("A1"), *options)
    assert (ran.code, says in ran.err, len(ran.err.splitlines())) == (2, True, 2), ran.err


def test_what_a_complete_file_no_longer_has_is_gone_until_it_is_seen_again(cli, file):
    cli("import", file("A1", "A2", "A3", "A4:returned-to-cart"))
    cli("import", file("B1", name="b.csv"), "--source", "erp")
    part = file("A1")
    checked = cli("import", part, "--complete", "--check", "--format", "json")
    assert (checked.json["gone"], checked.json["stored"]) == (["A2", "A3", "A4"], False)
    assert "3 orders of csv are not in the file (A2, A3, A4)" in " ".join(checked.err.split())
    assert cli("search", "gone:any").lines == []

    ran = cli("import", part, "--complete")
    assert "3 orders of csv are gone from it (A2, A3, A4)" in " ".join(ran.err.split())
    assert sorted(cli("search", "gone:any").lines) == ["A2", "A3", "A4"]
    assert cli("import", part, "--complete", "--format", "json").json["gone"] == []
    order = shown(cli, "A2")
    assert (order["order"]["version"], order["refused"]["bulk"]["code"]) == (2, "gone")
    assert order["refused"]["individual"]["code"] == "gone"
    assert [(event["kind"], event["detail"]) for event in order["events"]] == [("gone", "import of orders.csv")]
    ran = cli("reject", "A2", "A1", "--yes", "--format", "json")
    assert (ran.json["rejected"], ran.json["plan"]["targets"]) == (1, ["A1"])
    assert [(skipped["code"], skipped["ids"]) for skipped in ran.json["plan"]["skipped"]] == [("gone", ["A2"])]
    assert cli("reject", "A3", "--individual", "--yes").code == 3

    ran = cli("import", file("A2"))
    assert "1 order that was gone is there again (A2)" in ran.err
    assert [event["kind"] for event in shown(cli, "A2")["events"]] == ["gone", "seen-again"]
    assert cli("reject", "A2", "--yes", "--format", "json").json["rejected"] == 1
    assert cli("log", "verify").code == 0
    assert cli("store", "check").code == 0


def test_a_complete_file_speaks_for_its_own_source_alone_and_not_of_what_came_later(cli, file):
    cli("import", file("A1", "A2", "A3", age=timedelta(days=3)))
    cli("import", file("A2", name="b.csv", age=timedelta(days=2)), "--source", "erp")
    cli("import", file("A3"))
    ran = cli("import", file("A1", age=timedelta(days=1)), "--complete", "--format", "json")
    assert ran.json["gone"] == []
    ran = cli("import", file("A1"), "--complete", "--format", "json")
    assert ran.json["gone"] == ["A3"]


def test_a_complete_file_with_a_problem_marks_nothing(cli, file, tmp_path):
    cli("import", file("A1", "A2"))
    bad = file("A1", "A9:shipped")
    for options in ([], ["--check"]):
        ran = cli("import", bad, "--complete", "--errors", str(tmp_path / "bad.csv"), "--force", *options)
        assert (ran.code, "gone" in ran.err) == (2, False)
    assert cli("search", "gone:any").lines == []


def test_an_empty_file_needs_a_clear_word(cli, file):
    cli("import", file("A1", "A2"))
    empty = file()
    for options in ([], ["--check"]):
        ran = cli("import", empty, "--complete", *options)
        assert (ran.code, "--complete would mark all of csv as gone" in ran.err, "--allow-empty" in ran.err) == (
            2,
            True,
            True,
        )
    assert cli("search", "gone:any").lines == []
    assert cli("import", empty, "--complete", "--allow-empty", "--format", "json").json["gone"] == ["A1", "A2"]


def test_a_complete_file_may_reject_at_the_source_too(cli, file):
    cli("import", file("A1", "A2", "A3"))
    cancelled = file("A1", "A2:rejected")
    ran = cli("import", cancelled, "--complete", "--reject-at-source", "--yes", "--format", "json")
    assert (ran.json["gone"], ran.json["rejection"]["plan"]["targets"]) == (["A3"], ["A2"])
    assert cli("reconcile").code == 0


def test_an_import_names_what_the_source_says_against_the_orders_here(cli, file):
    cli("import", file("R1", "R2", "R3", "R4", "R5", "O1"))
    assert cli("reject", "R1", "R2", "R3", "R4", "R5", "--yes").code == 0
    assert (cli("reconcile").code, cli("reconcile").lines) == (0, [])
    later = file("R1:oc-created", "R2:oc-confirmed:1", "R3:oc-confirmed:1:1", "R4:rejected", "O1:rejected", "N1")
    for options in (["--check"], []):
        ran = cli("import", later, "--format", "json", *options)
        assert ran.json["against_us"] == {"delivered-there": ["R2"], "invoiced-there": ["R3"], "open-there": ["R1"]}
        assert ran.json["rejected_at_source"] == ["O1"]
        said = " ".join(ran.err.split())
        assert "1 order is rejected here, open at the source (R1)" in said
        assert "1 order is rejected here, delivered at the source (R2)" in said
        assert "1 order is rejected here, invoiced at the source (R3)" in said
        assert "1 order is rejected in the file and not here (O1)" in said

    ran = cli("reconcile")
    assert (ran.code, ran.lines, ran.err) == (3, ["O1", "R1", "R2", "R3"], "")
    rows = cli("reconcile", "--format", "json").json
    assert [(row["id"], row["contradiction"], row["status"], row["source_status"]) for row in rows] == [
        ("O1", "cancelled-there", "needs-oc", "rejected"),
        ("R1", "open-there", "rejected", "oc-created"),
        ("R2", "delivered-there", "rejected", "oc-confirmed"),
        ("R3", "invoiced-there", "rejected", "oc-confirmed"),
    ]
    assert (rows[3]["source_delivery_notes"], rows[3]["source_invoices"], rows[3]["source"]) == (1, 1, "csv")
    assert len(cli("reconcile", "--format", "jsonl").lines) == 4
    assert cli("reconcile", "--format", "csv").lines[0].startswith("id,contradiction,status,source,seen,")
    table = cli("reconcile", "status:rejected", "--format", "table")
    assert (table.code, "rejected here, invoiced at the source" in table.out, "O1" in table.out) == (3, True, False)
    # What was dealt with is archived, and not named again.
    cli("archive", "R1", "R2", "R3", "O1")
    assert (cli("reconcile").code, cli("reconcile", "--format", "json").json) == (0, [])
    assert cli("reconcile", "archived:yes", "R1").lines == ["R1"]
    assert cli("import", later, "--format", "json").json["against_us"] == {}


def test_what_the_source_said_before_the_rejection_does_not_speak_against_it(cli, file):
    path = file("R1", "R2", age=timedelta(hours=1))
    cli("import", path)
    cli("reject", "R1", "R2", "--yes")
    assert cli("import", path, "--format", "json").json["against_us"] == {}
    assert cli("reconcile").code == 0
    shipped = file("R1:oc-confirmed:1", "R2", age=timedelta(hours=1))
    assert cli("import", shipped, "--format", "json").json["against_us"] == {"delivered-there": ["R1"]}
    assert cli("reconcile").lines == ["R1"]


def test_what_the_source_takes_back_contradicts_nothing(cli, file):
    """The store keeps its own status and counts against a file; what the source said is kept beside them."""
    cli("import", file("A1:needs-oc:0:1", "A2"))
    cli("import", file("A1:rejected", "A2:rejected"))
    assert cli("reconcile").lines == ["A1", "A2"]
    cli("import", file("A1:needs-oc:0:1", "A2"))
    assert cli("reconcile").lines == []


def test_what_was_rejected_here_and_is_gone_there_is_open_there_no_longer(cli, file):
    cli("import", file("R1", "A1"))
    cli("reject", "R1", "--yes")
    cli("import", file("R1:oc-created", "A1"))
    assert cli("reconcile").code == 3
    assert cli("import", file("A1"), "--complete", "--format", "json").json["gone"] == []
    assert cli("reconcile").code == 0
    assert cli("log", "verify").code == 0


@pytest.mark.parametrize("column", ["status", "invoices"])
def test_what_a_file_does_not_say_is_not_said(cli, tmp_path, column):
    path = tmp_path / "orders.csv"
    values = {
        "id": "A1",
        "status": "rejected",
        "ordered": "2026-01-01",
        "currency": "EUR",
        "total": "1",
        "invoices": "1",
    }
    kept = {name: value for name, value in values.items() if name != column}
    path.write_text(f"{','.join(kept)}\n{','.join(kept.values())}\n")
    cli("import", str(path), "--default", "status=needs-oc", "--default", "invoices=2")
    with raw(cli.environ["ORDERCTL_STORE"]) as connection:
        (row,) = connection.execute("SELECT status, delivery_notes, invoices FROM order_source").fetchall()
    assert row == ((None, None, 1) if column == "status" else ("rejected", None, None))


INSTANTS = st.integers(min_value=0, max_value=3).map(lambda hours: NOW + timedelta(hours=hours))
SAID = st.builds(
    Said,
    at=INSTANTS,
    status=st.none() | st.sampled_from(Status),
    delivery_notes=st.none() | st.integers(0, 1),
    invoices=st.none() | st.integers(0, 1),
)


def test_both_readings_of_what_contradicts_agree(store):
    """Every status here beside everything that a source can say of it, later or earlier than a rejection."""
    here = [make_order(f"S{place}", status=status) for place, status in enumerate(Status)]
    put(store, *here)
    expected, found = {}, {}

    def compare(connection):
        for status in (None, *Status):
            for notes, invoices, at in [(n, i, t) for n in (None, 0, 1) for i in (None, 0, 1) for t in (-1, 0, 1)]:
                said = Said(at=NOW + timedelta(hours=at), status=status, delivery_notes=notes, invoices=invoices)
                connection.execute(
                    "UPDATE order_source SET status = :status, delivery_notes = :notes, invoices = :invoices,"
                    " seen_at = :at WHERE account = :account",
                    {"status": status, "notes": notes, "invoices": invoices, "at": connection.dialect.instant(said.at)},
                )
                for each in contradictions(connection, Fragment("1 = 1")):
                    found[each.id, said] = each.contradiction
                    assert each.said == said
                for order in here:
                    rejected_at = NOW if order.status is Status.REJECTED else None
                    if kind := contradiction(order.status, rejected_at, said):
                        expected[order.id, said] = kind

    store.write(compare)
    assert found == expected
    assert set(found.values()) == set(Contradiction) - {Contradiction.NOT_CANCELLED}


@given(said=SAID)
def test_a_rejection_that_the_source_knows_of_contradicts_nothing(said):
    if said.status is Status.REJECTED:
        assert contradiction(Status.REJECTED, NOW, said) is None


STEPS = st.lists(
    st.tuples(st.sampled_from(["shop", "erp"]), st.sets(st.sampled_from("abcd")), st.booleans()), max_size=5
)


accounts = (f"account{number}" for number in count())


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_no_order_is_gone_and_rejectable_and_what_is_gone_is_what_its_source_last_had(store_url, steps):
    """Against a model: an order is that of the source that last had it, and gone once that one's word is without it."""
    with open_store(store_url, next(accounts)) as store:
        check_against_model(store, steps)


def check_against_model(store, steps):
    owner, gone, at = {}, set(), NOW
    for source, there, complete in steps:
        at += timedelta(minutes=1)
        seen = Sighting(source=source, at=at)

        def write(connection, seen=seen, there=there, complete=complete, at=at):
            each = OrderImport(connection)
            each.store(
                [SaidOrder.of(make_order(name)) for name in sorted(there)], actor="a", at=at, detail="d", seen=seen
            )
            return each.mark_gone(seen, actor="a", at=at, detail="d").gone if complete else ()

        marked = store.write(write)
        missing = {name for name, its in owner.items() if its == source and name not in there} if complete else set()
        assert set(marked) == missing - gone
        owner |= dict.fromkeys(there, source)
        gone = (gone | missing) - there
    with store.snapshot() as connection:
        orders = [get_order(connection, name) for name in owner]
        assert {order.id for order in orders if order.gone_at} == gone
        for mode in Mode:
            rows = connection.execute(f"SELECT id FROM orders WHERE account = :account AND {eligible_sql(mode)}")
            rejectable = {order_id for (order_id,) in rows}
            assert rejectable == set(owner) - gone == {order.id for order in orders if refusal(order, mode) is None}


def test_a_gone_order_is_in_no_batch_even_if_its_version_is_the_planned_one(store):
    """The condition in the UPDATE holds by itself."""
    put(store, make_order("G1"), make_order("G2"))
    store.write(
        lambda connection: connection.execute(
            "UPDATE orders SET gone_at = :at WHERE account = :account AND id = 'G1'",
            {"at": connection.dialect.instant(NOW)},
        )
    )
    result = reject(store, ids("G1", "G2"))
    assert (result.rejected, [group.code for group in result.plan.skipped]) == (1, ["gone"])
