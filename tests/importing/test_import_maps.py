"""The exports of other systems, read by the maps that ship with the program, in files as those systems write them."""

import csv
import io
import json
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderctl.errors import UsageError
from orderctl.importing.column_map import map_names, named_map, read_map, recognised
from orderctl.importing.figures import SourceRequest
from orderctl.importing.map_draft import draft_map
from orderctl.importing.source import open_source
from orderctl.orders.eligibility import Mode, refusal
from orderctl.orders.orders import Buyer, OrderLine, Status
from support.cli import Cli

READ_AT = datetime(2026, 3, 14, tzinfo=UTC)
SHOPIFY = (
    "Name,Email,Financial Status,Paid at,Fulfillment Status,Fulfilled at,Accepts Marketing,Currency,Subtotal,"
    "Shipping,Taxes,Total,Discount Code,Discount Amount,Shipping Method,Created at,Lineitem quantity,"
    "Lineitem name,Lineitem price,Lineitem compare at price,Lineitem sku,Lineitem requires shipping,"
    "Lineitem taxable,Lineitem fulfillment status,Billing Name,Billing Street,Billing Address1,Billing Address2,"
    "Billing Company,Billing City,Billing Zip,Billing Province,Billing Country,Billing Phone,Shipping Name,"
    "Shipping Street,Shipping Address1,Shipping Address2,Shipping Company,Shipping City,Shipping Zip,"
    "Shipping Province,Shipping Country,Shipping Phone,Notes,Note Attributes,Cancelled at,Payment Method,"
    "Payment Reference,Refunded Amount,Vendor,Outstanding Balance,Employee,Location,Device ID,Id,Tags,Risk Level,"
    "Source,Lineitem discount,Tax 1 Name,Tax 1 Value,Phone,Receipt Number,Duties,Billing Province Name,"
    "Shipping Province Name,Payment ID,Payment Terms Name,Next Payment Due At,Payment References"
)
WOO = (
    "order_id,order_number_formatted,order_number,order_date,status,shipping_total,shipping_tax_total,fee_total,"
    "tax_total,discount_total,order_total,order_currency,payment_method,shipping_method,customer_id,"
    "billing_first_name,billing_last_name,billing_full_name,billing_company,billing_email,billing_phone,"
    "billing_address_1,billing_address_2,billing_postcode,billing_city,billing_state,billing_country,"
    "shipping_full_name,shipping_address_1,shipping_postcode,shipping_city,shipping_country,customer_note,"
    "item_id,item_product_id,item_name,item_sku,item_quantity,item_subtotal,item_total,item_refunded,"
    "item_refunded_qty,item_meta,item_price,order_notes"
)
ADVANCED = (
    "Order Number,Order Status,Order Date,Customer Note,First Name (Billing),Last Name (Billing),"
    "Company (Billing),Address 1&2 (Billing),City (Billing),State Code (Billing),Postcode (Billing),"
    "Country Code (Billing),Email (Billing),Phone (Billing),Address 1&2 (Shipping),City (Shipping),"
    "Country Code (Shipping),Payment Method Title,Order Total Amount,SKU,Item #,Name,Quantity,Item Cost"
)
ODOO = (
    "Order Reference,Creation Date,Order Date,Customer,Salesperson,Company,Total,Currency,Status,Invoice Status,"
    "Delivery Status,Customer Reference,Order Lines/Product,Order Lines/Description,Order Lines/Quantity,"
    "Order Lines/Unit Price"
)


def written(path: Path, columns: str, *rows: dict[str, object]) -> Path:
    """A file with those columns; a cell that a row does not name is empty, as in the exports themselves."""
    header = columns.split(",")
    for row in rows:
        assert set(row) <= set(header), set(row) - set(header)
    if path.suffix == ".xlsx":
        book = openpyxl.Workbook()
        for cells in (header, *([row.get(name) for name in header] for row in rows)):
            book.active.append(cells)
        book.save(path)
        return path
    text = io.StringIO()
    writer = csv.DictWriter(text, header)
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


def read(path: Path, **how) -> dict[str, object]:
    with open_source(path, SourceRequest(**how), read_at=READ_AT) as source:
        assert list(source.problems()) == []
        return {"map": source.map_name, **{order.id: order for order in source.orders()}}


@pytest.fixture
def shopify(tmp_path):
    order = {
        "Name": "#1001", "Email": "lea@maison.example", "Financial Status": "pending",
        "Fulfillment Status": "unfulfilled",
        "Currency": "EUR", "Subtotal": "53.90", "Shipping": "5.00", "Total": "58.90",
        "Created at": "2026-01-07 09:50:26 +0200", "Lineitem quantity": "2", "Lineitem name": "Linen shirt - M",
        "Lineitem price": "12.00", "Lineitem sku": "LN-10-M", "Billing Name": "Léa Martin",
        "Billing Street": "13 rue de Berri", "Billing Address1": "13 rue de Berri", "Billing Company": "MAISON SARL",
        "Billing City": "Paris", "Billing Zip": "'75008", "Billing Country": "FR", "Shipping Name": "Léa Martin",
        "Shipping Address1": "2 quai", "Shipping City": "Lyon", "Shipping Zip": "'69002", "Shipping Country": "FR",
        "Notes": "gift wrap", "Vendor": "Nord", "Id": "7410991464714", "Tags": "wholesale, late",
    }  # fmt: skip
    more = {"Name": "#1001", "Email": "lea@maison.example", "Created at": "2026-01-07 09:50:26 +0200", "Vendor": "Nord"}
    return written(
        tmp_path / "orders_export.csv",
        SHOPIFY,
        order,
        {**more, "Lineitem quantity": "1", "Lineitem name": "Belt", "Lineitem price": "29.90"},
        {**more, "Payment Reference": "rIw4QX"},
        {**order, "Name": "#1002", "Cancelled at": "2026-01-08 10:00:00 +0200", "Financial Status": "refunded"},
        {**order, "Name": "#1003", "Financial Status": "voided"},
        {**order, "Name": "#1004", "Financial Status": "paid", "Fulfillment Status": "partial"},
    )


