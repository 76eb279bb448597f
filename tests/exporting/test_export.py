"""Exports: what is written can be read again, by us and by others, and nothing in it runs, hides or escapes."""

import fcntl
import json
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from itertools import starmap
from pathlib import Path

import openpyxl
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader
from python_calamine import CalamineWorkbook

from orderctl.core.ids import new_id
from orderctl.core.money import decimals, plain_amount
from orderctl.core.text import fold
from orderctl.exporting.excel import write_workbook
from orderctl.exporting.service import ExportFormat, ExportRequest, write_export
from orderctl.filters.parser import parse_filter
from orderctl.importing.fields import LINE_FIELDS, ORDER_FIELDS
from orderctl.importing.figures import SourceRequest
from orderctl.importing.service import FileImport, import_orders
from orderctl.importing.source import open_source
from orderctl.orders.orders import Buyer, Order, OrderLine, Status
from orderctl.orders.queries import get_order
from orderctl.orders.samples import sample_orders
from orderctl.selection.queries import chosen_orders
from orderctl.selection.selection import Choice, FilterScope
from support.cli import Cli
from support.factories import ACME, KUMO, NOW, FixedClock, make_order, put, put_all
from support.real_file import MAP, REAL, make_look_alike, real_or_not
from support.stores import open_store

EVIL = '=HYPERLINK("http://x","y")\x07\x0b\x1b[31m\n+1'
JAPANESE = OrderLine(number=1, sku="LN-10-白", name="リネンシャツ", color="藍", size="M", quantity=3, unit_price=8_000)


def written(tmp_path: Path, orders: list[Order], format_: ExportFormat, name: str = "out", **how) -> Path:
    path = tmp_path / f"{name}.{format_.value.removeprefix('oc-')}"
    write_export(orders, ExportRequest(format=format_, path=str(path), **{"force": True, **how}))
    return path


def read_again(path: Path) -> list[Order]:
    with open_source(path, read_at=NOW) as source:
        assert list(source.problems()) == []
        return list(source.orders())


# --- CSV, JSON lines and Excel: the same orders come back


def texts(longest: int = 12, *, without: str = "") -> st.SearchStrategy[str]:
    signs = st.one_of(
        st.sampled_from("'=+-@,;\"|\t\n é髙山ß"),
        st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r"),
    )
    return st.text(signs, max_size=longest).map(lambda text: text.translate(dict.fromkeys(map(ord, without))).strip())


ids = (
    st.text("'=-@ABC019/.é", min_size=1, max_size=8)
    .map(str.strip)
    .filter(lambda text: text and not re.fullmatch(r"\d+\.0", text))
)
FIRST, LAST = (datetime(year, 1, 2, tzinfo=UTC).replace(tzinfo=None) for year in (1900, 9998))
days = st.dates(date(1900, 1, 2), date(9998, 12, 30))
numbers = st.one_of(st.integers(-(10**6), 10**6), st.integers(-(10**15), 10**15))
buyers = st.builds(
    Buyer,
    id=ids,
    name=texts().filter(bool),
    email=st.sampled_from([None, "mia@shop.example"]),
    contact=texts().map(lambda text: text or None),
    country=st.sampled_from([None, "FR", "JP"]),
    language=st.sampled_from([None, "fr", "pt-BR"]),
)


def numbered(number: int, line: OrderLine) -> OrderLine:
    """The line without needless decimals, as files are read: 2.50 is 2.5."""
    return replace(line, number=number, quantity_decimals=line.quantity_decimals if line.quantity % 10 else 0)


