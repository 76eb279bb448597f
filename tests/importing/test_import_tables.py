"""Where a table stands in its file: encodings, delimiters, titles above, totals below, sheets."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderctl.errors import UsageError
from orderctl.importing.figures import SourceRequest
from orderctl.importing.source import open_source
from orderctl.orders.orders import Order

READ_AT = datetime(2026, 3, 14, tzinfo=UTC)
HEADER = ["id", "status", "ordered", "currency", "total", "buyer_id", "buyer_name"]
ROWS = [
    ["A1", "needs-oc", "2026-01-15", "EUR", "120.50", "B1", "Müller"],
    ["A2", "needs-oc", "2026-01-16", "EUR", "1000.00", "B2", "Größe & Söhne"],
    ["A3", "needs-oc", "2026-01-17", "GBP", "7.25", "B3", "Acme"],
]


def written(rows: Sequence[Sequence[str]], delimiter: str = ",") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue()


def read(path: Path, **how) -> tuple[list[Order], tuple[str, ...]]:
    with open_source(path, SourceRequest(**how), read_at=READ_AT) as source:
        assert list(source.problems()) == []
        return list(source.orders()), source.remarks


def refusal(path: Path, **how) -> str:
    with pytest.raises(UsageError) as raised:
        read(path, **how)
    return f"{raised.value} ({raised.value.hint})"


def check(orders: Sequence[Order], rows: Sequence[Sequence[str]] = ROWS) -> None:
    """Hold orders against the rows that were written, of which only csv has had a say."""
    assert [(order.id, order.currency, order.buyer.name) for order in orders] == [(r[0], r[3], r[6]) for r in rows]
    assert [Decimal(order.total) / 100 for order in orders] == [Decimal(row[4]) for row in rows]


@pytest.mark.parametrize("encoding", ["cp1252", "cp850", "mac_roman", "utf-16-le", "utf-16-be", "utf-8-sig"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_and_delimiters_are_found_out_and_said(tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = tmp_path / "o.csv"
    path.write_bytes(written([HEADER, *ROWS], delimiter).encode(encoding))
    orders, remarks = read(path)
    check(orders)
    assert [encoding in remark for remark in remarks] == ([] if encoding == "utf-8-sig" else [True])


def test_the_guess_shows_what_it_makes_of_the_cells(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_bytes(written([HEADER, *ROWS]).encode("cp1252"))
    assert read(path)[1] == (
        "o.csv is read as cp1252, which shows in 2 texts: Müller, Größe & Söhne; --encoding says otherwise",
    )
    assert read(path, encoding="windows-1250")[1] == ()
    assert refusal(path, encoding="klingon") == (
        "--encoding: 'klingon' is not a known encoding (such as utf-8, cp1252, cp1250, cp850, shift_jis or gb18030)"
    )
    assert "o.csv:2: the text is not UTF-8" in refusal(path, encoding="utf-8")


def test_what_could_be_one_or_the_other_is_refused_with_both(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_bytes(written([HEADER, [*ROWS[0][:6], "Crème"]]).encode("cp1252"))
    said = refusal(path)
    assert "cp1252 (Crème), cp1250 (Crčme)" in said
    assert "--encoding cp1252" in said
    [order], _ = read(path, encoding="cp1252")
    assert order.buyer.name == "Crème"
    (tmp_path / "map.toml").write_text(
        'encoding = "cp1250"\n[columns]\nid = "id"\n[defaults]\n'
        + "".join(f'{name} = "{cell}"\n' for name, cell in zip(HEADER[1:5], ROWS[0][1:5], strict=True))
    )
    assert read(path, map_file=str(tmp_path / "map.toml"))[0][0].id == "A1"


def test_a_text_that_is_utf_8_but_for_a_cell_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_bytes(written([HEADER, *ROWS]).encode() + b"A4,needs-oc,2026-01-15,EUR,1,B,\xd6l\r\n")
    assert "o.csv is UTF-8, but not in '\ufffdl'" in refusal(path)


def test_a_japanese_mail_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_bytes(written([HEADER, [*ROWS[0][:6], "東京"]]).encode("iso2022_jp"))
    assert "UTF-8 or ISO-2022-JP" in refusal(path)
    [order], _ = read(path, encoding="iso2022_jp")
    assert order.buyer.name == "東京"


def test_a_line_names_the_delimiter(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_text("sep=;\n" + written([HEADER, *ROWS], ";"))
    check(read(path)[0])
    path.write_text("sep=^\n" + written([HEADER, [*ROWS[0][:6], "a,b"]], "^") + "A2^x\n")
    with open_source(path, read_at=READ_AT) as source:
        assert [(each.row, each.reason) for each in source.problems()] == [(4, "has 2 cells, but the header has 7")]


def test_a_delimiter_that_is_not_plain_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_text("Nr;Preis,netto\n1;5,00\n2;6,00\n")
    assert "separated by ',', ';'" in refusal(path)


TITLES = [["Orders of the week"], [], ["Printed", "2026-03-01"]]
TOTALS = [["Total", "", "", "EUR", "1120.50"], ["", "", "", "", "1127.75", "", ""]]


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_titles_above_and_totals_below_are_left_out_and_said(tmp_path: Path, kind: str) -> None:
    rows = [*TITLES, HEADER, *ROWS, [], *TOTALS]
    path = tmp_path / f"o.{kind}"
    if kind == "csv":
        path.write_text(written(rows, ";"))
    else:
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        book.save(path)
    orders, remarks = read(path)
    check(orders)
    assert remarks == (
        "the header is row 4, what stands above it is left out; --header-row says otherwise",
        "row 9 is left out, for it holds totals: Total, EUR, 1120.50",
        "row 10 is left out, for it holds totals: 1127.75",
    )
    assert read(path, header_row=4)[1] == remarks[1:]
    assert "row 2 holds no header" in refusal(path, header_row=2)


@pytest.mark.parametrize(
    "row",
    [
        ["Total", "needs-oc", "2026-01-15", "EUR", "5", "", ""],  # an order of that name
        ["", "needs-oc", "2026-01-15", "EUR", "5", "", ""],  # an order that has lost its id
        ["A9", "", "", "", "5", "", ""],
        ["", "", "", "", "5", "Total", "of what?"],
    ],
)
def test_what_may_be_an_order_is_no_row_of_totals(tmp_path: Path, row: list[str]) -> None:
    path = tmp_path / "o.csv"
    path.write_text(written([HEADER, *ROWS, row]))
    with open_source(path, read_at=READ_AT) as source:
        assert (source.figures.rows, source.remarks) == (4, ())
        assert source.figures.orders + source.figures.problems > len(ROWS)


def test_totals_with_orders_below_stay(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_text(written([HEADER, TOTALS[1], *ROWS]))
    with open_source(path, read_at=READ_AT) as source:
        assert [each.row for each in source.problems()] == [2]
        assert source.remarks == ()


def test_a_header_that_is_not_plain_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_text("Week 7\n1;2;3\n4;5;6\n")
    assert "--header-row N" in refusal(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(",;\t|"),
    st.lists(
        st.lists(
            st.text(st.characters(codec="ascii", exclude_characters="\r\n\0"), max_size=12), min_size=1, max_size=3
        ),
        max_size=4,
    ),
    st.sampled_from(["", *"abc"]),
)
def test_no_title_takes_an_order_away(tmp_path: Path, delimiter: str, titles: list[list[str]], note: str) -> None:
    path = tmp_path / "o.csv"
    path.write_text(written([*titles, [*HEADER, "note"], *([*row, note] for row in ROWS)], delimiter))
    try:
        orders, _ = read(path)
    except UsageError:
        return
    check(orders)


def book_of(path: Path, **sheets: Sequence[Sequence[str]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_the_sheet_with_the_orders_is_found_or_named(tmp_path: Path) -> None:
    cover = [["Export"], ["made by", "the shop"]]
    path = book_of(tmp_path / "o.xlsx", Cover=cover, Data=[HEADER, *ROWS], Notes=[["x"]])
    orders, remarks = read(path)
    check(orders)
    assert remarks == ("the orders are read from the sheet 'Data' of Cover, Data, Notes; --sheet says otherwise",)
    assert read(path, sheet="Data") == (orders, ())
    assert "has no sheet 'Dat' (it has: Cover, Data, Notes)" in refusal(path, sheet="Dat")
    path = book_of(path, Cover=cover, May=[HEADER, ROWS[0]], June=[HEADER, ROWS[1]])
    assert refusal(path) == "o.xlsx has orders on several sheets: May, June (say which with --sheet NAME)"
    check(read(path, sheet="June")[0], ROWS[1:2])