def test_shopify_orders_come_with_their_lines_and_cancelled_ones_arrive_rejected(shopify):
    found = read(shopify)
    assert found["map"] == "shopify"
    order = found["1001"]
    assert order.lines == (
        OrderLine(number=1, sku="LN-10-M", name="Linen shirt - M", quantity=2, unit_price=1_200),
        OrderLine(number=2, sku="Belt", name="Belt", quantity=1, unit_price=2_990),
    )
    assert (order.status, order.currency, order.total, order.quantity) == (Status.NEEDS_OC, "EUR", 5_890, 3)
    assert order.ordered_at == datetime(2026, 1, 7, 7, 50, 26, tzinfo=UTC)
    assert order.buyer == Buyer(
        id="lea@maison.example", name="MAISON SARL", email="lea@maison.example", contact="Léa Martin", country="FR"
    )
    assert order.billing_address == "MAISON SARL\nLéa Martin\n13 rue de Berri\n75008\nParis"
    assert order.delivery_address == "Léa Martin\n2 quai\n69002\nLyon"
    assert (order.brand, order.note, order.reference, order.country) == ("Nord", "gift wrap", "7410991464714", "FR")
    assert order.tags == {"wholesale", "late"}
    assert {number: found[number].status for number in ("1002", "1003", "1004")} == {
        "1002": Status.REJECTED, "1003": Status.REJECTED, "1004": Status.OC_CONFIRMED,
    }  # fmt: skip
    assert [found[number].delivery_notes for number in ("1001", "1004")] == [0, 1]


@pytest.fixture
def woocommerce(tmp_path):
    order = {
        "order_id": "4967", "order_number_formatted": "W-4967", "order_number": "4967", "status": "processing",
        "order_date": "2026-01-06 16:50:00", "order_total": "61.00", "order_currency": "GBP", "customer_id": "12",
        "payment_method": "bacs", "billing_first_name": "Skye", "billing_last_name": "White",
        "billing_full_name": "Skye White", "billing_email": "skye@shop.example", "billing_address_1": "308 Lane",
        "billing_postcode": "BA1 1AA", "billing_city": "Bath", "billing_country": "GB", "customer_note": "call first",
        "item_name": "Scarf", "item_sku": "SC-1", "item_quantity": "3", "item_price": "12.00", "item_total": "36.00",
    }  # fmt: skip
    return written(
        tmp_path / "woo.csv",
        WOO,
        order,
        {
            **order,
            "item_name": "Hat",
            "item_sku": "",
            "item_product_id": "77",
            "item_quantity": "1",
            "item_price": "25",
        },
        {**order, "order_number_formatted": "W-4968", "status": "cancelled"},
        {**order, "order_number_formatted": "W-4969", "status": "completed"},
        {**order, "order_number_formatted": "W-4970", "status": "failed"},
    )


def test_woocommerce_orders_come_with_their_lines_and_cancelled_ones_arrive_rejected(woocommerce):
    found = read(woocommerce)
    assert found["map"] == "woocommerce"
    order = found["W-4967"]
    assert [(line.sku, line.quantity, line.unit_price) for line in order.lines] == [
        ("SC-1", 3, 1_200),
        ("77", 1, 2_500),
    ]
    assert (order.total, order.quantity, order.currency, order.note) == (6_100, 4, "GBP", "call first")
    assert order.buyer == Buyer(
        id="skye@shop.example", name="Skye White", email="skye@shop.example", contact="Skye White", country="GB"
    )
    assert order.billing_address == "Skye White\n308 Lane\nBA1 1AA\nBath"
    assert {number: (found[number].status, found[number].delivery_notes) for number in found if number != "map"} == {
        "W-4967": (Status.OC_CONFIRMED, 0),
        "W-4968": (Status.REJECTED, 0),
        "W-4969": (Status.OC_CONFIRMED, 1),
        "W-4970": (Status.RETURNED_TO_CART, 0),
    }


def advanced(tmp_path, ending):
    order = {
        "Order Number": 501, "Order Status": "On hold", "Order Date": "2026-01-06 16:50",
        "Company (Billing)": "Shop Ltd",
        "First Name (Billing)": "Ann", "Last Name (Billing)": "Lee", "Address 1&2 (Billing)": "1 Street",
        "City (Billing)": "Leeds", "Postcode (Billing)": "LS1", "Country Code (Billing)": "GB",
        "Email (Billing)": "ann@shop.example", "Order Total Amount": 30, "SKU": "A-1", "Name": "Cup", "Quantity": 2,
        "Item Cost": 15,
    }  # fmt: skip
    cancelled = {**order, "Order Number": 502, "Order Status": "Cancelled"}
    return written(tmp_path / f"advanced{ending}", ADVANCED, order, cancelled)


