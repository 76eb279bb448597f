"""Files of orders: what they may look like, and what is said about each thing that is wrong with them."""

import csv
import io
import json
import os
import signal
import subprocess
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderctl.core.text import safe
from orderctl.errors import UsageError
from orderctl.importing.figures import RowProblem, SourceRequest
from orderctl.importing.service import write_error_report
from orderctl.importing.source import open_source
from orderctl.orders.orders import Buyer, Order, OrderLine, Status
from support.cli import Cli

READ_AT = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
ROW = {"id": "A1", "status": "needs-oc", "ordered": "2026-01-15T12:00:00", "currency": "EUR", "total": "120.50"}
MAP = '[columns]\nid = "No"\nordered = "Date"\ntotal = "Sum"\n[defaults]\ncurrency = "EUR"\nstatus = "needs-oc"\n'


def write_csv(path: Path, *rows: dict[str, object], delimiter: str = ",") -> Path:
    text = io.StringIO()
    header = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, header, delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(text.getvalue().encode())
    return path


def write_jsonl(path: Path, *objects: object) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in objects))
    return path


def write_xlsx(path: Path, *rows: list[object]) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def read(path: Path, map_path: Path | None = None) -> tuple[list[Order], list[RowProblem]]:
    with open_source(path, SourceRequest(map_file=map_path and str(map_path)), read_at=READ_AT) as source:
        orders, problems = list(source.orders()), list(source.problems())
        assert (source.figures.orders, source.figures.problems) == (len(orders), len(problems))
        assert source.figures.bad_rows == len({problem.row for problem in problems})
        return orders, problems


def one_problem(path: Path, map_path: Path | None = None) -> tuple[int, str, str, str]:
    orders, [problem] = read(path, map_path)
    assert orders == []
    return problem.row, problem.column, problem.value, problem.reason