lines = st.lists(
    st.builds(
        OrderLine,
        number=st.just(0),
        sku=texts().filter(bool),
        name=texts(),
        color=texts(),
        size=texts(),
        quantity=st.integers(-1_000, 1_000),
        quantity_decimals=st.integers(0, 3),
        unit_price=st.integers(-(10**9), 10**9),
    ),
    max_size=3,
).map(lambda found: tuple(starmap(numbered, enumerate(found, start=1))))
orders = st.builds(
    Order,
    id=ids,
    buyer=st.one_of(st.none(), buyers),
    brand=texts(),
    status=st.sampled_from(list(Status)),
    reference=texts(),
    season=texts(),
    ordered_at=st.datetimes(FIRST, LAST, timezones=st.just(UTC)),
    terms=texts(60),
    delivery_address=texts(60),
    billing_address=texts(60),
    country=st.sampled_from([None, "DE", "JP", "Channel Islands"]),
    delivery_from=days,
    delivery_to=st.none(),
    currency=st.sampled_from(["EUR", "JPY", "KWD"]),
    total=numbers,
    quantity=numbers,
    delivery_notes=st.integers(0, 2**31 - 1),
    invoices=st.integers(0, 9),
    backlog_skus=st.integers(0, 9),
    note=texts(60),
    archived_at=st.sampled_from([None, NOW]),
    lines=lines,
    tags=st.frozensets(st.text("abc-=@é ", min_size=1, max_size=6).map(str.strip).filter(bool), max_size=3),
)
several = st.lists(orders, min_size=1, max_size=3, unique_by=lambda order: order.id).map(
    lambda found: sorted(found, key=lambda order: order.id)
)
thorough = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@thorough
@given(several)
def test_json_lines_give_the_same_orders_again(tmp_path, given_orders):
    assert read_again(written(tmp_path, given_orders, ExportFormat.JSONL)) == given_orders


@thorough
@given(several)
def test_csv_of_lines_gives_the_same_orders_again(tmp_path, given_orders):
    assert read_again(written(tmp_path, given_orders, ExportFormat.CSV, by_line=True)) == given_orders


@thorough
@given(several)
def test_csv_of_orders_gives_the_same_orders_again_but_for_their_lines(tmp_path, given_orders):
    bare = [replace(order, lines=()) for order in given_orders]
    assert read_again(written(tmp_path, given_orders, ExportFormat.CSV)) == bare


@thorough
@given(several)
def test_a_workbook_gives_the_same_orders_again_with_their_lines(tmp_path, given_orders):
    assert read_again(written(tmp_path, given_orders, ExportFormat.XLSX)) == [in_xml(order) for order in given_orders]


def in_xml(value):
    """The same with U+FFFD for the two characters that XML cannot hold."""
    if type(value) is str:
        return re.sub("[\ufffe\uffff]", "\ufffd", value)
    if isinstance(value, tuple):
        return tuple(map(in_xml, value))
    if isinstance(value, Order | Buyer | OrderLine):
        return replace(value, **{field.name: in_xml(getattr(value, field.name)) for field in fields(value)})
    return value


@pytest.mark.parametrize(
    "text",
    ["_x0041_", "_x005F_x0041_", "_x0041_x0042_", "_x0001\x01", "\x01x0041_", "__x00e9_", "_xFFFE_", "\x1b_x001b_"],
    ids=ascii,
)
def test_a_text_that_looks_like_an_escape_of_a_workbook_comes_back_from_it(tmp_path, text):
    order = make_order("A1", note=text)
    assert read_again(written(tmp_path, [order], ExportFormat.XLSX)) == [order]


def test_what_no_workbook_can_hold_is_replaced_in_it(tmp_path):
    order = make_order("A1", note="a\ufffeb\uffffc")
    assert read_again(written(tmp_path, [order], ExportFormat.XLSX)) == [replace(order, note="a\ufffdb\ufffdc")]


