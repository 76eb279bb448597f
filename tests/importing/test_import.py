"""Imports into the store: what is created, updated, left alone, and that it is all or nothing."""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderctl.core.ids import new_id
from orderctl.database.address import parse_address
from orderctl.database.connection import Connection
from orderctl.database.store import Store, make_engine
from orderctl.filters.filters import OrderFilter
from orderctl.importing.figures import ImportCounts, SourceFigures, SourceRequest, Unsaid
from orderctl.importing.service import FileImport, ImportReport, StoreAfterImport, import_orders
from orderctl.importing.source import open_source
from orderctl.orders.orders import Buyer, Order, OrderEvent, OrderLine, Status
from orderctl.orders.queries import get_order, order_events
from orderctl.rejection.service import execute_rejection
from orderctl.search.queries import Page, list_ids
from support.cli import Cli
from support.factories import ACME, NOW, FixedClock, ListedSource, make_order
from support.rejection import ids as chosen
from support.rejection import plan_for
from support.stores import open_store
from support.terminal import Terminal

HEADER = "id,status,ordered,currency,total\n"
GOOD = "A1,needs-oc,2026-01-01,EUR,1\n"
BAD = "A2,needs-oc,2026-01-01,EUR,x\n"


def run(store: Store, *orders: Order) -> ImportCounts:
    source = ListedSource(*orders)
    return import_orders(
        store, FileImport(source=source, actor="ann", clock=FixedClock(), detail="import of x.csv"), skip_bad=False
    ).counts


def run_file(store: Store, path: Path, *, skip_bad: bool = False, check_only: bool = False) -> ImportReport:
    with open_source(path, read_at=NOW) as source:
        return import_orders(
            store,
            FileImport(source=source, actor="ann", clock=FixedClock(), detail="import"),
            skip_bad=skip_bad,
            check_only=check_only,
        )


def get(store: Store, order_id: str) -> Order:
    with store.snapshot() as connection:
        order = get_order(connection, order_id)
    assert order is not None
    return order


def events(store: Store, order_id: str) -> tuple[OrderEvent, ...]:
    with store.snapshot() as connection:
        return order_events(connection, order_id)


def ids(store: Store) -> list[str]:
    with store.snapshot() as connection:
        return list(list_ids(connection, OrderFilter(text=""), Page(sort="id")))


def test_a_new_order_is_stored_whole(store: Store) -> None:
    order = make_order(
        "A1",
        note="keep \x1b[2J, 'quotes', \"double\" and \U0001f600",
        terms="net 30",
        delivery_address="1 rue A\nParis",
        billing_address="2 rue B",
        delivery_notes=1,
        invoices=2,
        backlog_skus=3,
        archived_at=NOW,
        total=-(10**15),
        quantity=10**15,
        tags=frozenset({"vip", "late"}),
    )
    assert run(store, order) == ImportCounts(created=1)
    assert get(store, "A1") == order


def test_the_same_file_again_changes_nothing(store: Store) -> None:
    orders = [make_order(f"A{number}", tags=frozenset({"x"})) for number in range(3)]
    run(store, *orders)
    before = [get(store, order.id) for order in orders]
    assert run(store, *orders) == ImportCounts(unchanged=3)
    assert [get(store, order.id) for order in orders] == before