@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
def test_the_other_woocommerce_export_wants_its_currency_said(tmp_path, ending):
    path = advanced(tmp_path, ending)
    with pytest.raises(UsageError, match="has no column for currency"):
        read(path)
    found = read(path, defaults={"currency": "GBP"})
    assert found["map"] == "woocommerce-advanced"
    assert (found["501"].status, found["501"].total, found["501"].currency) == (Status.NEEDS_OC, 3_000, "GBP")
    assert found["501"].buyer.name == "Shop Ltd"
    assert found["502"].status is Status.REJECTED


def odoo(tmp_path, ending):
    typed = ending == ".xlsx"
    at = datetime(2026, 1, 6, 16, 50) if typed else "2026-01-06 16:50:00"  # noqa: DTZ001 - as Excel has it
    order = {
        "Order Reference": "S00042", "Order Date": at, "Customer": "Azure Interior",
        "Total": 1_270.5 if typed else "1270.50",
        "Currency": "EUR", "Status": "Quotation Sent", "Invoice Status": "Nothing to Invoice",
        "Customer Reference": "PO 7",
        "Order Lines/Product": "[FURN_0096] Desk", "Order Lines/Description": "[FURN_0096] Desk\nwhite",
        "Order Lines/Quantity": 2.0 if typed else "2.00", "Order Lines/Unit Price": 500.25 if typed else "500.25",
    }  # fmt: skip
    more = {"Order Lines/Product": "[DELIV] Delivery", "Order Lines/Quantity": 1, "Order Lines/Unit Price": 270}
    return written(
        tmp_path / f"sale.order{ending}",
        ODOO,
        order,
        more,
        {**order, "Order Reference": "S00043", "Status": "Cancelled"},
        more,
        {**order, "Order Reference": "S00044", "Status": "Sales Order", "Invoice Status": "Fully Invoiced"},
    )


@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
def test_odoo_orders_take_the_rows_below_them_and_cancelled_ones_arrive_rejected(tmp_path, ending):
    found = read(odoo(tmp_path, ending))
    assert found["map"] == "odoo"
    order = found["S00042"]
    assert [(line.sku, line.name, line.quantity, line.unit_price) for line in order.lines] == [
        ("[FURN_0096] Desk", "[FURN_0096] Desk", 2, 50_025),
        ("[DELIV] Delivery", "[DELIV] Delivery", 1, 27_000),
    ]
    assert (order.status, order.total, order.reference) == (Status.OC_CREATED, 127_050, "PO 7")
    assert order.ordered_at == datetime(2026, 1, 6, 16, 50, tzinfo=UTC)
    assert order.buyer == Buyer(id="Azure Interior", name="Azure Interior")
    assert (found["S00043"].status, len(found["S00043"].lines)) == (Status.REJECTED, 2)
    assert (found["S00044"].status, found["S00044"].invoices) == (Status.OC_CONFIRMED, 1)


def test_odoo_orders_without_lines_are_one_row_each(tmp_path):
    header = "Order Reference,Creation Date,Customer,Salesperson,Total,Status"
    row = {
        "Order Reference": "S1",
        "Creation Date": date(2026, 1, 6),
        "Customer": "Azure",
        "Total": 10,
        "Status": "Quotation",
    }
    path = written(tmp_path / "sale.order.xlsx", header, row)
    order = read(path, defaults={"currency": "EUR"})["S1"]
    assert (order.status, order.total, order.lines) == (Status.NEEDS_OC, 1_000, ())


ODOO_ROW = {
    "Order Reference": "S1", "Order Date": "2026-01-06 16:50:00", "Customer": "Azure", "Total": "10",
    "Currency": "EUR", "Status": "Sales Order", "Order Lines/Product": "Desk", "Order Lines/Quantity": "4",
    "Order Lines/Unit Price": "2.5",
}  # fmt: skip
SHOPIFY_ROW = {
    "Name": "#1", "Financial Status": "pending", "Currency": "EUR", "Total": "10", "Lineitem quantity": "4",
    "Created at": "2026-01-07 09:50:26 +0200", "Lineitem name": "Belt", "Lineitem price": "2.50",
}  # fmt: skip
WOO_ROW = {
    "order_id": "1", "order_date": "2026-01-06 16:50:00", "status": "processing", "order_total": "10",
    "order_currency": "GBP", "item_name": "Scarf", "item_quantity": "4", "item_price": "2.50",
}  # fmt: skip
ADVANCED_ROW = {
    "Order Number": "1", "Order Status": "Processing", "Order Date": "2026-01-06 16:50", "Order Total Amount": "10",
    "Name": "Cup", "Quantity": "4", "Item Cost": "2.50", "Email (Billing)": "a@shop.example",
}  # fmt: skip
EXPORTS = {"odoo": (ODOO, ODOO_ROW), "shopify": (SHOPIFY, SHOPIFY_ROW), "woocommerce": (WOO, WOO_ROW),
           "woocommerce-advanced": (ADVANCED, ADVANCED_ROW)}  # fmt: skip