@pytest.mark.parametrize("sign", ["=", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_csv_of_a_search_is_escaped_and_ids_of_it_are_read_back(store_url, tmp_path, sign):
    with open_store(store_url) as store:
        put(store, make_order(f"{sign}1+1"))
    cli = Cli(store_url, tmp_path / "home")
    printed = cli("search", "--format", "csv")
    assert printed.lines[1].startswith(f"'{sign}1+1,")
    assert cli("select", "--ids", "-", stdin=printed.out).err == "1 added; selection default: 1 order\n"


def test_csv_is_escaped_for_spreadsheets_unless_raw(tmp_path):
    order = make_order("-7", reference="=1+1", note="'@x", total=-5, lines=(), quantity=0)
    escaped = written(tmp_path, [order], ExportFormat.CSV).read_text().splitlines()[1]
    assert escaped.startswith("'-7,")
    assert ",'=1+1," in escaped
    assert ",''@x," in escaped
    assert ",-0.05," in escaped
    raw = written(tmp_path, [order], ExportFormat.CSV, raw=True).read_text().splitlines()[1]
    assert raw.startswith("-7,")
    assert ",=1+1," in raw


# --- Excel, opened by two other libraries


def workbook(orders: list[Order], **how) -> bytes:
    out = BytesIO()
    write_workbook(orders, out, **how)
    return out.getvalue()


def typed(rows: list[list[object]]) -> list[tuple[object, ...]]:
    """What both libraries say, in one form: nothing is None, whole numbers are int."""
    return [
        tuple(
            None if cell == "" else int(cell) if isinstance(cell, float) and cell.is_integer() else cell for cell in row
        )
        for row in rows
    ]


def by_openpyxl(data: bytes, sheet: str) -> list[tuple[object, ...]]:
    return typed(openpyxl.load_workbook(BytesIO(data))[sheet].values)


def by_calamine(data: bytes, sheet: str) -> list[tuple[object, ...]]:
    return typed(CalamineWorkbook.from_filelike(BytesIO(data)).get_sheet_by_name(sheet).to_python())


def expected_order(order: Order) -> tuple[object, ...]:
    buyer = order.buyer
    of_buyer = [
        getattr(buyer, name, None) for name in ("id", "name", "email", "contact", "country", "language", "cc", "bcc")
    ]
    amount = order.total / 10 ** decimals(order.currency)
    return (
        *(order.id, *of_buyer, order.brand or None, order.reference or None, order.season or None),
        *(order.terms or None, order.delivery_address or None, order.billing_address or None, order.note or None),
        *(order.delivery_notes, order.invoices, order.backlog_skus, order.status.value),
        *(order.ordered_at.replace(tzinfo=None), order.country, order.delivery_from, order.delivery_to),
        *(order.currency, int(amount) if amount.is_integer() else amount, order.quantity),
        *(",".join(sorted(order.tags)) or None, order.archived_at is not None),
    )


@pytest.mark.parametrize("read", [by_openpyxl, by_calamine])
def test_a_workbook_holds_the_values_of_the_store_with_their_types(store, read):
    put_all(store, [
        make_order("1001", tags=frozenset({"late", "vip"}), note="two\nlines", invoices=2),
        make_order("1002", buyer=KUMO, country="JP", currency="JPY", total=24_000, quantity=3, lines=(JAPANESE,)),
        make_order("1003", buyer=None, reference="0042", status=Status.REJECTED, rejected_at=NOW, archived_at=NOW),
    ])  # fmt: skip
    with store.snapshot() as connection:
        kept = [get_order(connection, order_id) for order_id in ("1001", "1002", "1003")]
    data = workbook(kept)
    header, *rows = read(data, "Orders")
    days = {header.index(name) for name in ("Delivery from", "Delivery to")}
    as_days = [
        tuple(cell.date() if place in days and isinstance(cell, datetime) else cell for place, cell in enumerate(row))
        for row in rows
    ]
    assert header[:3] == ("ID", "Buyer ID", "Buyer name")
    assert as_days == [expected_order(order) for order in kept]
    header, *rows = read(data, "Lines")
    assert header == (
        "Order",
        "Line",
        "SKU",
        "Line name",
        "Color",
        "Size",
        "Line quantity",
        "Unit price",
        "Line total",
        "Currency",
    )
    assert rows == [
        ("1001", 1, "AB-12", "Linen shirt", "white", "M", 5, 24.1, 120.5, "EUR"),
        ("1002", 1, "LN-10-白", "リネンシャツ", "藍", "M", 3, 8000, 24000, "JPY"),
        ("1003", 1, "AB-12", "Linen shirt", "white", "M", 5, 24.1, 120.5, "EUR"),
    ]


def test_a_workbook_of_several_sheets_is_imported_whole(tmp_path):
    given_orders = [make_order(f"{number:04}", lines=(JAPANESE,)) for number in range(5)]
    (tmp_path / "o.xlsx").write_bytes(workbook(given_orders, most_rows=3))
    assert read_again(tmp_path / "o.xlsx") == given_orders


def test_a_sheet_of_lines_without_its_orders_or_with_an_order_twice_is_refused(tmp_path):
    path = tmp_path / "o.xlsx"
    path.write_bytes(workbook([make_order("A1"), make_order("A2"), make_order("A3")]))
    book = openpyxl.load_workbook(path)
    book["Orders"].delete_rows(2)
    book["Orders"].append([cell.value for cell in book["Orders"][2]])
    book["Lines"]["H4"] = "dear"
    book.save(path)
    with open_source(path, read_at=NOW) as source:
        found = {(problem.row, problem.column, problem.value): problem.reason for problem in source.problems()}
        assert list(source.orders()) == []
    assert found[2, "Lines: SKU", "A1"] == "is the id of no order on the sheet of orders"
    assert found[4, "ID", "A2"] == "is in the file twice; first in row 2"
    assert found[4, "Lines: Unit price", "dear"] == "is not a number written with a decimal point"


def test_a_sheet_is_ready_to_be_read(tmp_path):
    book = openpyxl.load_workbook(BytesIO(workbook([make_order("A1", currency="KWD", total=1_234_567)])))
    sheet = book["Orders"]
    columns = {cell.value: cell.column_letter for cell in sheet[1]}
    assert book.sheetnames == ["Orders", "Lines"]
    assert (sheet.freeze_panes, book["Lines"].freeze_panes) == ("B2", "B2")
    assert sheet["A1"].font.bold
    assert sheet.column_dimensions[columns["Buyer name"]].width > sheet.column_dimensions[columns["Currency"]].width > 8
    assert sheet[f"{columns['Total']}2"].number_format == "#,##0.000"
    assert sheet[f"{columns['Ordered']}2"].number_format == "yyyy-mm-dd hh:mm:ss"
    assert sheet[f"{columns['Delivery from']}2"].number_format == "yyyy-mm-dd"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "{=1}", "http://x.example", "007", "<r>x</r>", EVIL])