def test_changed_content_replaces_the_lines_and_counts_up_the_version(store: Store) -> None:
    order = make_order("A1")
    run(store, order)
    lines = (
        OrderLine(number=1, sku="N1", quantity=1, unit_price=5),
        OrderLine(number=2, sku="N2", quantity=2, unit_price=5),
    )
    changed = replace(order, lines=lines, total=15, status=Status.OC_APPROVED, buyer=None)
    assert run(store, changed) == ImportCounts(updated=1)
    assert get(store, "A1") == replace(changed, version=2, changed_at=NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"status": Status.OC_CREATED},
        {"note": "n"},
        {"tags": frozenset({"t"})},
        {"lines": ()},
        {"ordered_at": datetime(2026, 1, 16, tzinfo=UTC)},
        {"delivery_from": None},
        {"country": "DE"},
        {"invoices": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_change_is_seen(store: Store, change: dict[str, object]) -> None:
    order = make_order("A1")
    run(store, order)
    assert run(store, replace(order, **change)) == ImportCounts(updated=1)
    assert get(store, "A1") == replace(order, version=2, changed_at=NOW, **change)


def test_an_import_takes_no_tag_away_and_archives_nothing_again(store: Store) -> None:
    order = make_order("A1", tags=frozenset({"file"}), archived_at=NOW)
    run(store, order)
    with_note = replace(order, note="changed", tags=frozenset({"second"}), archived_at=None)
    run(store, with_note)
    stored = get(store, "A1")
    assert (stored.tags, stored.archived_at, stored.note) == ({"file", "second"}, NOW, "changed")


def test_what_a_file_does_not_say_of_a_buyer_stays(store: Store) -> None:
    run(store, make_order("A1", buyer=ACME))
    run(store, make_order("A2", buyer=Buyer(id="acme", name="Acme Lyon", contact="Zoé")))
    assert get(store, "A1").buyer == replace(ACME, name="Acme Lyon", contact="Zoé")
    run(store, make_order("A3", buyer=Buyer(id="acme", name="acme")))
    assert get(store, "A1").buyer == replace(ACME, name="Acme Lyon", contact="Zoé")


def test_one_import_may_tell_of_a_buyer_in_pieces(store: Store) -> None:
    pieces = [
        Buyer(id="b", name="Bo", email="a@b.example"),
        Buyer(id="b", name="b"),
        Buyer(id="b", name="", country="FR"),
    ]
    run(store, *(make_order(f"A{number}", buyer=buyer) for number, buyer in enumerate(pieces)))
    assert get(store, "A0").buyer == Buyer(id="b", name="Bo", email="a@b.example", country="FR")


def test_an_order_may_arrive_rejected(store: Store) -> None:
    order = make_order("A1", status=Status.REJECTED, tags=frozenset({"x"}))
    assert run(store, order) == ImportCounts(created=1)
    assert get(store, "A1") == replace(order, rejected_at=NOW)
    [event] = events(store, "A1")
    assert (event.kind, event.batch_id, event.from_status, event.to_status) == (
        "imported-as-rejected",
        None,
        None,
        "rejected",
    )
    assert (event.actor, event.at, event.detail) == ("ann", NOW, "import of x.csv")


@pytest.mark.parametrize("status", [Status.NEEDS_OC, Status.OC_APPROVED, Status.RETURNED_TO_CART])
def test_an_order_that_is_there_keeps_its_status_though_the_file_rejects_it(store: Store, status: Status) -> None:
    order = make_order("A1", status=status)
    run(store, order)
    said = replace(order, status=Status.REJECTED, lines=(), note="last word", invoices=1)
    with_new = [said, replace(said, id="A2")]
    counts = ImportCounts(created=1, updated=1, rejected_at_source=("A1",))
    assert run(store, *with_new) == counts
    assert get(store, "A1") == replace(said, status=status, version=2, changed_at=NOW)
    assert events(store, "A1") == ()
    assert get(store, "A2").status is Status.REJECTED
    again = ImportCounts(unchanged=1, rejected_at_source=("A1",), rejected_left_alone=1)
    assert run(store, *with_new) == again
    assert run(store, replace(said, status=status)) == ImportCounts(unchanged=1)


def test_a_rejected_order_is_left_alone(store: Store) -> None:
    order = make_order("A1", status=Status.REJECTED)
    run(store, order)
    before = get(store, "A1")
    other = make_order("A2")
    again = replace(order, status=Status.NEEDS_OC, note="x", tags=frozenset({"new"}), lines=())
    assert run(store, again, other) == ImportCounts(created=1, rejected_left_alone=1)
    assert get(store, "A1") == before
    assert len(events(store, "A1")) == 1


def test_an_import_of_many_orders_is_one_transaction(store: Store) -> None:
    class Breaking(ListedSource):
        def orders(self) -> Iterator[Order]:
            yield from super().orders()
            raise RuntimeError("the disk is gone")

    source = Breaking(*(make_order(f"A{number:05}", lines=()) for number in range(2_500)))
    with pytest.raises(RuntimeError):
        import_orders(store, FileImport(source=source, actor="ann", clock=FixedClock(), detail=""), skip_bad=False)
    assert ids(store) == []


def test_progress_is_told_in_orders(store: Store) -> None:
    source = ListedSource(*(make_order(f"A{number:05}", lines=()) for number in range(2_500)))
    seen: list[tuple[int, int | None]] = []
    file = FileImport(
        source=source,
        actor="ann",
        clock=FixedClock(),
        detail="",
        progress=lambda done, total: seen.append((done, total)),
    )
    report = import_orders(store, file, skip_bad=False)
    assert report.counts == ImportCounts(created=2_500)
    assert seen == [(2_000, 2_500), (2_500, 2_500)]


def test_another_account_is_not_touched(store: Store, store_url: str) -> None:
    run(store, make_order("A1", note="mine"))
    with open_store(store_url, account="other") as other:
        run(other, make_order("A1", note="theirs", buyer=replace(ACME, name="Theirs")))
        assert get(other, "A1").note == "theirs"
    stored = get(store, "A1")
    assert (stored.note, stored.buyer) == ("mine", ACME)


def test_nothing_is_written_if_a_row_is_bad(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_text(HEADER + GOOD + BAD)
    report = run_file(store, path)
    assert not report.stored
    assert report.figures == SourceFigures(rows=2, orders=1, bad_orders=1, bad_rows=1, problems=1, different_problems=1)
    assert [(problem.first_row, problem.column) for problem in report.problems] == [(3, "total")]
    assert ids(store) == []


def test_the_good_orders_alone_when_asked(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_text(HEADER + GOOD + BAD)
    report = run_file(store, path, skip_bad=True)
    assert (report.stored, report.counts.created, report.counts.updated) == (True, 1, 0)
    assert ids(store) == ["A1"]


def test_a_check_writes_nothing(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_text(HEADER + GOOD)
    report = run_file(store, path, check_only=True)
    assert (report.stored, report.figures.orders, report.problems) == (False, 1, ())
    assert ids(store) == []


def test_a_file_without_rows_is_an_import_of_nothing(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_text(HEADER)
    assert run_file(store, path).counts == ImportCounts()


def test_rows_without_an_order_are_counted_apart(sqlite_url: str, tmp_path: Path) -> None:
    cli = Cli(sqlite_url, tmp_path / "home")
    (tmp_path / "o.csv").write_text(HEADER + GOOD + GOOD.replace("A1", "") + GOOD.replace("A1", "6.11E+12"))
    report = str(tmp_path / "bad.csv")
    ran = cli("import", str(tmp_path / "o.csv"), "--skip-bad", "--errors", report)
    assert ran.code == 0
    assert f"2 rows without an order left out; every problem is in {report}" in " ".join(ran.err.split())
    (tmp_path / "o.csv").write_text(HEADER + BAD + GOOD.replace("A1", ""))
    ran = cli("import", str(tmp_path / "o.csv"), "--errors", report, "--force")
    assert (ran.code, "1 bad order, 1 row without an order; nothing was imported" in " ".join(ran.err.split())) == (
        2,
        True,
    )


def test_two_forms_of_the_same_accents_are_one_order(store: Store, tmp_path: Path) -> None:
    composed, apart = "Été-1", "E\u0301te\u0301-1"
    path = tmp_path / "o.csv"
    path.write_text(HEADER + GOOD.replace("A1", composed), encoding="utf-8")
    assert run_file(store, path).counts.created == 1
    path.write_text(HEADER + GOOD.replace("A1", apart), encoding="utf-8")
    assert run_file(store, path).counts.unchanged == 1
    path.write_text(HEADER + GOOD.replace("A1", apart) + GOOD.replace("A1", composed), encoding="utf-8")
    report = run_file(store, path)
    assert [problem.reason for problem in report.problems] == ["is in the file twice; first in row 2"]
    assert report.figures.rows_of_bad_orders == 1
    assert ids(store) == [composed]


def test_an_order_that_an_earlier_version_kept_with_its_accents_apart_stays_that_order(store: Store) -> None:
    composed, apart = "Été-1", "E\u0301te\u0301-1"
    run(store, make_order(apart, note="old"))
    assert run(store, make_order(composed, note="new")).updated == 1
    assert (ids(store), get(store, apart).note) == ([apart], "new")


# --- what a file does not say stays

WHOLE = make_order(
    "A1",
    status=Status.OC_CONFIRMED,
    terms="net 30",
    delivery_address="1 rue A",
    billing_address="2 rue B",
    note="ring twice",
    invoices=2,
    delivery_notes=1,
    backlog_skus=3,
    quantity=7,
    tags=frozenset({"vip"}),
)
ALWAYS = {"id": "A1", "currency": "EUR", "total": "120.50"}
# Each field with another value than that of `WHOLE`, the attribute that it is stored as, and that value there.
OTHER = {
    "status": ("needs-oc", "status", Status.NEEDS_OC),
    "ordered": ("2026-02-01", "ordered_at", datetime(2026, 2, 1, tzinfo=UTC)),
    "brand": ("", "brand", ""),
    "reference": ("", "reference", ""),
    "season": ("27SS", "season", "27SS"),
    "terms": ("", "terms", ""),
    "delivery_address": ("", "delivery_address", ""),
    "billing_address": ("", "billing_address", ""),
    "country": ("", "country", None),
    "delivery_from": ("", "delivery_from", None),
    "delivery_to": ("", "delivery_to", None),
    "note": ("", "note", ""),
    "quantity": ("9", "quantity", 9),
    "invoices": ("3", "invoices", 3),
    "delivery_notes": ("4", "delivery_notes", 4),
    "backlog_skus": ("5", "backlog_skus", 5),
    "buyer_id": ("", "buyer", None),
    "tags": ("late", "tags", frozenset({"vip", "late"})),
}


def write_row(path: Path, row: dict[str, str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row)
    return path


def run_row(store: Store, path: Path, row: dict[str, str], *, lower_counts: bool = False) -> ImportCounts:
    defaults = {"status": "needs-oc", "ordered": "2026-01-01"}
    with open_source(write_row(path, row), SourceRequest(defaults=defaults), read_at=NOW) as source:
        assert list(source.problems()) == []
        file = FileImport(source=source, actor="ann", clock=FixedClock(), detail="x", lower_counts=lower_counts)
        foreseen = import_orders(store, file, skip_bad=False, check_only=True).counts
        done = import_orders(store, file, skip_bad=False).counts
    assert foreseen == done
    return done


def test_a_column_that_a_file_does_not_have_changes_nothing(store: Store, tmp_path: Path) -> None:
    run(store, WHOLE)
    counts = run_row(store, tmp_path / "o.csv", ALWAYS)
    assert (counts.updated, counts.unchanged) == (0, 1)
    assert counts.unsaid == dict.fromkeys(("invoices", "delivery_notes", "backlog_skus"), Unsaid(kept=1))
    assert get(store, "A1") == WHOLE


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.sampled_from(sorted(OTHER)), min_size=1))
def test_only_the_columns_of_a_file_change_an_order(sqlite_url: str, tmp_path: Path, columns: set[str]) -> None:
    account = new_id()
    with open_store(sqlite_url, account=account) as store:
        run(store, WHOLE)
        row = {**ALWAYS, **{name: OTHER[name][0] for name in columns}}
        assert run_row(store, tmp_path / "o.csv", row).updated == 1
        changed = {OTHER[name][1]: OTHER[name][2] for name in columns}
        assert get(store, "A1") == replace(WHOLE, version=2, changed_at=NOW, **changed)
        assert run_row(store, tmp_path / "o.csv", row).unchanged == 1


@pytest.mark.parametrize("said", ["", "0", "1"], ids=["empty", "zero", "fewer"])
def test_what_protects_an_order_falls_only_on_request(store: Store, tmp_path: Path, said: str) -> None:
    run(store, WHOLE)
    fewer = {**ALWAYS, "invoices": said, "note": "changed"}
    assert run_row(store, tmp_path / "o.csv", fewer).counts_kept == 1
    assert (get(store, "A1").invoices, get(store, "A1").note) == (2, "changed")
    again = run_row(store, tmp_path / "o.csv", fewer)
    assert (again.unchanged, again.counts_kept) == (1, 1)
    lowered = run_row(store, tmp_path / "o.csv", fewer, lower_counts=True)
    assert (lowered.updated, lowered.counts_kept) == (1, 0)
    assert (get(store, "A1").invoices, get(store, "A1").delivery_notes) == (int(said or 0), 1)
    assert run_row(store, tmp_path / "o.csv", fewer).unchanged == 1


def test_a_file_without_lines_keeps_them_and_one_with_lines_replaces_them(store: Store, tmp_path: Path) -> None:
    run(store, WHOLE)
    run_row(store, tmp_path / "o.csv", {**ALWAYS, "total": "99.00"})
    assert (get(store, "A1").lines, get(store, "A1").total) == (WHOLE.lines, 9_900)
    run_row(store, tmp_path / "o.csv", {**ALWAYS, "sku": "N1", "line_quantity": "2", "unit_price": "1"})
    assert (len(get(store, "A1").lines), get(store, "A1").quantity) == (1, 2)
    run_row(store, tmp_path / "o.csv", {**ALWAYS, "sku": "", "line_quantity": "", "unit_price": ""})
    assert (get(store, "A1").lines, get(store, "A1").quantity) == ((), 0)


def test_in_json_lines_each_order_says_for_itself_what_it_does_not_say(store: Store, tmp_path: Path) -> None:
    run(store, WHOLE, replace(WHOLE, id="A2"))
    path = tmp_path / "o.jsonl"
    said = {**ALWAYS, "status": "oc-confirmed", "ordered": "2026-01-15T12:00:00"}
    path.write_text(json.dumps({**said, "note": None, "lines": []}) + "\n" + json.dumps({**said, "id": "A2"}) + "\n")
    counts = run_file(store, path).counts
    assert (counts.updated, counts.unchanged) == (1, 1)
    assert get(store, "A1") == replace(WHOLE, note="", lines=(), quantity=0, version=2, changed_at=NOW)


def test_a_default_opens_no_order_and_closes_none(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    run(store, WHOLE)
    write_row(path, {**ALWAYS, "ordered": "2026-01-15T12:00:00"})
    for status in ("needs-oc", "rejected"):
        with open_source(path, SourceRequest(defaults={"status": status}), read_at=NOW) as source:
            import_orders(store, FileImport(source=source, actor="ann", clock=FixedClock(), detail="x"), skip_bad=False)
        assert get(store, "A1") == WHOLE


def test_the_command_says_what_protection_a_file_does_not_speak_of(store_url: str, tmp_path: Path) -> None:
    cli = Cli(store_url, tmp_path / "home")
    header, row = "id,status,ordered,currency,total", "oc-created,2026-01-15,EUR,1"
    full, bare = tmp_path / "full.csv", tmp_path / "bare.csv"
    full.write_text(f"{header},invoices,delivery_notes,backlog_skus\nA1,{row},1,0,0\nA2,{row},0,0,0\n")
    bare.write_text(f"{header},delivery_notes\nA1,{row},0\nA2,{row},0\nA3,{row},0\n")
    assert cli("import", str(full)).err == ""
    said = "this file says nothing of invoices, backlog SKUs: 2 orders keep theirs, 1 new one has none\n"
    assert cli("import", str(bare), "--check").err == said
    taken = cli("import", str(bare), "--format", "json")
    assert (taken.code, taken.err) == (0, said)
    assert taken.json["unsaid"] == {key: {"kept": 2, "new": 1} for key in ("invoices", "backlog_skus")}
    assert cli("show", "A1", "--format", "json").json["order"]["invoices"] == 1
    full.write_text(full.read_text().replace(f"A1,{row},1", f"A1,{row},"))
    fewer = " ".join(cli("import", str(full)).err.split())
    assert "the file counts fewer invoices, delivery notes or backlog SKUs for 1 order than the store" in fewer
    assert cli("import", str(full), "--lower-counts").err == ""
    assert cli("show", "A1", "--format", "json").json["order"]["invoices"] == 0


def test_a_transaction_that_runs_again_reads_the_file_from_its_start(sqlite_url: str) -> None:
    class Twice(Store):
        def write(self, work, *, landed=None):
            class UndoneError(Exception):
                pass

            def undone(connection: Connection) -> None:
                work(connection)
                raise UndoneError

            with pytest.raises(UndoneError):
                super().write(undone)
            return super().write(work, landed=landed)

    with Twice(make_engine(parse_address(sqlite_url)), "main") as store:
        assert run(store, make_order("A1"), make_order("A2")) == ImportCounts(created=2)
        assert ids(store) == ["A1", "A2"]


# --- rejected at the source

COLUMNS = "id,status,ordered,currency,total,invoices\n"


@pytest.fixture
def cli(store_url: str, tmp_path: Path) -> Cli:
    return Cli(store_url, tmp_path / "home")


@pytest.fixture
def rejected_there(cli: Cli, tmp_path: Path) -> str:
    """A file of five orders, four of them in the store; it rejects three of those, and one that is new."""
    path = tmp_path / "shop.csv"
    row = ",2026-01-15,EUR,10,0\n"
    path.write_text(COLUMNS + "".join(f"A{number},oc-created{row}" for number in (1, 2, 3, 4)))
    assert cli("import", str(path)).code == 0
    rejected = ",rejected" + row
    path.write_text(
        f"{COLUMNS}A1{rejected}A2{rejected.replace('10,0', '10,1')}A3{rejected.replace('10,', '20,')}"
        f"A4,oc-approved{row}A5{rejected}"
    )
    return str(path)


def statuses(cli: Cli) -> dict[str, str]:
    found = cli("search", "archived:no", "--format", "jsonl", "--columns", "id,status")
    return {row["id"]: row["status"] for row in map(json.loads, found.lines)}


BEFORE = dict.fromkeys(("A1", "A2", "A3", "A4"), "oc-created")
IMPORTED_ONLY = BEFORE | {"A4": "oc-approved", "A5": "rejected"}


def test_an_import_names_what_it_does_not_reject(cli: Cli, rejected_there: str) -> None:
    said = "3 orders are rejected in the file and not here (A1, A2, A3): they keep their status; --reject-at-source"
    checked = cli("import", rejected_there, "--check")
    assert (checked.code, said in " ".join(checked.err.split()), statuses(cli)) == (0, True, BEFORE)
    assert checked.out == "5 rows, 5 orders: all good, 3 rejected in the file alone\n"
    ran = cli("import", rejected_there, "--format", "json")
    assert (ran.code, said in " ".join(ran.err.split()), statuses(cli)) == (0, True, IMPORTED_ONLY)
    assert (ran.json["rejected_at_source"], ran.json["updated"], ran.json["created"]) == (["A1", "A2", "A3"], 3, 1)
    assert cli("log").lines == []


def test_what_the_file_alone_rejects_becomes_a_batch_on_request(cli: Cli, rejected_there: str) -> None:
    foreseen = cli("import", rejected_there, "--reject-at-source", "--check", "--format", "json")
    counts, plan = foreseen.json, foreseen.json["rejection"]
    assert (plan["outcome"], plan["plan"]["targets"], counts["stored"], statuses(cli)) == (
        "dry-run",
        ["A1", "A3"],
        False,
        BEFORE,
    )
    ran = cli("import", rejected_there, "--reject-at-source", "--max-orders", "2", "--yes", "--format", "json")
    counts, done = ran.json, ran.json["rejection"]
    assert (ran.code, done["rejected"], counts["stored"], counts["created"]) == (0, 2, True, 1)
    # What the file itself says of invoices keeps an order from being rejected, and of totals is what is rejected.
    assert [(group["code"], group["count"]) for group in done["plan"]["skipped"]] == [("invoiced", 1)]
    assert done["totals"] == [{"currency": "EUR", "minor": 3_000, "amount": "30.00"}]
    assert statuses(cli) == IMPORTED_ONLY | {"A1": "rejected", "A3": "rejected"}
    [batch] = cli("log", "--format", "json").json
    assert (batch["reason"], batch["source"]) == (
        "rejected at the source",
        "rejected at the source, by the import of shop.csv",
    )
    assert cli("log", "verify").code == 0
    again = cli("import", rejected_there, "--reject-at-source", "--yes")
    assert (again.code, again.lines[-1]) == (
        0,
        "5 rows, 5 orders: 0 created, 0 updated, 2 unchanged, 3 rejected ones left alone",
    )


@pytest.mark.parametrize(
    ("options", "environ", "code", "said"),
    [
        ([], {}, 2, "look with --check, then say yes with --yes"),
        (["--yes", "--max-orders", "1"], {}, 3, "the plan has 2 orders, more than --max-orders 1"),
        (["--yes"], {"ORDERCTL_MAX_ORDERS": "1"}, 3, "more than --max-orders 1"),
        (["--yes"], {"ORDERCTL_REQUIRE_SECOND_OPERATOR": "yes"}, 3, "this plan needs a second operator"),
        (["--yes"], {"ORDERCTL_REASONS": "dropped"}, 2, "a reason is missing"),
    ],
    ids=["nobody to ask", "limit", "limit of the settings", "second operator", "reason codes"],
)
def test_what_holds_up_a_rejection_holds_up_the_import_with_it(
    cli: Cli, rejected_there: str, options: list[str], environ: dict[str, str], code: int, said: str
) -> None:
    cli.environ |= environ
    ran = cli("import", rejected_there, "--reject-at-source", *options)
    assert (ran.code, said in " ".join(ran.err.split())) == (code, True), ran.err
    assert statuses(cli) == BEFORE


def test_the_plan_of_what_was_rejected_at_the_source_waits_for_approval(cli: Cli, rejected_there: str) -> None:
    ran = cli("import", rejected_there, "--reject-at-source", "--save-plan", "--format", "json")
    counts, kept = ran.json, ran.json["rejection"]
    assert (ran.code, counts["stored"], statuses(cli)) == (0, True, IMPORTED_ONLY)
    plan = kept["saved"]["id"]
    cli.environ["ORDERCTL_REQUIRE_SECOND_OPERATOR"] = "true"
    assert cli("reject", "--plan", plan, "--yes").code == 3
    del cli.environ["ORDERCTL_REQUIRE_SECOND_OPERATOR"]
    assert cli("reject", "--plan", plan, "--yes", "--format", "json").json["rejected"] == 2
    assert statuses(cli) == IMPORTED_ONLY | {"A1": "rejected", "A3": "rejected"}


def test_where_none_can_be_rejected_the_rest_is_imported(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text(f"{COLUMNS}A1,oc-confirmed,2026-01-15,EUR,10,0\n")
    cli("import", str(path))
    path.write_text(f"{COLUMNS}A1,rejected,2026-01-15,EUR,10,0\nA2,oc-created,2026-01-15,EUR,10,0\n")
    ran = cli("import", str(path), "--reject-at-source", "--yes")
    assert (ran.code, statuses(cli)) == (0, {"A1": "oc-confirmed", "A2": "oc-created"})


def test_no_to_the_question_leaves_the_store_as_it_is(cli: Cli, rejected_there: str) -> None:
    with Terminal(cli, "import", rejected_there, "--reject-at-source") as terminal:
        terminal.wait_for("Type yes:")
        terminal.type("no\r")
        assert terminal.end() == 4
    assert statuses(cli) == BEFORE


def test_how_to_reject_is_said_of_rejections_alone(sqlite_url: str, tmp_path: Path) -> None:
    ran = Cli(sqlite_url, tmp_path / "home")("import", "o.csv", "--yes", "--max-orders", "0")
    assert (ran.code, "--max-orders, --yes: only with --reject-at-source" in ran.err) == (2, True)


def test_what_changed_between_the_question_and_the_import_is_left_out(store: Store, store_url: str) -> None:
    run(store, make_order("A1"), make_order("A2"))
    source = ListedSource(*(make_order(name, status=Status.REJECTED, note="there") for name in ("A1", "A2", "A3")))
    after = StoreAfterImport(store, FileImport(source=source, actor="ann", clock=FixedClock(), detail="x"))
    plan = plan_for(after, chosen("A1", "A2"))
    assert (list(plan.targets.versions().items()), get(store, "A1").note) == ([("A1", 2), ("A2", 2)], "")
    with open_store(store_url) as other:
        run(other, make_order("A2", note="ours"))
    result = execute_rejection(
        after, plan.approve(by=plan.by.actor, how="yes"), clock=FixedClock(), message_domain="x.example"
    )
    assert (result.rejected, [left.id for left in result.left_out]) == (1, ["A2"])
    assert after.counts == ImportCounts(created=1, updated=2, rejected_at_source=("A1", "A2"))
    assert [get(store, name).status.value for name in ("A1", "A2", "A3")] == ["rejected", "needs-oc", "rejected"]