def of_export(tmp_path, name, cells, below):
    """An order of another system with these cells, and a second row of it with those."""
    columns, row = EXPORTS[name]
    header = ",".join(dict.fromkeys([*columns.split(","), *cells, *below]))
    rows = [{**row, **cells}, {**row, **below}] if below else [{**row, **cells}]
    found = read(written(tmp_path / "o.csv", header, *rows), defaults={"currency": "GBP"})
    assert found.pop("map") == name
    [order] = found.values()
    return order


@pytest.mark.parametrize(
    ("name", "cells", "below"),
    [
        ("odoo", {"Delivery Status": "Started"}, {}),
        ("odoo", {"Delivery Status": "Partially Delivered"}, {}),
        ("odoo", {"Delivery Status": "Fully Delivered"}, {}),
        ("odoo", {"Delivery Status": "Not Delivered", "Effective Date": "2026-01-09"}, {}),
        ("odoo", {"Order Lines/Delivery Quantity": "1.50"}, {}),
        ("odoo", {"Order Lines/Delivered Quantity": "0.00"}, {"Order Lines/Delivered Quantity": "2.00"}),
        ("odoo", {"Order Lines/Delivered": "4"}, {}),
        ("odoo", {"Invoice Status": "Fully Invoiced"}, {}),
        ("odoo", {"Invoice Status": "To Invoice", "Order Lines/Invoiced Quantity": "1"}, {}),
        ("odoo", {"Invoices": "INV/2026/0001"}, {}),
        ("shopify", {"Fulfillment Status": "partial"}, {}),
        ("shopify", {"Fulfillment Status": "fulfilled"}, {}),
        ("shopify", {"Lineitem fulfillment status": "pending"}, {"Lineitem fulfillment status": "fulfilled"}),
        ("shopify", {"Fulfilled at": "2026-01-09 09:50:26 +0200"}, {}),
        ("woocommerce", {"status": "completed"}, {}),
        ("woocommerce-advanced", {"Order Status": "Completed"}, {}),
    ],
)
def test_what_another_system_delivered_or_invoiced_cannot_be_rejected(tmp_path, name, cells, below):
    order = of_export(tmp_path, name, cells, below)
    for mode in Mode:
        assert refusal(order, mode).code in {"invoiced", "delivered"}


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("odoo", {"Delivery Status": "Not Delivered", "Invoice Status": "To Invoice", "Order Lines/Delivered": "0.0"}),
        ("shopify", {"Fulfillment Status": "unfulfilled", "Lineitem fulfillment status": "pending"}),
        ("woocommerce", {}),
        ("woocommerce-advanced", {}),
    ],
)
def test_what_another_system_has_open_can_be_rejected_on_its_own(tmp_path, name, cells):
    assert refusal(of_export(tmp_path, name, cells, {}), Mode.INDIVIDUAL) is None


def test_times_that_lost_their_offset_want_a_time_zone_said(cli, tmp_path):
    at = datetime(2026, 7, 1, 9, 50, 26)  # noqa: DTZ001 - as a spreadsheet holds it
    path = tmp_path / "o.xlsx"
    written(path, SHOPIFY, {**SHOPIFY_ROW, "Created at": at})
    refused = cli("import", str(path))
    said = "has lost its time zone, as in a spreadsheet: say which it was with --timezone"
    assert (refused.code, said in " ".join(refused.err.split())) == (2, True)
    assert cli("import", str(path), "--timezone", "Europe/Parris").code == 2
    assert cli("import", str(path), "--timezone", "Europe/Paris").code == 0
    assert cli("show", "1", "--format", "json").json["order"]["ordered_at"] == "2026-07-01T07:50:26+00:00"


def test_every_named_map_has_a_name_says_what_it_is_for_and_cites_its_source():
    for name in map_names():
        assert named_map(name).about
        assert recognised(named_map(name).recognised_by) == name
        text = Path(named_map(name).file).read_text(encoding="utf-8")
        assert "Rejectable: " in text
        assert "Source" in text or name == "online-retail"


def test_our_own_names_are_never_taken_for_another_system():
    assert recognised(["id", "status", "ordered", "currency", "total", "sku"]) is None
    assert recognised(["Order Reference", "Vendor", "Total", "Status"]) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[columns]\nid = { frist = ['A'] }\n", "columns.id must be a column"),
        ("[columns]\nid = { first = ['A', 1] }\n", "columns.id must be a list of texts"),
        ("[columns]\nid = { first = ['A'], with = ' ' }\n", "columns.id must be a column"),
        ("[columns]\nidd = { first = ['A'] }\n", "unknown field 'idd'"),
        ("[words.stattus]\na = 'b'\n", "unknown field 'stattus'"),
        ("[words.status]\na = 1\n", "words.status.a must be a text"),
        ("[words]\nstatus = 'a'\n", "words.status must be a table"),
        ("rejected_if_filled = ['Cancelled']\n", "unknown key 'rejected_if_filled"),
        ("fill_down = 'yes'\n", "fill_down must be true or false"),
    ],
)
def test_a_map_that_combines_wrongly_is_refused(tmp_path, text, message):
    path = tmp_path / "map.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_map(path)