def test_a_text_stays_text_in_a_workbook(text):
    data = workbook([make_order("A1", note=text, reference=text, buyer=replace(ACME, name=text))])
    sheet = openpyxl.load_workbook(BytesIO(data))["Orders"]
    columns = {cell.value: cell.column_letter for cell in sheet[1]}
    for name in ("Note", "Reference", "Buyer name"):
        cell = sheet[f"{columns[name]}2"]
        assert (cell.data_type, cell.hyperlink) == ("s", None)
        assert openpyxl.utils.escape.unescape(cell.value).strip() == text
    assert openpyxl.utils.escape.unescape(by_calamine(data, "Orders")[1][2]).strip() == text


def test_large_numbers_lose_no_digit_and_long_lists_go_on_in_another_sheet():
    data = workbook([make_order("A1", total=10**15, quantity=10**15), *(make_order() for _ in range(4))], most_rows=3)
    row = dict(zip(*by_openpyxl(data, "Orders")[:2], strict=True))
    assert (row["Total"], row["Quantity"]) == ("10000000000000.00", "1000000000000000")
    assert openpyxl.load_workbook(BytesIO(data)).sheetnames == [
        "Orders",
        "Lines",
        "Orders 2",
        "Lines 2",
        "Orders 3",
        "Lines 3",
    ]


# --- a store, exported and imported into an empty one

Form = tuple[ExportFormat, dict[str, bool]]
FORMS: list[Form] = [(ExportFormat.JSONL, {}), (ExportFormat.CSV, {"by_line": True}), (ExportFormat.XLSX, {})]
# What an import says of itself: when it came, and which batch rejected an order elsewhere.
OF_THE_IMPORT = {"version", "rejected_at", "changed_at", "batch_id", "archived_at", "fingerprint"}
EVERY = Choice(scope=FilterScope(filter=parse_filter("archived:yes or archived:no", today=NOW.date()), words=""))


def differing(url: str, account: str, other: str) -> dict[str, list[tuple[object, ...]]]:
    """The rows of each table that an import writes which one of the accounts has and the other one has not."""
    connection = psycopg.connect(url) if "://" in url else sqlite3.connect(url)
    found = {}
    with closing(connection):
        for table in ("orders", "order_line", "order_tag", "buyer"):
            cursor = connection.cursor()
            cursor.execute(f"SELECT * FROM {table} LIMIT 0")
            names = [column[0] for column in cursor.description if column[0] not in {*OF_THE_IMPORT, "account"}]
            columns = ", ".join(names) + (", archived_at IS NULL" if table == "orders" else "")
            one, two = (f"SELECT {columns} FROM {table} WHERE account = '{each}'" for each in (account, other))
            # Each row has its key, so nothing is in a table twice.
            cursor.execute(f"SELECT * FROM ({one} EXCEPT {two}) AS x UNION ALL SELECT * FROM ({two} EXCEPT {one}) AS y")
            found[table] = cursor.fetchall()
    return found