def of_map(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "map.toml"
    path.write_text(text)
    return path


def test_every_field_of_an_order(tmp_path: Path) -> None:
    row = {
        **ROW,
        "Buyer ID": "17850.0",
        "buyer name": " Acme ",
        "BUYER_EMAIL": "achats@acme.example",
        "buyer-contact": "Zoé",
        "buyer_country": "Deutschland",
        "buyer_language": "pt-BR",
        "brand": "nord",
        "status": "OC created",
        "reference": "PO-1",
        "season": "26SS",
        "terms": "net 30",
        "delivery_address": "1 rue A\nParis",
        "billing_address": "2 rue B",
        "country": "EIRE",
        "delivery_from": "2026-09-01",
        "delivery_to": "2026-09-30",
        "quantity": "1,200",
        "delivery_notes": "1",
        "invoices": "2",
        "backlog_skus": "3",
        "note": "keep \x1b[2J as it is",
        "tags": "vip, late ,,",
        "archived": "yes",
    }
    orders, problems = read(write_csv(tmp_path / "o.csv", row))
    assert problems == []
    assert orders == [
        Order(
            id="A1",
            buyer=Buyer(
                id="17850",
                name="Acme",
                email="achats@acme.example",
                contact="Zoé",
                country="DE",
                language="pt-BR",
            ),
            brand="nord",
            status=Status.OC_CREATED,
            reference="PO-1",
            season="26SS",
            ordered_at=datetime(2026, 1, 15, 12, tzinfo=UTC),
            terms="net 30",
            delivery_address="1 rue A\nParis",
            billing_address="2 rue B",
            country="IE",
            delivery_from=date(2026, 9, 1),
            delivery_to=date(2026, 9, 30),
            currency="EUR",
            total=12_050,
            quantity=1_200,
            delivery_notes=1,
            invoices=2,
            backlog_skus=3,
            note="keep \x1b[2J as it is",
            archived_at=READ_AT,
            tags=frozenset({"vip", "late"}),
        )
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_in_the_forms_that_spreadsheets_write(tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = write_csv(tmp_path / "o.csv", {**ROW, "note": "a,b;c\tdé"}, delimiter=delimiter)
    path.write_bytes(path.read_bytes().decode().encode(encoding))
    [order], _ = read(path)
    assert (order.id, order.total, order.note) == ("A1", 12_050, "a,b;c\tdé")


def test_the_row_of_a_problem_is_the_line_where_it_begins(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "o.csv", {**ROW, "note": "two\nlines"}, {**ROW, "id": "A2", "total": "x"})
    _, [problem] = read(path)
    assert problem.row == 4


def test_excel_cells_have_types(tmp_path: Path) -> None:
    path = write_xlsx(
        tmp_path / "o.xlsx",
        [],
        ["id", "status", "ordered", "currency", "total", "delivery_from", "archived", "quantity"],
        [573415, "needs-oc", datetime(2026, 1, 15, 12), "EUR", 2.55, date(2026, 9, 1), True, 3],  # noqa: DTZ001
        [],
        ["A2", "needs-oc", datetime(2026, 1, 15), "JPY", 0.1 + 0.2, None, None, 2.5],  # noqa: DTZ001
    )
    [order], problems = read(path)
    assert (order.id, order.total, order.quantity, order.delivery_from) == ("573415", 255, 3, date(2026, 9, 1))
    assert order.archived_at == READ_AT
    assert [(problem.row, problem.column) for problem in problems] == [(5, "total"), (5, "quantity")]


def test_json_lines_with_nested_lines(tmp_path: Path) -> None:
    path = write_jsonl(
        tmp_path / "o.jsonl",
        {
            "id": 573415.0,
            "status": "needs-oc",
            "ordered": "2026-01-15T12:00:00+02:00",
            "currency": "KWD",
            "buyer": {"id": "b1", "name": "Acme"},
            "tags": ["a", "b"],
            "lines": [
                {"sku": "S1", "name": "Shirt", "color": "white", "size": "M", "quantity": 2, "unit_price": 1.125},
                {"sku": "S2", "quantity": -1, "unit_price": "0.5"},
            ],
        },
    )
    [order], problems = read(path)
    assert problems == []
    assert order.buyer == Buyer(id="b1", name="Acme")
    assert order.ordered_at == datetime(2026, 1, 15, 10, tzinfo=UTC)
    assert order.lines == (
        OrderLine(number=1, sku="S1", name="Shirt", color="white", size="M", quantity=2, unit_price=1_125),
        OrderLine(number=2, sku="S2", quantity=-1, unit_price=500),
    )
    assert (order.id, order.total, order.quantity, order.tags) == ("573415", 1_750, 1, {"a", "b"})


def test_json_lines_that_are_wrong(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    good = json.dumps(ROW)
    path.write_text(
        f'{good}\n{{"id": \n[1]\n{{"id": "B", "total": NaN}}\n'
        + json.dumps({**ROW, "id": "C", "curency": "EUR", "lines": [{"sku": "x", "quantiti": 1}, 3], "note": {}})
        + "\n"
        + "[" * 100_000
        + "\n"
    )
    [order], problems = read(path)
    assert order.id == "A1"
    assert [(problem.row, problem.column, problem.reason) for problem in problems] == [
        (2, "", "is not JSON: Expecting value at column 7"),
        (3, "", "is not a JSON object"),
        (4, "", "is not JSON: NaN is no number"),
        (5, "curency", "is not a field of an order (did you mean currency?)"),
        (5, "lines[1].quantiti", "is not a field of an order (did you mean line_quantity?)"),
        (5, "lines[2]", "is not an object"),
        (5, "note", "is not a single value"),
        (5, "line_quantity", "is missing"),
        (5, "unit_price", "is missing"),
        (6, "", "is nested too deep"),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"id": "A", "total": 1, "total": 2}', "is not JSON: the key 'total' stands there twice"),
        ('{"id": "A", "lines": [{"sku": "x", "sku": "y"}]}', "is not JSON: the key 'sku' stands there twice"),
    ],
)
def test_a_key_that_stands_twice_is_refused_with_its_line(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "o.jsonl"
    path.write_text(f"{json.dumps(ROW)}\n{line}\n")
    [order], [problem] = read(path)
    assert (order.id, problem.row, problem.reason) == ("A1", 2, reason)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("id", "a\x07", "holds a control character"),
        ("id", "", "is empty"),
        ("status", "oc-aproved", "is not a known status (did you mean oc-approved?)"),
        ("status", "", "is missing"),
        ("ordered", "15/01/26", "is not a date (ISO 8601)"),
        ("ordered", "0001-01-01", "is not between 1900 and 9998"),
        ("ordered", "9999-12-31T23:59:59-12:00", "is not between 1900 and 9998"),
        ("currency", "eur", "is not a currency code of three capital letters (ISO 4217)"),
        ("total", "1.234,5,0", "is not a number written with a decimal point"),
        ("total", "1012.505", "1012.505 has more decimals than EUR allows"),
        ("total", "10 GBP", "is in another currency than the order, which is in EUR"),
        ("quantity", "10 EUR", "is an amount, not a number of pieces"),
        ("total", "1e99999999", "is not a number written with a decimal point"),
        ("total", "٣", "is not a number written with a decimal point"),
        ("total", "9" * 39, "is too large a number"),
        ("total", "", "is missing"),
        ("quantity", "2.5", "is not a whole number"),
        ("invoices", "-1", "is not a count (0 or more)"),
        ("buyer_name", "Acme", "is missing, but the buyer has a name or an address"),
        ("note", "a\x00b", "holds a NUL character, which no database keeps"),
        ("note", "x" * 10_001, "is longer than 10,000 characters"),
        ("brand", "x" * 501, "is longer than 500 characters"),
        ("delivery_from", "soon", "is not a date (ISO 8601)"),
        ("archived", "maybe", "is neither yes nor no"),
        ("tags", "any", "'any' means something else in a filter (tag:none, tag:any)"),
    ],
)
def test_a_cell_that_is_wrong(tmp_path: Path, field: str, value: str, reason: str) -> None:
    row, column, _, said = one_problem(write_csv(tmp_path / "o.csv", {**ROW, field: value}))
    assert (row, column, said) == (2, "buyer_id" if field == "buyer_name" else field, reason)


@pytest.mark.parametrize("cell", ["6.11E+12", "6,11439E+12", "4e+3", '="0012"'])
@pytest.mark.parametrize("field", ["id", "buyer_id", "reference"])
def test_what_a_spreadsheet_made_of_an_id_is_refused(tmp_path: Path, field: str, cell: str) -> None:
    _, column, value, reason = one_problem(write_csv(tmp_path / "o.csv", {**ROW, field: cell}))
    assert (column, value) == (field, cell)
    assert "was damaged by a spreadsheet: export the file anew" in reason


def test_an_id_that_only_looks_like_a_number_is_taken(tmp_path: Path) -> None:
    ids = ["12E5", "1E", "E+12", "=12", "0012", "6110000000000", "PO-6.11E+12"]
    orders, problems = read(write_csv(tmp_path / "o.csv", *({**ROW, "id": each} for each in ids)))
    assert ({order.id for order in orders}, problems) == (set(ids), [])
    path = write_xlsx(tmp_path / "o.xlsx", list(ROW), [6114390000000, *list(ROW.values())[1:]])
    assert [order.id for order in read(path)[0]] == ["6114390000000"]
    path = write_xlsx(tmp_path / "o.xlsx", list(ROW), [7410991464714123456, *list(ROW.values())[1:]])
    assert "lost digits in a spreadsheet" in one_problem(path)[3]


@pytest.mark.parametrize("address", ["no address", "a@b.example, c@d.example", "a@b.example\nBcc: x@y.example", "a@"])
def test_an_address_that_is_not_one(tmp_path: Path, address: str) -> None:
    path = write_csv(tmp_path / "o.csv", {**ROW, "buyer_id": "b", "buyer_email": address})
    assert "is not one e-mail address" in one_problem(path)[3]


def test_all_problems_of_a_row_are_told(tmp_path: Path) -> None:
    row = {**ROW, "currency": "x", "status": "y", "ordered": "z", "total": "w"}
    _, problems = read(write_csv(tmp_path / "o.csv", row))
    assert {problem.column for problem in problems} == {"currency", "status", "ordered", "total"}


def test_delivery_cannot_end_before_it_begins(tmp_path: Path) -> None:
    row = {**ROW, "delivery_from": "2026-09-30", "delivery_to": "2026-09-01"}
    assert one_problem(write_csv(tmp_path / "o.csv", row))[3] == "is after the last day, 2026-09-01"


def test_an_order_that_stands_twice_is_bad(tmp_path: Path) -> None:
    _, problems = read(write_csv(tmp_path / "o.csv", ROW, {**ROW, "total": "1"}))
    assert [(problem.row, problem.reason) for problem in problems] == [
        (2, "is left out: another row of the order is wrong"),
        (3, "is in the file twice; first in row 2"),
    ]


LINE = {**{k: v for k, v in ROW.items() if k != "total"}, "sku": "S1", "line_quantity": "2", "unit_price": "1.10"}


def test_lines_of_an_order_stand_anywhere(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "o.csv",
        {**LINE, "tags": "x"},
        {**LINE, "id": "A2"},
        {**LINE, "sku": "S2", "line_quantity": "-1", "ordered": "2026-01-15T11:59:00", "tags": "y"},
    )
    orders, problems = read(path)
    assert problems == []
    assert [(order.id, order.total, order.quantity) for order in orders] == [("A1", 110, 1), ("A2", 220, 2)]
    assert [line.sku for line in orders[0].lines] == ["S1", "S2"]
    assert orders[0].ordered_at == datetime(2026, 1, 15, 11, 59, tzinfo=UTC)
    assert orders[0].tags == {"x", "y"}


@pytest.mark.parametrize(
    ("field", "value", "other"),
    [("currency", "USD", "EUR, USD"), ("status", "oc-created", "needs-oc, oc-created"), ("buyer_id", "b2", "b1, b2")],
)
def test_rows_that_contradict_each_other_spoil_the_order(tmp_path: Path, field: str, value: str, other: str) -> None:
    first = {**LINE, "buyer_id": "b1"}
    _, problems = read(write_csv(tmp_path / "o.csv", first, {**first, field: value}))
    assert (problems[0].row, problems[0].column, problems[0].value) == (2, field, other)
    assert problems[1].row == 3


def test_one_bad_row_spoils_its_order_and_no_other(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "o.csv", LINE, {**LINE, "id": "A2"}, {**LINE, "unit_price": "x"}, {**LINE, "sku": ""})
    orders, problems = read(path)
    assert [order.id for order in orders] == ["A2"]
    assert [(problem.row, problem.column) for problem in problems] == [(2, "id"), (4, "unit_price"), (5, "sku")]


def test_a_map_gives_columns_their_meaning(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "o.csv", {"No": "C7", "Date": "01/07/2026 13:00", "Sum": "1.234,5", "State": "DA", "x": 1}
    )
    map_path = of_map(
        tmp_path,
        'decimal_comma = true\ndate_formats = ["%d/%m/%Y %H:%M"]\ntimezone = "Europe/London"\ntag_separator = "|"\n'
        '[columns]\nid = "No"\nordered = "Date"\ntotal = "Sum"\nstatus = "State"\nreference = "No"\n'
        '[defaults]\ncurrency = "EUR"\ntags = "a|b"\n[status]\nda = "oc-created"\n',
    )
    [order], problems = read(path, map_path)
    assert problems == []
    assert (order.id, order.reference, order.total, order.status) == ("C7", "C7", 123_450, Status.OC_CREATED)
    assert order.ordered_at == datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert order.tags == {"a", "b"}


def test_prices_finer_than_the_currency_are_rounded_only_when_the_map_says_so(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "o.csv", {"No": "1", "Date": "2026-01-01", "Sum": "0.005"})
    assert one_problem(path, of_map(tmp_path, MAP))[3] == "0.005 has more decimals than EUR allows"
    [order], _ = read(path, of_map(tmp_path, "round_prices = true\n" + MAP))
    assert order.total == 1


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("[columns", "is not TOML", ""),
        ("colums = 1", "unknown key 'colums'", "did you mean columns?"),
        ('[columns]\nbuyerid = "x"', "columns: unknown field 'buyerid'", "did you mean buyer_id?"),
        ("[columns]\nid = 1", "columns.id must be a text", ""),
        ("[defaults]\nid = [1]", "defaults.id must be a single value", ""),
        ('rows = "line"', "rows must be one of orders, lines", ""),
        ('rows = ""', "rows must be one of orders, lines, not ''", ""),
        ("date_formats = [1]", "date_formats must be a list of texts", ""),
        ('date_formats = ["%H:%M"]', "'%H:%M' does not give a day", ""),
        ('date_formats = ["%Q"]', "'%Q' does not give a day", ""),
        ('timezone = "Europe/Lundon"', "is not a known time zone", ""),
        ('timezone = "../../etc/passwd"', "is not a known time zone", ""),
        ('decimal_comma = "yes"', "decimal_comma must be true or false", ""),
        ('tag_separator = ""', "tag_separator must not be empty", ""),
        ('[status]\nx = "oc-aproved"', "is not a known status (did you mean oc-approved?)", ""),
        (MAP.replace("Sum", "Sums"), "has no column 'Sums'", "did you mean 'Sum'?"),
        (MAP.replace("currency", "note"), "has no column for currency", "[defaults]"),
    ],
)
def test_a_map_that_is_wrong(tmp_path: Path, text: str, said: str, hint: str) -> None:
    path = write_csv(tmp_path / "o.csv", {"No": "1", "Date": "2026-01-01", "Sum": "1"})
    with pytest.raises(UsageError) as raised:
        read(path, of_map(tmp_path, text))
    assert said in str(raised.value)
    assert hint in raised.value.hint


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "o.csv is empty"),
        (b"id,total\n", "o.csv has no column for status, ordered, currency"),
        (b"id,id\n", "o.csv: the column 'id' stands twice in the header"),
        (b"id,order\n", "o.csv: the columns 'id' and 'order' both mean id"),
        (b"id,curency\n", "o.csv: unknown column 'curency'"),
        (b"id,status,ordered,currency,total\nA,\xff\n", "o.csv is not UTF-8, and nothing says which of these"),
        (b"id,status,ordered,currency,total\nA,\xc3\xbc\nB,\xff\n", "o.csv is UTF-8, but not in '\ufffd'"),
        (b'id,status,ordered,currency,total\nA,"b\n', "o.csv:2: the row is not CSV"),
        (b"id,status,ordered,currency,total\n" + b"x" * 1_000_001, "o.csv:2: the line is longer"),
        (b"id,status,ordered,currency,total\n" + b"x" * 200_000, "o.csv:2: the row is not CSV: field larger"),
    ],
)
def test_a_csv_that_cannot_be_read(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "o.csv").write_bytes(content)
    with pytest.raises(UsageError) as raised:
        read(tmp_path / "o.csv")
    assert said in str(raised.value)
    assert raised.value.hint


