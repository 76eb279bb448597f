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

from cli import Cli
from conftest import open_store
from factories import ACME, NOW, make_order
from orderctl.domain.filters import OrderFilter
from orderctl.domain.import_figures import ImportCounts, RowProblem, SourceFigures, Unsaid
from orderctl.domain.orders import Buyer, Order, OrderEvent, OrderLine, Status
from orderctl.domain.own_ids import new_id
from orderctl.files.source import open_source
from orderctl.ports import Page, Store, UnitOfWork
from orderctl.services.importing import ImportReport, import_orders
from orderctl.store.address import parse_address
from orderctl.store.database import SqlStore, make_engine

HEADER = "id,status,ordered,currency,total\n"
GOOD = "A1,needs-oc,2026-01-01,EUR,1\n"
BAD = "A2,needs-oc,2026-01-01,EUR,x\n"


class ListedSource:
    """Orders that need no file."""

    def __init__(self, *orders: Order) -> None:
        self._orders = orders
        self.figures = SourceFigures(rows=len(orders), orders=len(orders))

    def orders(self) -> Iterator[Order]:
        return iter(self._orders)

    def problems(self) -> Iterator[RowProblem]:
        return iter(())


def run(store: Store, *orders: Order) -> ImportCounts:
    source = ListedSource(*orders)
    return import_orders(store, source, skip_bad=False, actor="ann", at=NOW, detail="import of x.csv").counts


def run_file(store: Store, path: Path, *, skip_bad: bool = False, check_only: bool = False) -> ImportReport:
    with open_source(path, read_at=NOW) as source:
        return import_orders(
            store, source, skip_bad=skip_bad, check_only=check_only, actor="ann", at=NOW, detail="import"
        )


def get(store: SqlStore, order_id: str) -> Order:
    with store.snapshot() as work:
        order = work.orders.get(order_id)
    assert order is not None
    return order


def events(store: SqlStore, order_id: str) -> tuple[OrderEvent, ...]:
    with store.snapshot() as work:
        return work.orders.events(order_id)


def ids(store: SqlStore) -> list[str]:
    with store.snapshot() as work:
        return list(work.orders.ids(OrderFilter(text=""), Page(sort="id")))


def test_a_new_order_is_stored_whole(store: SqlStore) -> None:
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


def test_the_same_file_again_changes_nothing(store: SqlStore) -> None:
    orders = [make_order(f"A{number}", tags=frozenset({"x"})) for number in range(3)]
    run(store, *orders)
    before = [get(store, order.id) for order in orders]
    assert run(store, *orders) == ImportCounts(unchanged=3)
    assert [get(store, order.id) for order in orders] == before


def test_changed_content_replaces_the_lines_and_counts_up_the_version(store: SqlStore) -> None:
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
def test_each_change_is_seen(store: SqlStore, change: dict[str, object]) -> None:
    order = make_order("A1")
    run(store, order)
    assert run(store, replace(order, **change)) == ImportCounts(updated=1)
    assert get(store, "A1") == replace(order, version=2, changed_at=NOW, **change)


def test_an_import_takes_no_tag_away_and_archives_nothing_again(store: SqlStore) -> None:
    order = make_order("A1", tags=frozenset({"file"}), archived_at=NOW)
    run(store, order)
    with_note = replace(order, note="changed", tags=frozenset({"second"}), archived_at=None)
    run(store, with_note)
    stored = get(store, "A1")
    assert (stored.tags, stored.archived_at, stored.note) == ({"file", "second"}, NOW, "changed")


def test_what_a_file_does_not_say_of_a_buyer_stays(store: SqlStore) -> None:
    run(store, make_order("A1", buyer=ACME))
    run(store, make_order("A2", buyer=Buyer(id="acme", name="Acme Lyon", contact="Zoé")))
    assert get(store, "A1").buyer == replace(ACME, name="Acme Lyon", contact="Zoé")
    run(store, make_order("A3", buyer=Buyer(id="acme", name="acme")))
    assert get(store, "A1").buyer == replace(ACME, name="Acme Lyon", contact="Zoé")


