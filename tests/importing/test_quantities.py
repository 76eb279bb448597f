"""Quantities of goods that are sold in parts: metres, kilograms. Read, kept, shown, counted and given back."""

import json
from decimal import Decimal

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader

from orderctl.files.cells import read_integer, read_quantity
from orderctl.importing.queries import fingerprints
from orderctl.orders.orders import OrderLine, SaidOrder
from support.cli import Cli
from support.factories import make_order

COLUMNS = ("id", "status", "ordered", "currency", "sku", "line_quantity", "unit_price")
LINES = [
    ("M1", "needs-oc", "2026-01-15", "EUR", "SILK", "2.50", "3.99"),
    ("M1", "needs-oc", "2026-01-15", "EUR", "TEA", "0.125", "-40.04"),
    ("M1", "needs-oc", "2026-01-15", "EUR", "CUP", "3.000", "1.10"),
    ("M2", "needs-oc", "2026-01-15", "JPY", "SILK", "1.5", "333"),
]


def write(path, rows, separator=","):
    path.write_text("".join(f"{separator.join(row)}\n" for row in [COLUMNS, *rows]))
    return str(path)


@pytest.fixture
def cli(store_url, tmp_path):
    return Cli(store_url, tmp_path / "home")


@pytest.fixture
def sqlite_cli(sqlite_url, tmp_path):
    return Cli(sqlite_url, tmp_path / "home")


def shown(cli, order_id):
    return cli("show", order_id, "--format", "json").json["order"]


def test_an_order_in_metres_is_imported_shown_rejected_verified_and_checked(cli, tmp_path):
    ran = cli("import", write(tmp_path / "o.csv", LINES))
    assert (ran.code, "differ" in ran.err) == (0, False)
    order = shown(cli, "M1")
    # 9.975, -5.005 and 3.30: each line is rounded half up, away from zero.
    assert [(line["sku"], line["quantity"], line["unit_price"]) for line in order["lines"]] == [
        ("SILK", 2.5, "3.99"),
        ("TEA", 0.125, "-40.04"),
        ("CUP", 3, "1.10"),
    ]
    assert (order["total"], order["quantity"]) == ("8.27", 6)
    assert (shown(cli, "M2")["total"], shown(cli, "M2")["quantity"]) == ("500", 2)
    said = cli("show", "M1").out.split()
    assert {"2.5", "9.98", "0.125", "-5.01", "3.30"} <= set(said)

    assert "2 unchanged" in cli("import", write(tmp_path / "same.csv", LINES)).out
    [changed, *others] = LINES
    assert "1 updated" in cli("import", write(tmp_path / "o.csv", [(*changed[:5], "25", "3.99"), *others])).out
    assert shown(cli, "M1")["lines"][0]["quantity"] == 25
    assert cli("import", write(tmp_path / "o.csv", LINES)).code == 0
    assert cli("reject", "M1", "M2", "--yes").code == 0
    assert cli("log", "verify").code == 0
    assert cli("store", "check").code == 0


@pytest.mark.parametrize("form", ["jsonl", "xlsx", "csv"])
def test_an_export_of_metres_is_imported_again_as_the_same(cli, tmp_path, form):
    cli("import", write(tmp_path / "o.csv", LINES))
    out = tmp_path / f"out.{form}"
    lines = ["--lines"] if form == "csv" else []
    assert cli("export", "M1", "M2", "--format", form, "-o", str(out), *lines).code == 0
    if form == "jsonl":
        kept = [json.loads(line)["lines"] for line in out.read_text().splitlines()]
        assert [[line["line_quantity"] for line in each] for each in kept] == [[2.5, 0.125, 3], [1.5]]
    if form == "xlsx":
        rows = [row[6:9] for row in openpyxl.load_workbook(out)["Lines"].values]
        assert rows[1:] == [(2.5, 3.99, 9.98), (0.125, -40.04, -5.01), (3, 1.1, 3.3), (1.5, 333, 500)]
    ran = cli("import", str(out))
    assert (ran.code, "2 unchanged" in ran.out) == (0, True)


@pytest.mark.parametrize("form", ["pdf", "oc-pdf"])
def test_a_document_has_the_metres_and_their_amounts(sqlite_cli, tmp_path, form):
    sqlite_cli("import", write(tmp_path / "o.csv", LINES))
    assert sqlite_cli("export", "M1", "--format", form, "-o", str(tmp_path / "o.pdf")).code == 0
    words = PdfReader(tmp_path / "o.pdf").pages[0].extract_text().split()
    assert {"2.5", "9.98", "0.125", "-5.01"} <= set(words)
    assert "Sum" not in words  # the total is that of the lines