def test_a_map_that_combines_columns_is_for_tables(tmp_path):
    path = tmp_path / "o.jsonl"
    path.write_text("{}\n")
    with pytest.raises(UsageError, match="is for tables, not for JSON"):
        read(path, map_name="odoo")


@pytest.fixture
def cli(store_url, tmp_path):
    return Cli(store_url, tmp_path / "home")


def test_the_command_says_which_map_it_took(cli, shopify, tmp_path):
    ran = cli("import", str(shopify))
    unsaid = "this file says nothing of invoices, backlog SKUs: 4 new ones have none\n"
    assert (ran.code, ran.err) == (0, f"read by the column map shopify\n{unsaid}")
    assert ran.out == "6 rows, 4 orders: 4 created, 0 updated, 0 unchanged, 0 rejected ones left alone\n"
    assert cli("search", "status:rejected", "--sort", "id").lines == ["1002", "1003"]
    again = cli("import", str(shopify), "--from", "shopify")
    assert "0 created, 0 updated, 2 unchanged, 2 rejected ones left alone" in again.out
    assert "imported-as-rejected" in cli("log", "1002").out
    path = advanced(tmp_path, ".csv")
    assert cli("import", str(path), "--default", "currency=GBP").code == 0
    assert cli("search", "currency:GBP", "--count").out == "2\n"


def test_the_command_lists_its_maps_and_refuses_what_it_does_not_know(cli, shopify):
    assert [line.split("\t")[0] for line in cli("import", "--list-maps").lines] == list(map_names())
    for args, message in (
        (["import"], "the file is missing"),
        (["import", str(shopify), "--from", "shoppify"], "there is no column map 'shoppify'"),
        (["import", str(shopify), "--from", "odoo"], "has no column 'Order Reference'"),
        (["import", str(shopify), "--from", "odoo", "--map", "x"], "are two column maps"),
        (["import", str(shopify), "--default", "colour=red"], "is not FIELD=VALUE"),
    ):
        ran = cli(*args)
        assert (ran.code, ran.out, message in ran.err) == (2, "", True), ran.err
    assert "did you mean shopify?" in cli("import", str(shopify), "--from", "shoppify").err


OWN_WORDS = """\
Bestellnr;Kunde;Kunden-Nr;Datum;Währung;Betrag;Status;Season
B-1;Müller "M" GmbH;K1;14/02/2026;EUR;1.234,50;offen;26SS
B-2;Léa;K2;03/03/2026;EUR;-99,00;needs-oc;26SS
"""


def test_a_map_is_drafted_and_read(cli, tmp_path):
    (tmp_path / "o.csv").write_text(OWN_WORDS, encoding="utf-8")
    unknown = cli("import", str(tmp_path / "o.csv"))
    assert (unknown.code, "--make-map drafts" in unknown.err) == (2, True)
    drafted = cli("import", str(tmp_path / "o.csv"), "--make-map")
    assert (drafted.code, drafted.err) == (0, "")
    draft = tomllib.loads(drafted.out)
    assert (draft["date_formats"], draft["decimal_comma"]) == (["%d/%m/%Y"], True)
    assert draft["columns"] == {
        "id": "Bestellnr", "status": "Status", "ordered": "Datum", "currency": "Währung", "total": "Betrag",
        "buyer_id": "Kunden-Nr", "buyer_name": "Kunde", "season": "Season",
    }  # fmt: skip
    assert draft["status"] == {"offen": "needs-oc"}
    (tmp_path / "columns.toml").write_text(drafted.out, encoding="utf-8")
    taken = cli("import", str(tmp_path / "o.csv"), "--map", str(tmp_path / "columns.toml"), "--format", "json")
    assert (taken.code, taken.json["created"]) == (0, 2)
    stored = [json.loads(line) for line in cli("search", "--sort", "id", "--format", "jsonl").lines]
    assert [(order["id"], order["total"], order["ordered"][:10]) for order in stored] == [
        ("B-1", "1234.50", "2026-02-14"),
        ("B-2", "-99.00", "2026-03-03"),
    ]