def test_one_import_may_tell_of_a_buyer_in_pieces(store: SqlStore) -> None:
    pieces = [
        Buyer(id="b", name="Bo", email="a@b.example"),
        Buyer(id="b", name="b"),
        Buyer(id="b", name="", country="FR"),
    ]
    run(store, *(make_order(f"A{number}", buyer=buyer) for number, buyer in enumerate(pieces)))
    assert get(store, "A0").buyer == Buyer(id="b", name="Bo", email="a@b.example", country="FR")


def test_an_order_may_arrive_rejected(store: SqlStore) -> None:
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


def test_an_order_that_is_there_may_become_rejected(store: SqlStore) -> None:
    order = make_order("A1", status=Status.OC_APPROVED)
    run(store, order)
    changed = replace(order, status=Status.REJECTED, lines=(), note="last word")
    assert run(store, changed) == ImportCounts(updated=1)
    assert get(store, "A1") == replace(changed, version=2, rejected_at=NOW, changed_at=NOW)
    assert [event.from_status for event in events(store, "A1")] == ["oc-approved"]


def test_a_rejected_order_is_left_alone(store: SqlStore) -> None:
    order = make_order("A1", status=Status.REJECTED)
    run(store, order)
    before = get(store, "A1")
    other = make_order("A2")
    again = replace(order, status=Status.NEEDS_OC, note="x", tags=frozenset({"new"}), lines=())
    assert run(store, again, other) == ImportCounts(created=1, rejected_left_alone=1)
    assert get(store, "A1") == before
    assert len(events(store, "A1")) == 1


def test_an_import_of_many_orders_is_one_transaction(store: SqlStore) -> None:
    class Breaking(ListedSource):
        def orders(self) -> Iterator[Order]:
            yield from super().orders()
            raise RuntimeError("the disk is gone")

    source = Breaking(*(make_order(f"A{number:05}", lines=()) for number in range(2_500)))
    with pytest.raises(RuntimeError):
        import_orders(store, source, skip_bad=False, actor="ann", at=NOW, detail="")
    assert ids(store) == []


def test_progress_is_told_in_orders(store: SqlStore) -> None:
    source = ListedSource(*(make_order(f"A{number:05}", lines=()) for number in range(2_500)))
    seen: list[tuple[int, int | None]] = []
    report = import_orders(
        store,
        source,
        skip_bad=False,
        actor="ann",
        at=NOW,
        detail="",
        progress=lambda done, total: seen.append((done, total)),
    )
    assert report.counts == ImportCounts(created=2_500)
    assert seen == [(2_000, 2_500), (2_500, 2_500)]


def test_another_account_is_not_touched(store: SqlStore, store_url: str) -> None:
    run(store, make_order("A1", note="mine"))
    with open_store(store_url, account="other") as other:
        run(other, make_order("A1", note="theirs", buyer=replace(ACME, name="Theirs")))
        assert get(other, "A1").note == "theirs"
    stored = get(store, "A1")
    assert (stored.note, stored.buyer) == ("mine", ACME)