def exported_and_imported(url: str, tmp_path: Path, account: str, forms: Sequence[Form] = FORMS) -> None:
    """Export the store of an account in every format that an import reads, each into an empty account; compare."""
    with open_store(url, account) as store, store.snapshot() as connection:
        (count,) = connection.execute("SELECT count(*) FROM orders WHERE account = :account").fetchone()
    for number, (format_, how) in enumerate(forms):
        again = f"{account}-{number}"
        with open_store(url, account) as store, store.snapshot() as connection:
            path = written(tmp_path, chosen_orders(connection, EVERY), format_, **how)
        with open_store(url, again) as empty, open_source(path, read_at=NOW) as source:
            report = import_orders(
                empty, FileImport(source=source, actor="ann", clock=FixedClock(), detail="again"), skip_bad=False
            )
        assert (report.stored, report.counts.created) == (True, count)
        assert not any(differing(url, account, again).values()), format_


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(orders, min_size=1, max_size=5, unique_by=lambda order: order.id))
def test_a_generated_store_is_the_same_after_its_export_is_imported(sqlite_url, tmp_path, found):
    # One buyer has one name: what several orders say of it would be merged by the first import already.
    known = {order.buyer.id: order.buyer for order in found if order.buyer}
    account = new_id()
    with open_store(sqlite_url, account) as store:
        put_all(store, [in_xml(replace(order, buyer=order.buyer and known[order.buyer.id])) for order in found])
    exported_and_imported(sqlite_url, tmp_path, account)


def test_the_sample_store_is_the_same_after_its_export_is_imported(store_url, tmp_path):
    with open_store(store_url) as store:
        put_all(store, sample_orders(150))
    exported_and_imported(store_url, tmp_path, "main")


@pytest.mark.parametrize("file", real_or_not())
def test_a_real_store_is_the_same_after_its_export_is_imported(sqlite_url, tmp_path, file):
    """Of the real file each order goes one of the ways, of the small one each goes all of them."""
    path = REAL if file == "real" else make_look_alike(tmp_path / "retail.xlsx")
    ways = [[form] for form in FORMS] if file == "real" else [FORMS]
    with open_source(path, SourceRequest(map_file=str(MAP)), read_at=NOW) as source:
        found = list(source.orders())
    for number, forms in enumerate(ways):
        account = f"part-{number}"
        with open_store(sqlite_url, account) as store:
            put_all(store, found[number :: len(ways)])
        exported_and_imported(sqlite_url, tmp_path, account, forms)


# --- PDF


def pages(path: Path) -> list[str]:
    return [page.extract_text() for page in PdfReader(path).pages]


def test_a_document_says_what_the_order_says(tmp_path):
    order = make_order(
        "SO-1", brand="Nordwind", terms="Net 30", note="Ring twice.", delivery_address="12 rue de la Paix\nParis",
        buyer=replace(ACME, contact="Hélène Dubois"), total=12_000,
    )  # fmt: skip
    [text] = pages(written(tmp_path, [order], ExportFormat.PDF))
    for words in (
        *("Nordwind", "Order SO-1", "PO-", "26SS", "2026-01-15", "2026-09-01 to 2026-09-30", "Net 30"),
        *("Acme Paris", "acme", "achats@acme.example", "Hélène Dubois", "12 rue de la Paix", "Ring twice."),
        *("AB-12", "Linen shirt", "white", "24.10", "120.50", "Sum of the lines", "120.00 EUR", "1 / 1"),
    ):
        assert words in text
    assert "REJECTED" not in text
    assert "confirmation" not in text


def test_a_confirmation_speaks_to_the_buyer_and_says_if_it_is_a_draft(tmp_path):
    created = make_order("SO-1", status=Status.OC_CREATED)
    [text] = pages(written(tmp_path, [created], ExportFormat.OC_PDF))
    assert "Order confirmation SO-1" in text
    assert "Please check the contents of the OC" in text
    [text] = pages(written(tmp_path, [make_order("SO-2")], ExportFormat.OC_PDF))
    assert "Order confirmation (draft) SO-2" in text


def test_a_rejected_order_is_marked_with_day_and_batch_in_japanese_too(tmp_path):
    order = make_order(
        "SO-9", buyer=KUMO, currency="JPY", total=24_000, quantity=3, lines=(JAPANESE,), note="納期厳守。髙島屋向け",
        status=Status.REJECTED, rejected_at=NOW, batch_id="06h0v8d2hppr", country="JP", delivery_address="東京都渋谷区",
    )  # fmt: skip
    [text] = pages(written(tmp_path, [order], ExportFormat.PDF))
    assert "お断り(2026-03-14 09:26 UTC、バッチ06h0v8d2hppr)" in text
    assert text.count("お断り") == 2
    assert {"注文 SO-9", "品名", "納品先"} <= set(re.findall("注文 SO-9|品名|納品先", text))
    for words in ("雲商店", "リネンシャツ", "LN-10-白", "藍", "納期厳守。髙島屋向け", "東京都渋谷区", "24,000 JPY"):
        assert words in text