def test_a_draft_is_toml_whatever_the_header_says(tmp_path):
    names = ['a"b\\c', "esc\x1b[2J", "\u202eflip", "=1+1", "雲", "id", "[status]", "x = 1"]
    with (tmp_path / "o.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=";").writerows([names, [*map(str, range(7)), "\x1b[31m"]])
    lines = list(draft_map(tmp_path / "o.csv", READ_AT.date(), SourceRequest()).lines())
    assert tomllib.loads("\n".join(lines))["columns"]["id"] == "id"
    assert all(line.isprintable() for line in lines)


# --- days that can be read in two ways


def drafted(tmp_path, header, *rows):
    """The draft of a map for a table, as TOML."""
    with (tmp_path / "o.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=";").writerows([header.split(";"), *(row.split(";") for row in rows)])
    return tomllib.loads("\n".join(draft_map(tmp_path / "o.csv", READ_AT.date(), SourceRequest()).lines()))


@pytest.mark.parametrize(
    ("header", "rows", "formats"),
    [
        ("id;ordered", ["A;03/04/2025", "B;13/04/2025"], ["%d/%m/%Y"]),
        ("id;ordered", ["A;03/04/2025", "B;04/13/2025"], ["%m/%d/%Y"]),
        # The day over 12 stands far below, or in another column.
        ("id;ordered", [*(f"{number};03/04/2025" for number in range(700)), "B;04/13/2025"], ["%m/%d/%Y"]),
        ("id;ordered;x", ["A;03/04/2025;31/12/2025"], ["%d/%m/%Y"]),
        # No order comes from the future, seen from 14 March 2026.
        ("id;ordered", ["A;03/12/2025", "B;03/04/2026"], ["%m/%d/%Y"]),
        ("id;when", ["A;05/03/2026", "B;06/02/2026"], ["%d/%m/%Y"]),
        # What is ordered is delivered later.
        (
            "id;came;went",
            ["A;01/02/2025;05/02/2025", "B;05/03/2025;04/04/2025"],
            ["%d/%m/%Y"],
        ),
        ("id;ordered", ["A;03.04.2025"], ["%d.%m.%Y"]),
        ("id;ordered", ["A;03/04/2025 10:30"], ["%d/%m/%Y %H:%M or %m/%d/%Y %H:%M"]),
        ("id;ordered", ["A;03/04/2025"], ["%d/%m/%Y or %m/%d/%Y"]),
        ("id;ordered", ["A;03-04-2025"], ["%d-%m-%Y or %m-%d-%Y"]),
        # Columns that contradict each other decide nothing.
        ("id;ordered;x", ["A;13/04/2025;04/13/2025"], ["%d/%m/%Y or %m/%d/%Y"]),
        ("id;ordered", ["A;2025/04/03"], ["%Y/%m/%d"]),
        ("id;ordered", ["A;03/04/2025", "B;soon"], []),
    ],
)
def test_how_days_are_written_is_found_out_of_the_whole_file_or_left_open(tmp_path, header, rows, formats):
    assert drafted(tmp_path, header, *rows)["date_formats"] == formats


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.dates(date(2025, 1, 1), date(2026, 3, 14)), st.integers(0, 200).map(timedelta)),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from(["%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y"]),
)
def test_a_draft_never_reads_a_day_otherwise_than_it_was_written(tmp_path, orders, form):
    rows = [f"{n};{day.strftime(form)};{(day + later).strftime(form)}" for n, (day, later) in enumerate(orders)]
    [found] = drafted(tmp_path, "id;ordered;delivery_from", *rows)["date_formats"]
    assert form in found.split(" or ")


def test_a_draft_in_which_days_are_left_open_is_refused_with_its_line_until_it_is_edited(cli, tmp_path):
    (tmp_path / "o.csv").write_text("id;status;ordered;currency;total\nA;needs-oc;03/04/2025;EUR;1\n")
    made = cli("import", str(tmp_path / "o.csv"), "--make-map")
    [number] = [n for n, line in enumerate(made.lines, start=1) if line.startswith("date_formats")]
    path = tmp_path / "map.toml"
    path.write_text(made.out)
    refused = cli("import", str(tmp_path / "o.csv"), "--map", str(path))
    assert refused.code == 2
    assert f"map.toml, line {number}: date_formats: '%d/%m/%Y or %m/%d/%Y' is not decided" in refused.err
    path.write_text(made.out.replace("%d/%m/%Y or ", ""))
    assert cli("import", str(tmp_path / "o.csv"), "--map", str(path)).code == 0
    assert cli("show", "A", "--format", "json").json["order"]["ordered_at"].startswith("2025-03-04")


# --- lines, their amounts and totals

LINES = "id,status,ordered,currency,sku,line_quantity"


def test_ids_that_repeat_make_a_draft_for_lines(tmp_path):
    header = "order id;status;ordered;currency;quantity;total"
    draft = drafted(tmp_path, header, "A;x;2025-01-02;EUR;2;7.00", "A;x;2025-01-02;EUR;1;9.00")
    assert draft["rows"] == "lines"
    assert draft["columns"] == {
        "id": "order id", "status": "status", "ordered": "ordered", "currency": "currency", "sku": "",
        "line_quantity": "quantity", "line_total": "total",
    }  # fmt: skip
    draft = drafted(tmp_path, "order id;status;total;Sales", "A;x;9.00;2.00", "A;x;9.00;7.00")
    assert (draft["columns"]["total"], draft["columns"]["unit_price"]) == ("total", ["Sales"])
    assert "rows" not in drafted(tmp_path, "id;quantity", "A;1", "B;2")


def lines_file(tmp_path, columns, *rows):
    path = tmp_path / "o.csv"
    path.write_text("\n".join([f"{LINES},{columns}", *rows]) + "\n")
    return path


def lines_map(tmp_path, columns, *told):
    path = tmp_path / "lines.toml"
    named = [f'{name} = "{name}"' for name in f"{LINES},{columns}".split(",")]
    path.write_text("\n".join([*told, "[columns]", *named]))
    return path


def test_the_amount_of_a_line_gives_its_price_and_the_total_of_the_order(cli, tmp_path):
    row = "A,needs-oc,2025-01-02,EUR"
    path = lines_file(tmp_path, "line_total", f"{row},S1,5,12.50", f"{row},S2,-2,-3.00", f"{row},S3,0,0")
    assert cli("import", str(path)).code == 0
    order = cli("show", "A", "--format", "json").json["order"]
    assert [line["unit_price"] for line in order["lines"]] == ["2.50", "1.50", "0.00"]
    assert order["total"] == "9.50"
    path = lines_file(tmp_path, "line_total", f"{row},S1,3,10.00")
    refused = cli("import", str(path), "--check")
    assert (refused.code, "gives no whole price for 3 pieces" in " ".join(refused.err.split())) == (2, True)
    map_path = lines_map(tmp_path, "line_total", "round_prices = true")
    with open_source(path, SourceRequest(map_file=str(map_path)), read_at=READ_AT) as source:
        [order] = source.orders()
    assert (order.total, order.lines[0].unit_price) == (1_000, 333)


def test_a_total_that_is_not_the_sum_of_its_lines_is_named(cli, tmp_path):
    path = lines_file(
        tmp_path,
        "unit_price,total",
        "A,needs-oc,2025-01-02,EUR,S1,2,5.00,10.00",
        "B,needs-oc,2025-01-02,EUR,S1,2,5.00,12.00",
        "B,needs-oc,2025-01-02,EUR,S2,1,1.00,12.00",
    )
    ran = cli("import", str(path), "--format", "json")
    said = " ".join(ran.err.split())
    assert "the total of 1 order is not the sum of its lines (row 3, order B: 12.00, its lines 11.00)" in said
    assert "looks like" not in said
    assert (ran.json["differing_totals"], ran.json["line_total_suspected"]) == (1, "")
    assert ran.json["first_differences"] == [
        {"row": 3, "order_id": "B", "currency": "EUR", "total": "12.00", "lines": "11.00"}
    ]
    map_path = lines_map(tmp_path, "unit_price,total", "other_charges = true")
    with open_source(path, SourceRequest(map_file=str(map_path)), read_at=READ_AT) as source:
        assert source.figures.differing_totals == 0


@pytest.mark.parametrize("total", [True, False])
def test_a_price_that_is_the_amount_of_the_line_is_suspected(cli, tmp_path, total):
    rows = [f"{n},needs-oc,2025-01-02,EUR,S{n % 2},{n},{n * 5}.00" + f",{n * 5}.00" * total for n in range(1, 12)]
    path = lines_file(tmp_path, "unit_price" + ",total" * total, *rows)
    ran = cli("import", str(path), "--format", "json")
    assert "the column 'unit_price' looks like the amounts of whole lines" in " ".join(ran.err.split())
    assert (ran.json["line_total_suspected"], ran.json["differing_totals"]) == ("unit_price", 10 if total else 0)


# --- a map that extends another, leaves out rows, and knows no word for what is open

OWN = "Order,State,Kind,Day,Sum,Client,Land,Sent,Item,Pieces,Price\n"
OWN_MAP = """
rows = "lines"
[columns]
id = "Order"
status = "State"
ordered = "Day"
total = "Sum"
buyer_id = "Client"
buyer_country = "Land"
delivery_notes = { any = ["Sent"], nothing = ["not yet"] }
sku = "Item"
line_quantity = "Pieces"
unit_price = "Price"
[defaults]
currency = "EUR"
[status]
open = "needs-oc"
"*" = "oc-confirmed"
"""


def own(tmp_path, rows, more="", name="own.csv"):
    """The orders of a file by a map of one's own, and the figures."""
    (tmp_path / name).write_text(OWN + rows, encoding="utf-8")
    (tmp_path / "own.toml").write_text(more + OWN_MAP, encoding="utf-8")
    request = SourceRequest(map_file=str(tmp_path / "own.toml"))
    with open_source(tmp_path / name, request, read_at=READ_AT) as source:
        assert list(source.problems()) == []
        return {order.id: order for order in source.orders()}, source.figures


def test_rows_and_lines_that_a_map_leaves_out_are_counted_and_what_they_say_of_their_order_stays(tmp_path):
    more = 'skip_rows = { Order = ["Total"] }\nonly_lines = { Kind = ["item", ""] }\n'
    orders, figures = own(
        tmp_path,
        "A,open,Section,2026-01-02,7.00,K1,FR,,Summer,,\n"
        "A,,item,,,,,,S1,2,3.00\n"
        "A,,Discount,,,,,,Sale,1,-1.00\n"
        "A,,,,,,,,S2,1,1.00\n"
        " total ,,,,7.00,,,,,,\n",
        more,
    )
    assert [(line.sku, line.quantity) for line in orders["A"].lines] == [("S1", 2), ("S2", 1)]
    assert (orders["A"].total, orders["A"].status, orders["A"].buyer.id) == (700, Status.NEEDS_OC, "K1")
    assert (figures.rows_left_out, figures.lines_left_out, figures.rows, figures.orders) == (1, 2, 4, 1)


@pytest.mark.parametrize(
    "cell", ["", " ", "0", "0.00", "0,0", "0 %", "-", "no", "FALSE", "None", "n/a", "0000-00-00 00:00:00", "not yet"]
)
def test_what_says_nothing_is_not_delivered(tmp_path, cell):
    orders, _ = own(tmp_path, f'A,open,,2026-01-02,6.00,K1,FR,"{cell}",S1,2,3.00\n')
    assert orders["A"].delivery_notes == 0


@pytest.mark.parametrize("cell", ["1", "0.5", "-1", "yes", "2026-01-03", "not yet all", "0 of 2", "x"])
def test_what_says_anything_else_is_delivered(tmp_path, cell):
    orders, _ = own(tmp_path, f'A,open,,2026-01-02,6.00,K1,FR,"{cell}",S1,2,3.00\n')
    assert orders["A"].delivery_notes == 1


@given(st.text(st.characters(exclude_characters='"\x00', exclude_categories=["Cs"]), max_size=20))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_word_that_a_map_does_not_name_leaves_an_order_open(tmp_path, word):
    orders, figures = own(tmp_path, f'A,"{word}",,2026-01-02,6.00,K1,FR,,S1,2,3.00\n')
    known = word.strip().casefold() == "open" or word.strip() in [*Status]
    if not known:
        assert refusal(orders["A"], Mode.BULK) is not None
        assert orders["A"].status is not Status.REJECTED
        assert sum(figures.unknown_statuses.values()) == bool(word.strip())
        assert orders["A"].note.startswith("Status: ") == bool(word.strip())


def test_words_of_ours_are_not_taken_for_those_of_another_system(tmp_path):
    for ours in ("Needs OC", "rejected", "Abgelehnt"):
        orders, _ = own(tmp_path, f"A,{ours},,2026-01-02,6.00,K1,FR,,S1,2,3.00\n")
        assert (orders["A"].status, orders["A"].note) == (Status.OC_CONFIRMED, f"Status: {ours}")


def test_an_order_without_a_country_has_that_of_its_buyer(tmp_path):
    orders, _ = own(tmp_path, "A,open,,2026-01-02,6.00,K1,France,,S1,2,3.00\n")
    assert orders["A"].country == "FR"
    path = tmp_path / "plain.csv"
    path.write_text("id,status,ordered,currency,total,buyer_id,buyer_country\nA,needs-oc,2026-01-02,EUR,1,K1,FR\n")
    with open_source(path, read_at=READ_AT) as source:
        assert [order.country for order in source.orders()] == [None]


def test_a_word_that_nobody_knows_is_shown_and_goes_when_the_status_is_known(cli, tmp_path):
    (tmp_path / "own.toml").write_text(OWN_MAP)
    for state, status, note in (("printed", "oc-confirmed", "Status: printed"), ("open", "needs-oc", "")):
        (tmp_path / "o.csv").write_text(f"{OWN}A,{state},,2026-01-02,6.00,K1,FR,,S1,2,3.00\n")
        ran = cli("import", str(tmp_path / "o.csv"), "--map", str(tmp_path / "own.toml"))
        assert ran.code == 0
        assert ("that the column map does not name: 'printed' (1)" in " ".join(ran.err.split())) == (state == "printed")
        order = cli("show", "A", "--format", "json").json["order"]
        assert (order["status"], order["note"]) == (status, note)


def test_a_map_of_five_lines_says_what_a_shipped_one_says_otherwise(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'extends = "shopify"\n[columns]\nbrand = { first = ["Vendor 2"] }\n[status]\nPaid = "needs-oc"\n'
        '[defaults]\ncurrency = "EUR"\n'
    )
    mine, theirs = read_map(path), named_map("shopify")
    assert (mine.columns, mine.rows, mine.zone, mine.about) == (theirs.columns, "lines", None, "")
    assert mine.combined == {**theirs.combined, "brand": mine.combined["brand"]}
    assert mine.status == {**theirs.status, "paid": "needs-oc"}
    assert (mine.defaults, theirs.defaults) == ({"currency": "EUR"}, {})
    order = {**SHOPIFY_ROW, "Financial Status": "paid"}
    found = read(written(tmp_path / "o.csv", SHOPIFY, order), map_file=str(path))
    assert refusal(found["1"], Mode.BULK) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('extends = "shoppify"', "there is no column map 'shoppify'"),
        ('extends = "../shopify"', "there is no column map"),
        ("extends = 1", "extends must be a text"),
        ('skip_rows = ["A"]', "skip_rows must be a table"),
        ('skip_rows = { A = "x" }', "skip_rows.A must be a list of texts"),
        ("only_lines = { A = [1] }", "only_lines.A must be a list of texts"),
        ('[status]\n"*" = "needs-oc"', "needs-oc can be rejected in bulk"),
        ('[status]\n"*" = "rejected"', "or is final"),
        ('[columns]\nrejected = "A"', "columns.rejected must be"),
        ('[columns]\nrejected = { first = ["A"] }', "columns.rejected must be"),
        ('[columns]\ninvoices = { any = ["A"], nothing = "x" }', "columns.invoices must be a column"),
        ('[columns]\ninvoices = { first = ["A"], nothing = ["x"] }', "columns.invoices must be a column"),
        ('[columns]\ninvoices = { any = ["A"] }\n[words.invoices]\nx = "0"', "words.invoices has no use"),
    ],
)
def test_a_map_that_would_not_do_what_it_says_is_refused(tmp_path, text, message):
    (tmp_path / "map.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_map(tmp_path / "map.toml")


def test_a_header_that_two_maps_know_equally_well_is_nobodys():
    both = [*named_map("faire").recognised_by, *named_map("wix").recognised_by]
    assert recognised(both) is None