def test_a_row_of_another_width_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_text("id,status,ordered,currency,total\nA,needs-oc,2026-01-01,EUR\nB,needs-oc,2026-01-01,EUR,1,2\n")
    _, problems = read(path)
    assert [(problem.row, problem.value, problem.reason) for problem in problems] == [
        (2, "A", "has 4 cells, but the header has 5"),
        (3, "B", "has 6 cells, but the header has 5"),
    ]


def test_workbooks_that_are_none(tmp_path: Path) -> None:
    for content, said in [
        (b"id,total", "is not a workbook"),
        (b"\xd0\xcf\x11\xe0" + "EncryptedPackage".encode("utf-16-le"), "protected by a password"),
    ]:
        (tmp_path / "o.xlsx").write_bytes(content)
        with pytest.raises(UsageError, match=said):
            read(tmp_path / "o.xlsx")
    with zipfile.ZipFile(tmp_path / "o.xlsx", "w") as archive:
        archive.writestr("x", "y")
    with pytest.raises(UsageError, match="cannot be read as a workbook"):
        read(tmp_path / "o.xlsx")


def test_what_a_library_says_of_a_broken_workbook_is_cut(tmp_path: Path) -> None:
    path, long = tmp_path / "o.xlsx", "a" * 60_000
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(long, "y")
    path.write_bytes(path.read_bytes().replace(long.encode(), b"b" + long[1:].encode(), 1))
    with pytest.raises(UsageError, match="is not a workbook: File name in directory") as caught:
        read(path)
    assert len(caught.value.sentence) < 400