def test_one_document_holds_many_orders_each_with_its_own_pages(tmp_path):
    long = tuple(replace(JAPANESE, number=number, sku=f"SKU-{number}") for number in range(1, 101))
    path = written(tmp_path, [make_order("SO-1", lines=long), make_order("SO-2")], ExportFormat.PDF)
    found = pages(path)
    count = len(found) - 1
    assert [re.search(r"\d+ / \d+", text)[0] for text in found] == [f"{n} / {count}" for n in range(1, count + 1)] + [
        "1 / 1"
    ]
    assert all("SO-1" in text for text in found[:-1])
    assert all("Article" in text for text in found if "SKU-" in text)
    assert sorted(re.findall(r"SKU-\d+", "".join(found))) == sorted(line.sku for line in long)
    assert [entry.title for entry in PdfReader(path).outline] == ["Order SO-1", "Order SO-2"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(orders)
def test_a_document_can_be_made_of_any_order(tmp_path, order):
    assert len(pages(written(tmp_path, [order], ExportFormat.PDF))) >= 1


def test_a_row_higher_than_a_page_goes_on_on_the_next_under_the_same_header(tmp_path):
    words = [f"word{number}" for number in range(1_500)]
    low, high = replace(JAPANESE, number=1), replace(JAPANESE, number=2, name=" ".join(words), sku="<b>&amp;" * 90)
    order = make_order("SO-1", lines=(low, high, replace(low, number=3, sku="LAST")))
    found = pages(written(tmp_path, [order], ExportFormat.PDF))
    assert re.findall(r"word\d+", "".join(found)) == words
    assert [("Article" in text, bool(re.search("word|LAST", text))) for text in found[1:]] == [(True, True)] * (
        len(found) - 1
    )
    assert "".join(found).replace("\n", "").count("<b>&amp;") == 90
    assert "LAST" in found[-1]


def test_the_same_orders_make_the_same_file(tmp_path):
    order = make_order("SO-1", lines=(JAPANESE,) * 60, status=Status.REJECTED)
    first = written(tmp_path, [order], ExportFormat.PDF).read_bytes()
    assert written(tmp_path, [order], ExportFormat.PDF).read_bytes() == first


def test_what_no_font_has_is_written_out_and_hides_nothing(tmp_path):
    order = make_order("SO-1", note="łódź Şişli Ăn ไทย 한국어 简体 \u202eback \x1b[2J 🙂")
    text = "".join(pages(written(tmp_path, [order], ExportFormat.PDF)))
    for words in ("łód", "Şişli", "한국어", "简体", "\\u202eback", "\\x1b[2J", "\\U0001f642"):
        assert words in text


# --- where it is written


def test_one_file_an_order_has_a_safe_name(tmp_path):
    evil = [
        "../../x",
        "CON",
        "a/b",
        "a_b",
        "A_B",
        ".hidden",
        "nul.txt",
        "..",
        "x" * 200,
        "日本",
        "c:\\d",
        "é",
        "e\u0301",
    ]
    folder = tmp_path / "papers"
    write_export(
        [make_order(order_id) for order_id in evil],
        ExportRequest(format=ExportFormat.PDF, path=str(folder), per_order=True),
    )
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == len(evil) == len({fold(name) for name in names})
    assert [path.name for path in tmp_path.iterdir()] == ["papers"]
    assert {
        "_.._x.pdf",
        "_CON.pdf",
        "a_b.pdf",
        "a_b~2.pdf",
        "A_B~3.pdf",
        "hidden.pdf",
        "_nul.txt.pdf",
        "_.pdf",
        "日本.pdf",
        "c__d.pdf",
    } <= set(names)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())
    assert folder.stat().st_mode & 0o777 == 0o700


def test_an_unfinished_file_of_a_killed_run_is_deleted_by_the_next_one(tmp_path):
    left, used = tmp_path / ".orderctl-left.part", tmp_path / ".orderctl-used.part"
    for path in (left, used):
        path.write_text("a customer")
        path.chmod(0o600)
    with used.open() as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        written(tmp_path, [make_order()], ExportFormat.CSV)
    assert (left.exists(), used.exists()) == (False, True)


