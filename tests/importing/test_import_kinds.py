"""The kinds of files that orders are read from, whatever their names say."""

import csv
import gzip
import io
import json
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orderctl.errors import UsageError
from orderctl.importing.figures import SourceRequest
from orderctl.importing.source import open_source
from orderctl.orders.orders import Order
from support.cli import Cli
from support.workbooks import write_ods, write_xls, write_xlsb

READ_AT = datetime(2026, 3, 14, tzinfo=UTC)
HEADER = ["id", "status", "ordered", "currency", "sku", "line_quantity", "unit_price"]
ROWS = [
    ["A1", "needs-oc", "2026-01-15", "EUR", "S1", 2, 10.25],
    ["A1", "needs-oc", "2026-01-15", "EUR", "S2", 1, 100],
    ["A2", "needs-oc", "2026-01-16", "GBP", "S1", 3, 1.5],
]
TEXT = "".join(",".join(map(str, row)) + "\n" for row in [HEADER, *ROWS])
OBJECTS = [
    {
        **dict(zip(HEADER[:4], ROWS[0], strict=False)),
        "lines": [dict(zip(HEADER[4:], row[4:], strict=True)) for row in ROWS[:2]],
    },
    {**dict(zip(HEADER[:4], ROWS[2], strict=False)), "lines": [dict(zip(HEADER[4:], ROWS[2][4:], strict=True))]},
]


def read(path: Path, **how) -> list[Order]:
    with open_source(path, SourceRequest(**how), read_at=READ_AT) as source:
        assert list(source.problems()) == []
        return list(source.orders())


def check(orders: list[Order]) -> None:
    """Orders, lines, totals and currencies against the rows, of which the csv module has counted them."""
    rows = list(csv.DictReader(io.StringIO(TEXT)))
    assert [order.id for order in orders] == list(dict.fromkeys(row["id"] for row in rows))
    assert sum(len(order.lines) for order in orders) == len(rows)
    for order in orders:
        own = [row for row in rows if row["id"] == order.id]
        assert {row["currency"] for row in own} == {order.currency}
        assert order.total == round(100 * sum(float(row["unit_price"]) * int(row["line_quantity"]) for row in own))


def refusal(path: Path) -> str:
    with pytest.raises(UsageError) as raised:
        read(path)
    assert raised.value.hint
    return str(raised.value)


def write_xlsx(path: Path, rows: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


@pytest.mark.parametrize(
    ("write", "kind"), [(write_xlsx, "xlsx"), (write_xls, "xls"), (write_xlsb, "xlsb"), (write_ods, "ods")]
)
@pytest.mark.parametrize("named", ["", "csv", "xls", "dat"])
def test_workbooks_are_read_whatever_they_are_called(tmp_path: Path, write: Callable, kind: str, named: str) -> None:
    made = write(tmp_path / f"o.{kind}", [HEADER, *ROWS])
    check(read(made.rename(tmp_path / f"named.{named or kind}")))


@pytest.mark.parametrize("named", ["csv", "xls", "tsv", "dat", "export"])
def test_text_is_read_whatever_it_is_called(tmp_path: Path, named: str) -> None:
    path = tmp_path / f"o.{named}"
    path.write_text(TEXT.replace(",", "\t"))
    check(read(path))


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(OBJECTS),
        json.dumps(OBJECTS, indent=2),
        json.dumps({"page": 1, "orders": OBJECTS, "next": None}, indent=1),
        json.dumps({"orders": OBJECTS}),
        "".join(json.dumps(each) + "\n" for each in OBJECTS),
    ],
    ids=["array", "indented", "within", "one line", "lines"],
)
@pytest.mark.parametrize("kind", ["json", "jsonl", "txt"])
def test_json_is_read_in_each_form(tmp_path: Path, text: str, kind: str) -> None:
    if text.startswith("{") and kind == "jsonl" and text.count("\n") != len(OBJECTS):
        return  # a line of JSON lines is an order
    path = tmp_path / f"o.{kind}"
    path.write_text(text)
    check(read(path))


def test_a_long_array_is_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "o.json"
    path.write_text(json.dumps([{**OBJECTS[1], "id": f"N{number}", "note": "x" * 300} for number in range(2_000)]))
    assert {order.total for order in read(path)} == {450}
    assert len(read(path)) == 2_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"id": "A"}, {"id": ', "o.json is not JSON after 1 objects: Expecting value"),
        ('[{"id": "A"} {"id": "B"}]', "o.json is not JSON after 1 objects: Expecting value"),
        ('[{"id": "A"}] [', "o.json is not JSON after 1 objects: more follows after its end"),
        ('{"a": [{"id": "A"}], "b": [{"id": "B"}]}', "it holds several arrays: a, b"),
        ('{"a": ' + "[" * 100_000, "it is nested too deep"),
    ],
)
def test_json_that_is_none(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "o.json").write_text(text)
    assert said in refusal(tmp_path / "o.json")