def test_what_is_doubtful_as_an_amount_is_doubtful_as_a_quantity(sqlite_cli, tmp_path):
    row = ("M1", "needs-oc", "2026-01-15", "EUR", "SILK", "1,234", "10")
    path = write(tmp_path / "o.csv", [row], ";")
    ran = sqlite_cli("import", path)
    assert ran.code != 0
    assert "may be 1,234 or 1.234" in " ".join((ran.out + ran.err).split())
    for decimal, quantity in (("comma", 1.234), ("point", 1234)):
        assert sqlite_cli("import", path, "--decimal", decimal).code == 0
        assert shown(sqlite_cli, "M1")["lines"][0]["quantity"] == quantity
    # The price of another line tells.
    other = ("M1", "needs-oc", "2026-01-15", "EUR", "CUP", "1", "2,50")
    assert sqlite_cli("import", write(tmp_path / "o.csv", [row, other], ";")).code == 0
    assert shown(sqlite_cli, "M1")["lines"][0]["quantity"] == 1.234


@pytest.mark.parametrize(
    ("field", "cell", "reason"),
    [
        ("line_quantity", "2.5001", "has more than three decimals"),
        ("line_quantity", "1." + "0" * 34 + "1", "has more than three decimals"),
        ("line_quantity", "999999999999999.5", "is too large a number"),
        ("line_quantity", "2.5 EUR", "is an amount, not a number of pieces"),
        ("quantity", "2.5", "is not a whole number"),
    ],
)
def test_what_is_no_quantity_is_refused(sqlite_cli, tmp_path, field, cell, reason):
    row = dict(zip(COLUMNS, LINES[0], strict=True)) | {field: cell}
    path = tmp_path / "o.jsonl"
    path.write_text(json.dumps(row))
    ran = sqlite_cli("import", str(path))
    assert ran.code != 0
    assert reason in " ".join((ran.out + ran.err).split())


@pytest.mark.parametrize(
    ("quantity", "amount", "price"),
    [("2.5", "10.00", "4.00"), ("0.75", "2.99", None), ("-1.5", "-3.00", "2.00"), ("4", "10.00", "2.50")],
)
def test_the_price_of_a_piece_is_worked_out_where_it_is_whole(sqlite_cli, tmp_path, quantity, amount, price):
    path = tmp_path / "o.csv"
    path.write_text(f"{','.join(COLUMNS[:-1])},line_total\n{','.join(LINES[0][:5])},{quantity},{amount}\n")
    ran = sqlite_cli("import", str(path))
    if price is None:
        assert f"gives no whole price for {quantity} pieces" in " ".join((ran.out + ran.err).split())
    else:
        order = shown(sqlite_cli, "M1")
        assert (order["total"], order["lines"][0]["unit_price"]) == (amount, price)


def test_the_totals_of_orders_in_metres_are_held_against_their_lines(sqlite_cli, tmp_path):
    path = tmp_path / "o.csv"
    rows = [(f"M{each}", *LINES[0][1:], "9.98" if each else "9.97") for each in range(3)]
    path.write_text("".join(f"{','.join(row)}\n" for row in [(*COLUMNS, "total"), *rows]))
    ran = sqlite_cli("import", str(path), "--check", "--format", "json")
    assert ran.code == 0
    assert (ran.json["differing_totals"], ran.json["line_total_suspected"]) == (1, "")


@given(st.integers(-(10**15), 10**15), st.integers(0, 3), st.booleans(), st.text("0", max_size=3))
def test_a_quantity_is_read_as_the_number_that_it_is(number, places, comma, zeros):
    text = f"{Decimal(number).scaleb(-places):f}"
    text = (text + zeros if places else text).replace(".", "," if comma else ".")
    quantity, decimals = read_quantity(text, decimal_comma=comma)
    line = OrderLine(number=1, sku="", quantity=quantity, unit_price=1, quantity_decimals=decimals)
    assert line.pieces == Decimal(number).scaleb(-places)
    assert decimals == 0 or quantity % 10
    if not decimals:
        assert quantity == read_integer(text, decimal_comma=comma)


@given(st.integers(-(10**6), 10**6), st.integers(1, 3))
def test_a_float_of_a_spreadsheet_is_the_number_that_was_typed(number, places):
    typed = number / 10**places
    assert read_quantity(typed) == read_quantity(f"{Decimal(number).scaleb(-places):f}")
    assert read_quantity(typed + 1e-10) == read_quantity(typed)


def test_the_fingerprint_of_an_order_in_whole_pieces_is_that_of_earlier_versions():
    order = make_order("A1", reference="PO-1")
    assert fingerprints([SaidOrder.of(order)]) == ["f368929e61b4381986ca2c7a10e873b37218868c65e8f3b05bbb96d257011fdf"]