@pytest.fixture
def cli(store_url, tmp_path):
    with open_store(store_url) as store:
        put(store, make_order("1001"), make_order("1002", status=Status.REJECTED, rejected_at=NOW))
    return Cli(store_url, tmp_path / "home")


def test_rejected_orders_are_exported_like_any_other(cli, tmp_path):
    ran = cli("export", "--filter", "status:needs-oc,rejected", "--format", "jsonl")
    assert (ran.code, ran.err) == (0, "")
    assert [(row["id"], row["status"], row["total"]) for row in map(json.loads, ran.lines)] == [
        ("1001", "needs-oc", "120.50"),
        ("1002", "rejected", "120.50"),
    ]
    out = tmp_path / "o.xlsx"
    assert cli("export", "--all", "--except", "1001", "-o", str(out)).err == "1 order written\n"
    assert [row[0] for row in by_openpyxl(out.read_bytes(), "Orders")] == ["ID", "1002"]
    lines = cli("export", "--all", "--format", "csv", "--lines").lines
    assert lines[0] == ",".join((*ORDER_FIELDS, *LINE_FIELDS))
    assert len(lines) == 3
    assert cli("export", "1001", "1002", "--format", "pdf", "--per-order", "-o", str(tmp_path / "p")).code == 0
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == ["1001.pdf", "1002.pdf"]
    assert "REJECTED on 2026-03-14" in "".join(pages(tmp_path / "p" / "1002.pdf"))


def test_a_file_that_is_there_is_kept_unless_forced_and_a_link_is_never_followed(cli, tmp_path):
    kept, link, dangling = tmp_path / "kept.csv", tmp_path / "link.csv", tmp_path / "dangling.csv"
    kept.write_text("mine")
    link.symlink_to(kept)
    dangling.symlink_to(tmp_path / "elsewhere.csv")
    for path in (kept, link, dangling):
        ran = cli("export", "--all", "-o", str(path))
        assert (ran.code, "is there already" in ran.err) == (2, True)
    assert kept.read_text() == "mine"
    for path in (link, dangling):
        assert cli("export", "--all", "-o", str(path), "--force").code == 0
        assert not path.is_symlink()
    assert kept.read_text() == "mine"
    assert not (tmp_path / "elsewhere.csv").exists()
    assert cli("export", "--all", "-o", str(kept), "--force").code == 0
    assert kept.read_text().startswith("id,")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".orderctl")] == []


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--all"], "the format is missing"),
        (["--all", "-o", "x.doc"], "the format is missing"),
        (["--all", "--format", "xlsx", "--lines"], "--lines and --raw are about CSV"),
        (["--all", "--format", "csv", "--per-order"], "--per-order is about PDF"),
        (["--all", "--format", "pdf", "--per-order"], "there is no folder"),
        (["1001", "nobody", "--format", "csv"], "1 id unknown in this store: nobody"),
        (["--filter", "id:none", "--format", "pdf"], "no order is chosen"),
        (["--all", "--format", "csv", "-o", "/nowhere/x.csv"], "cannot be written"),
        (["--all", "--format", "csv", "-o", "/"], "is there already"),
        (["--all", "--format", "csv", "-o", "/", "--force"], "is not a file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_call_writes_nothing(cli, args, message):
    ran = cli("export", *args)
    assert (ran.code, ran.out, message in ran.err) == (2, "", True), ran.err


def test_unknown_ids_are_left_out_on_request(cli):
    assert len(cli("export", "1001", "nobody", "--ignore-unknown", "--format", "csv").lines) == 2


def test_many_orders_are_streamed(cli, store_url, tmp_path):
    with open_store(store_url) as store:
        put_all(store, (make_order(f"S{number:04}", ordered_at=NOW - timedelta(hours=number)) for number in range(600)))
    assert len(cli("export", "--all", "--format", "jsonl").lines) == 602
    assert len(cli("export", "--all", "--format", "csv").lines) == 603


@given(st.integers(-(2**63), 2**63 - 1), st.sampled_from(["EUR", "JPY", "KWD"]))
def test_an_amount_for_machines_is_exact(minor, currency):
    assert Decimal(plain_amount(minor, currency)) == Decimal(minor).scaleb(-decimals(currency))
    assert plain_amount(minor, currency) == f"{Decimal(minor).scaleb(-decimals(currency)):f}"