def test_nothing_is_written_if_a_row_is_bad(store: SqlStore, tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_text(HEADER + GOOD + BAD)
    report = run_file(store, path)
    assert not report.stored
    assert report.figures == SourceFigures(rows=2, orders=1, bad_orders=1, bad_rows=1, problems=1)
    assert [(problem.row, problem.column) for problem in report.problems] == [(3, "total")]
    assert ids(store) == []


def test_the_good_orders_alone_when_asked(store: SqlStore, tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_text(HEADER + GOOD + BAD)
    report = run_file(store, path, skip_bad=True)
    assert (report.stored, report.counts.created, report.counts.updated) == (True, 1, 0)
    assert ids(store) == ["A1"]


def test_a_check_writes_nothing(store: SqlStore, tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_text(HEADER + GOOD)
    report = run_file(store, path, check_only=True)
    assert (report.stored, report.figures.orders, report.problems) == (False, 1, ())
    assert ids(store) == []


def test_a_file_without_rows_is_an_import_of_nothing(store: SqlStore, tmp_path: Path) -> None:
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


def test_two_forms_of_the_same_accents_are_one_order(store: SqlStore, tmp_path: Path) -> None:
    composed, apart = "Été-1", "E\u0301te\u0301-1"
    path = tmp_path / "o.csv"
    path.write_text(HEADER + GOOD.replace("A1", composed), encoding="utf-8")
    assert run_file(store, path).counts.created == 1
    path.write_text(HEADER + GOOD.replace("A1", apart), encoding="utf-8")
    assert run_file(store, path).counts.unchanged == 1
    path.write_text(HEADER + GOOD.replace("A1", apart) + GOOD.replace("A1", composed), encoding="utf-8")
    assert [problem.reason for problem in run_file(store, path).problems][1] == "is in the file twice; first in row 2"
    assert ids(store) == [composed]


def test_an_order_that_an_earlier_version_kept_with_its_accents_apart_stays_that_order(store: SqlStore) -> None:
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
    with open_source(write_row(path, row), read_at=NOW, defaults=defaults) as source:
        assert list(source.problems()) == []
        how = {"skip_bad": False, "actor": "ann", "at": NOW, "detail": "x"}
        foreseen = import_orders(store, source, check_only=True, lower_counts=lower_counts, **how).counts
        done = import_orders(store, source, lower_counts=lower_counts, **how).counts
    assert foreseen == done
    return done


def test_a_column_that_a_file_does_not_have_changes_nothing(store: SqlStore, tmp_path: Path) -> None:
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
def test_what_protects_an_order_falls_only_on_request(store: SqlStore, tmp_path: Path, said: str) -> None:
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


def test_a_file_without_lines_keeps_them_and_one_with_lines_replaces_them(store: SqlStore, tmp_path: Path) -> None:
    run(store, WHOLE)
    run_row(store, tmp_path / "o.csv", {**ALWAYS, "total": "99.00"})
    assert (get(store, "A1").lines, get(store, "A1").total) == (WHOLE.lines, 9_900)
    run_row(store, tmp_path / "o.csv", {**ALWAYS, "sku": "N1", "line_quantity": "2", "unit_price": "1"})
    assert (len(get(store, "A1").lines), get(store, "A1").quantity) == (1, 2)
    run_row(store, tmp_path / "o.csv", {**ALWAYS, "sku": "", "line_quantity": "", "unit_price": ""})
    assert (get(store, "A1").lines, get(store, "A1").quantity) == ((), 0)


def test_in_json_lines_each_order_says_for_itself_what_it_does_not_say(store: SqlStore, tmp_path: Path) -> None:
    run(store, WHOLE, replace(WHOLE, id="A2"))
    path = tmp_path / "o.jsonl"
    said = {**ALWAYS, "status": "oc-confirmed", "ordered": "2026-01-15T12:00:00"}
    path.write_text(json.dumps({**said, "note": None, "lines": []}) + "\n" + json.dumps({**said, "id": "A2"}) + "\n")
    counts = run_file(store, path).counts
    assert (counts.updated, counts.unchanged) == (1, 1)
    assert get(store, "A1") == replace(WHOLE, note="", lines=(), quantity=0, version=2, changed_at=NOW)


def test_a_default_opens_no_order_and_closes_none(store: SqlStore, tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    run(store, WHOLE)
    write_row(path, {**ALWAYS, "ordered": "2026-01-15T12:00:00"})
    for status in ("needs-oc", "rejected"):
        with open_source(path, read_at=NOW, defaults={"status": status}) as source:
            import_orders(store, source, skip_bad=False, actor="ann", at=NOW, detail="x")
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
    class Twice(SqlStore):
        def write(self, work, *, landed=None):
            class UndoneError(Exception):
                pass

            def undone(unit: UnitOfWork) -> None:
                work(unit)
                raise UndoneError

            with pytest.raises(UndoneError):
                super().write(undone)
            return super().write(work, landed=landed)

    with Twice(make_engine(parse_address(sqlite_url)), "main") as store:
        assert run(store, make_order("A1"), make_order("A2")) == ImportCounts(created=2)
        assert ids(store) == ["A1", "A2"]