def test_an_item_that_is_no_order_is_a_problem_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "o.json"
    path.write_text(f'[{json.dumps(OBJECTS[0])}, 5, {{"id": 1, "id": 2}}, NaN, {json.dumps(OBJECTS[1])}]')
    with open_source(path, read_at=READ_AT) as source:
        assert [(each.row, each.reason) for each in source.problems()] == [
            (2, "is not a JSON object"),
            (3, "is not JSON: the key 'id' stands there twice"),
            (4, "is not JSON: NaN is no number"),
        ]
        check(list(source.orders()))


def test_packed_files_are_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "o.csv.gz"
    path.write_bytes(gzip.compress(TEXT.encode()))
    check(read(path))
    path = tmp_path / "o.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("export/", "")
        archive.writestr("../../etc/orders.csv", TEXT)
        archive.writestr("__MACOSX/._orders.csv", "x")
    check(read(path))
    inner = write_xlsx(tmp_path / "o.xlsx", [HEADER, *ROWS]).read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("o.xlsx", inner)
    check(read(path))


def test_packed_files_that_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "o.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", TEXT)
        archive.writestr("b.csv", TEXT)
    assert refusal(path) == "o.zip holds 2 files, not one: a.csv, b.csv"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", b"0" * 60_000_000)
    assert "would unfold to more" in refusal(path)
    path = tmp_path / "o.csv.gz"
    path.write_bytes(gzip.compress(b"0" * 60_000_000))
    assert "would unfold to more" in refusal(path)
    path.write_bytes(gzip.compress(TEXT.encode())[:-9])
    assert "cannot be unpacked" in refusal(path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("o.xls", b"<html><table><tr><td>id</td></tr></table></html>", "o.xls is an HTML or XML page"),
        ("o.xls", b'\xef\xbb\xbf<?xml version="1.0"?><Workbook/>', "o.xls is an HTML or XML page"),
        ("o.csv", b"%PDF-1.7", "orders are read from"),
        ("o.dat", bytes(range(256)), "orders are read from"),
        ("o.xls", b"\xd0\xcf\x11\xe0" + b"\0" * 600, "cannot be read as a workbook"),
    ],
)
def test_what_holds_no_orders_is_said_to_be_what_it_is(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert said in refusal(tmp_path / name)


def test_small_workbooks_that_would_fill_the_memory(tmp_path: Path) -> None:
    far = (
        '<table:table-row table:number-rows-repeated="1000000"/><table:table-row>'
        '<table:table-cell table:number-columns-repeated="16000"/>'
        '<table:table-cell office:value-type="float" office:value="1"/></table:table-row>'
    )
    assert "would unfold to more" in refusal(write_ods(tmp_path / "far.ods", [HEADER, *ROWS], far))
    many = '<table:table-row table:number-rows-repeated="1048570"/>'
    check(read(write_ods(tmp_path / "empty.ods", [HEADER, *ROWS], many)))
    assert "beyond row 1,048,576" in refusal(write_xlsb(tmp_path / "far.xlsb", [HEADER, *ROWS], last_row=2_000_000))


def write_parquet(path: Path) -> Path:
    columns = dict(zip(HEADER, zip(*ROWS, strict=True), strict=True))
    prices = pa.array([Decimal(str(price)) for price in columns["unit_price"]], pa.decimal128(12, 3))
    days = [datetime.fromisoformat(day) for day in columns["ordered"]]
    pq.write_table(pa.table({**columns, "unit_price": prices, "ordered": days}), path)
    return path


def test_parquet_is_read_by_its_types(tmp_path: Path) -> None:
    check(read(write_parquet(tmp_path / "o.parquet")))
    (tmp_path / "broken.parquet").write_bytes(b"PAR1" + b"x" * 100)
    assert "broken.parquet cannot be read as Parquet" in refusal(tmp_path / "broken.parquet")


def test_without_its_package_parquet_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError) as raised:
        read(write_parquet(tmp_path / "o.parquet"))
    assert raised.value.hint == "install orderctl[parquet]"


def test_standard_input_is_read_as_what_it_is(tmp_path: Path) -> None:
    cli = Cli(f"sqlite:///{tmp_path}/orders.db", tmp_path / "home")
    assert cli("store", "init").code == 0
    for text in (TEXT, json.dumps(OBJECTS), "".join(json.dumps(each) + "\n" for each in OBJECTS)):
        ran = cli("import", "-", "--check", stdin=text)
        assert (ran.code, ran.out) == (0, ran.out), ran.err
        assert "2 orders: all good" in ran.out
    assert cli("import", "-", stdin="").code == 2