def test_workbooks_that_would_fill_the_memory(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "far.xlsx", list(ROW), list(ROW.values()))
    book = openpyxl.load_workbook(path)
    book.active["XFD1048576"] = 1
    book.save(path)
    with pytest.raises(UsageError, match="would unfold to more"):
        read(path)
    with zipfile.ZipFile(tmp_path / "bomb.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", b"0" * 60_000_000)
    with pytest.raises(UsageError, match="would unfold to more"):
        read(tmp_path / "bomb.xlsx")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('<row r="20000000"><c r="A20000000"><v>1</v></c></row>', "beyond row 1,048,576"),
        ('<row><c r="A1048577"><v>1</v></c></row>', "beyond row 1,048,576"),
        ('<row r="20000000"><c><v>1</v></c></row>', "beyond row 1,048,576"),
        ('<row r="3"><c r = "ZZZZZZ3"><v>1</v></c></row>', "beyond row 1,048,576 or column XFD"),
        ('<row r="3"><c r="xfe3"><v>1</v></c></row>', "beyond row 1,048,576 or column XFD"),
        (f'<row r="3"><c x="{"y" * 600}" r="ZZZZZZ3"><v>1</v></c></row>', "would unfold to more"),
    ],
)
@pytest.mark.parametrize("folder", ["xl/worksheets/", "xl/elsewhere/"])
def test_a_cell_beyond_the_end_of_a_sheet_is_refused(tmp_path: Path, row: str, said: str, folder: str) -> None:
    plain = write_xlsx(tmp_path / "plain.xlsx", list(ROW), list(ROW.values()))
    path = tmp_path / "far.xlsx"
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            content = old.read(entry).decode()
            content = content.replace("</sheetData>", f"{row}</sheetData>")
            content = content.replace("worksheets/sheet", f"{folder[3:]}sheet")
            new.writestr(entry.filename.replace("xl/worksheets/", folder), content)
    assert path.stat().st_size < 10_000
    with pytest.raises(UsageError, match=said):
        read(path)


def test_a_part_that_is_larger_than_it_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "liar.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", b"0" * 3_000_000)
    true, less = (number.to_bytes(4, "little") for number in (3_000_000, 1_000))
    path.write_bytes(path.read_bytes().replace(true, less))
    with pytest.raises(UsageError, match="would unfold to more"):
        read(path)


def test_a_sheet_by_name(tmp_path: Path) -> None:
    path = tmp_path / "o.xlsx"
    book = openpyxl.Workbook()
    sheet = book.create_sheet("Orders")
    sheet.append(["No", "Date", "Sum"])
    sheet.append(["A1", "2026-01-01", 1])
    book.save(path)
    [order], _ = read(path, of_map(tmp_path, 'sheet = "Orders"\n' + MAP))
    assert order.id == "A1"
    with pytest.raises(UsageError, match="has no sheet 'Order'"):
        read(path, of_map(tmp_path, 'sheet = "Order"\n' + MAP))


def test_a_file_that_is_not_there_or_of_another_kind(tmp_path: Path) -> None:
    for name in ("none.csv", "none.xlsx", "none.jsonl"):
        with pytest.raises(UsageError, match="cannot be read: No such file"):
            read(tmp_path / name)
    (tmp_path / "o.pdf").write_bytes(b"%PDF-1.7\n")
    with pytest.raises(UsageError, match="orders are read from"):
        read(tmp_path / "o.pdf")


def test_no_scratch_data_stay_behind(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    path = write_csv(tmp_path / "o.csv", ROW)
    with open_source(path, read_at=READ_AT, scratch=scratch):
        [folder] = scratch.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(scratch.iterdir()) == []
    path.write_bytes(b"id,status,ordered,currency,total\nA,\xff\n")
    with pytest.raises(UsageError):
        open_source(path, read_at=READ_AT, scratch=scratch)
    assert list(scratch.iterdir()) == []


@pytest.fixture
def reading(tmp_path: Path, sqlite_url: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """An import that waits in the middle of its file, and the folder of scratch data."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    os.mkfifo(tmp_path / "o.csv")
    run = Cli(sqlite_url, tmp_path / "home", TMPDIR=str(scratch)).start("import", str(tmp_path / "o.csv"))
    writer = None
    while writer is None:
        assert run.poll() is None
        time.sleep(0.01)
        with suppress(OSError):  # until somebody reads it
            writer = os.open(tmp_path / "o.csv", os.O_WRONLY | os.O_NONBLOCK)
    assert list(scratch.glob("*/in-use")) != []
    yield run, scratch
    run.kill()
    run.communicate()
    os.close(writer)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_an_import_that_is_stopped_leaves_no_scratch_data(reading, number: signal.Signals) -> None:
    run, scratch = reading
    run.send_signal(number)
    assert run.wait() in {130, 143}
    assert list(scratch.iterdir()) == []


def test_what_a_killed_import_leaves_is_deleted_by_the_next_run_and_nothing_else(reading, tmp_path: Path) -> None:
    run, scratch = reading
    [left] = scratch.iterdir()
    (scratch / "orderctl-demo-x").mkdir()
    (scratch / "orderctl-others").mkdir(mode=0o755)
    (scratch / "orderctl-others" / "in-use").touch()
    (scratch / "orderctl-file").touch()
    path = write_csv(tmp_path / "p.csv", ROW)
    with open_source(path, read_at=READ_AT, scratch=scratch):
        assert left.exists(), "its process lives"
    run.kill()
    run.wait()
    assert left.stat().st_mode & 0o777 == 0o700
    with open_source(path, read_at=READ_AT, scratch=scratch):
        pass
    assert sorted(each.name for each in scratch.iterdir()) == ["orderctl-demo-x", "orderctl-file", "orderctl-others"]


def test_progress_counts_the_rows(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "o.csv", *({**ROW, "id": f"A{number}"} for number in range(2_500)))
    seen: list[tuple[int, int | None]] = []
    with open_source(path, read_at=READ_AT, progress=lambda done, total: seen.append((done, total))):
        assert seen == [(1_000, None), (2_000, None), (2_500, 2_500)]


def test_the_error_report_runs_nothing_and_overwrites_nothing(tmp_path: Path) -> None:
    problem = RowProblem(file="o.csv", row=2, column="note", value="=1+1", reason="is bad")
    path = tmp_path / "errors.csv"
    write_error_report(path, [problem])
    assert path.read_text() == "file,row,column,value,reason\no.csv,2,note,'=1+1,is bad\n"
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="is there already"):
        write_error_report(path, [])
    write_error_report(path, [], force=True)
    assert path.read_text() == "file,row,column,value,reason\n"
    target = tmp_path / "target"
    target.write_text("mine")
    link = tmp_path / "link.csv"
    link.symlink_to(target)
    with pytest.raises(UsageError):
        write_error_report(link, [])
    write_error_report(link, [], force=True)
    assert target.read_text() == "mine"
    with pytest.raises(UsageError, match="cannot be written"):
        write_error_report(tmp_path / "no" / "folder.csv", [])


HOSTILE = st.text(max_size=30) | st.sampled_from(
    ["=cmd()", "\ud800", "\x00", "NaN", "1e999", "-0", "C1", "\uff12", "[/]"]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(["buyer_id", "buyer_name", "note", "tags", "quantity", *ROW]), HOSTILE))
def test_any_text_is_an_order_or_a_problem(tmp_path: Path, cells: dict[str, str]) -> None:
    path = write_jsonl(tmp_path / f"o{os.getpid()}.jsonl", {**ROW, **cells})
    orders, problems = read(path)
    assert bool(orders) != bool(problems)
    for problem in problems:
        assert (safe(problem.value), safe(problem.reason)) == (problem.value, problem.reason)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.sampled_from([".csv", ".jsonl", ".xlsx"]))
def test_any_bytes_are_read_or_refused_in_one_sentence(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / f"o{kind}"
    path.write_bytes(b"id,status,ordered,currency,total\n" * (kind == ".csv") + content)
    try:
        read(path)
    except UsageError as error:
        said = str(error)
    else:
        said = ""
    assert "\n" not in said
