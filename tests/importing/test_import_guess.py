"""What an unknown file means: guessed from names and cells, asked where that is doubtful, kept, and found again."""

import csv
import io
import json
import tomllib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from orderctl.errors import UsageError
from orderctl.importing.column_map import read_map
from orderctl.importing.figures import SourceRequest
from orderctl.importing.map_draft import draft_map
from orderctl.importing.source import open_source
from orderctl.orders.eligibility import Mode, refusal
from orderctl.orders.orders import Order, Status
from support.cli import Cli
from support.terminal import Terminal

READ_AT = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
ENCODING = "cp1252"
BRAND_CSV = """\
Auftragsnr.;Auftragsdatum;Kundennummer;Kunde;E-Mail;Land;Lieferdatum;Währung;Gesamtbetrag;Menge;Auftragsstatus;MwSt.
A-1;14.02.2026 09:30;K1;Müller & Söhne;einkauf@mueller.example;Deutschland;01.09.2026;EUR;1.234,50;12;offen;19 %
A-2;15.02.2026 10:00;K2;Café Zoë;zoe@cafe.example;Österreich;01.09.2026;EUR;99,00;3;geliefert;20 %
A-3;16.02.2026 11:15;K1;Müller & Söhne;einkauf@mueller.example;Deutschland;15.09.2026;EUR;-20,00;-1;storniert;19 %
A-4;17.02.2026 08:00;K3;Größenwahn AG;info@groesse.example;Schweiz;01.10.2026;CHF;10.000,00;200;wartet auf Stoff;8 %
"""
DOWN, CTRL_C, CTRL_D = "\x1b[B", "\x03", "\x04"
STATUSES, NAME = "What do the statuses of the file mean?", "Keep this map under the name"


@pytest.fixture
def cli(store_url: str, tmp_path: Path) -> Cli:
    return Cli(store_url, tmp_path / "home")


@pytest.fixture
def sqlite_cli(sqlite_url: str, tmp_path: Path) -> Cli:
    return Cli(sqlite_url, tmp_path / "home")


def written(tmp_path: Path, text: str, name: str = "Bestellungen 2026.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode(ENCODING))
    return path


def stored(cli: Cli) -> list[dict]:
    return [json.loads(line) for line in cli("search", "--sort", "id", "--format", "jsonl").lines]


def kept(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "home").rglob("maps/*.toml"))


# --- a walk through an unknown file


def test_a_brands_own_csv_is_in_the_store_after_two_answers(cli: Cli, tmp_path: Path) -> None:
    with Terminal(cli, "import", str(written(tmp_path, BRAND_CSV)), columns=120) as terminal:
        screen = terminal.wait_for("is not rejected in bulk)")
        assert "No column map knows Bestellungen 2026.csv" in screen
        assert "Gesamtbetrag    total          its name says it  1.234,50, 99,00, -20,00" in screen
        for line in (
            "offen                    1 row: needs-oc (open)",
            "geliefert                1 row: oc-confirmed (counts as a delivery note)",
            "storniert                1 row: rejected (cancelled)",
            "wartet auf Stoff         1 row: oc-confirmed (not known: is not rejected in bulk)",
        ):
            assert line in screen
        terminal.type("\r")
        screen = terminal.wait_for(NAME)
        assert "A-1    Müller & Söhne  Please create an OC      2026-02-14 09:30  1,234.50 EUR  12" in screen
        assert "4 rows, 4 orders: 1 could be rejected in bulk, 1 arrive rejected, 0 cannot be read" in screen
        assert stored(cli) == []
        terminal.type("\r")
        assert terminal.end() == 0
        assert "4 rows, 4 orders: 4 created" in terminal.text
    found = [
        [order[name] for name in ("id", "buyer", "status", "total", "currency", "country")] for order in stored(cli)
    ]
    assert found == [
        ["A-1", "Müller & Söhne", "needs-oc", "1234.50", "EUR", "DE"],
        ["A-2", "Café Zoë", "oc-confirmed", "99.00", "EUR", "AT"],
        ["A-3", "Müller & Söhne", "rejected", "-20.00", "EUR", "DE"],
        ["A-4", "Größenwahn AG", "oc-confirmed", "10000.00", "CHF", "CH"],
    ]
    # What went out has a delivery note; what nobody knows is not rejected in bulk.
    plan = cli("reject", "--all", "--dry-run", "--format", "json").json["plan"]
    assert {id_: group["code"] for group in plan["skipped"] for id_ in group["ids"]} == {
        "A-2": "delivered", "A-3": "already-rejected", "A-4": "oc-confirmed",
    }  # fmt: skip


def test_the_next_file_with_that_header_is_read_by_the_map_that_was_kept(sqlite_cli: Cli, tmp_path: Path) -> None:
    with Terminal(sqlite_cli, "import", str(written(tmp_path, BRAND_CSV))) as terminal:
        terminal.wait_for(STATUSES)
        terminal.type("\r")
        terminal.wait_for(NAME)
        terminal.type("\x15brand\r")
        assert terminal.end() == 0
    assert kept(tmp_path) == ["brand.toml"]
    header, *rows = BRAND_CSV.splitlines()
    later = written(tmp_path, "\n".join([header.upper(), *rows, rows[0].replace("A-1;", "A-5;")]), "later.csv")
    ran = sqlite_cli("import", str(later))
    assert (ran.code, ran.err.splitlines()[0]) == (0, "read by the column map brand")
    assert "5 orders: 1 created, 0 updated, 3 unchanged, 1 rejected ones left alone" in ran.out
    assert sqlite_cli("import", str(later), "--from", "brand").code == 0
    assert "brand\tBestellungen 2026.csv" in sqlite_cli("import", "--list-maps").lines
    assert "did you mean brand?" in sqlite_cli("import", str(later), "--from", "brandt").err
    # A word that the file did not have then is told with the line that belongs into the map.
    new = written(tmp_path, f"{header}\n{rows[0].replace('offen', 'In Prüfung')}\n", "new.csv")
    ran = sqlite_cli("import", str(new))
    assert ran.code == 2
    assert "put into the column map brand:" in " ".join(ran.err.split())
    assert '[status]\n"In Prüfung" = "oc-confirmed"\n' in ran.err


def test_without_a_terminal_nothing_is_asked_and_the_error_says_how(sqlite_cli: Cli, tmp_path: Path) -> None:
    ran = sqlite_cli("import", str(written(tmp_path, BRAND_CSV)))
    assert (ran.code, ran.out, kept(tmp_path)) == (2, "", [])
    assert "no column map knows its columns: Auftragsnr., " in " ".join(ran.err.split())
    assert "--make-map drafts a column map for --map" in " ".join(ran.err.split())


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D])
@pytest.mark.parametrize("question", [STATUSES, NAME])
def test_who_leaves_a_question_imports_and_keeps_nothing(
    sqlite_cli: Cli, tmp_path: Path, question: str, key: str
) -> None:
    with Terminal(sqlite_cli, "import", str(written(tmp_path, BRAND_CSV))) as terminal:
        terminal.wait_for(STATUSES)
        if question == NAME:
            terminal.type("\r")
            terminal.wait_for(NAME)
        terminal.type(key)
        assert terminal.end() == (130 if key == CTRL_C else 4)
    assert (stored(sqlite_cli), kept(tmp_path)) == ([], [])


def test_what_is_typed_before_a_question_answers_none(sqlite_cli: Cli, tmp_path: Path) -> None:
    with Terminal(sqlite_cli, "import", str(written(tmp_path, BRAND_CSV))) as terminal:
        terminal.type("\r" * 8)
        terminal.wait_for(STATUSES)
        terminal.type("\r\r")
        terminal.wait_for(NAME)
        terminal.type(CTRL_D)
        assert terminal.end() == 4
    assert (stored(sqlite_cli), kept(tmp_path)) == ([], [])


def test_a_check_walks_through_and_keeps_nothing(sqlite_cli: Cli, tmp_path: Path) -> None:
    with Terminal(sqlite_cli, "import", str(written(tmp_path, BRAND_CSV)), "--check") as terminal:
        terminal.wait_for(STATUSES)
        terminal.type("\r")
        assert terminal.end() == 0
        assert "4 rows, 4 orders: all good" in terminal.text
    assert (stored(sqlite_cli), kept(tmp_path)) == ([], [])


DOUBTFUL = """\
Order No.,Net total,Gross total,Date,State
1,10.00,12.00,03/04/2025,pending
2,20.00,24.00,05/06/2025,lost in the post
"""


def test_what_is_doubtful_is_asked_with_what_the_columns_hold(sqlite_cli: Cli, tmp_path: Path) -> None:
    with Terminal(sqlite_cli, "import", str(written(tmp_path, DOUBTFUL))) as terminal:
        screen = terminal.wait_for("Which column holds total?")
        assert "Net total    10.00, 20.00" in screen
        assert "Gross total  12.00, 24.00" in screen
        terminal.type(f"{DOWN}\r")
        terminal.wait_for("No column says the currency")
        terminal.type("eur\r")
        terminal.wait_for("03/04/2025 can be read in two ways")
        terminal.type("\r")
        terminal.wait_for(STATUSES)
        terminal.type(f"{DOWN}{DOWN}\r")
        terminal.wait_for("What does 'lost in the post' mean?")
        for __ in range(4):
            terminal.type(DOWN)
        terminal.type("\r")
        terminal.wait_for("lost in the post         1 row: oc-confirmed (counts as a delivery note)")
        terminal.type("\r")
        terminal.wait_for(NAME)
        terminal.type("\r")
        assert terminal.end() == 0
    found = [[order[name] for name in ("id", "total", "currency", "ordered", "status")] for order in stored(sqlite_cli)]
    assert found == [
        ["1", "12.00", "EUR", "2025-04-03T00:00:00+00:00", "needs-oc"],
        ["2", "24.00", "EUR", "2025-06-05T00:00:00+00:00", "oc-confirmed"],
    ]
    assert sqlite_cli("show", "2", "--format", "json").json["order"]["delivery_notes"] == 1


# --- guesses


def table(tmp_path: Path, header: list[str], *rows: list[str]) -> Path:
    text = io.StringIO()
    csv.writer(text, delimiter=";").writerows([header, *rows])
    path = tmp_path / "o.csv"
    path.write_bytes(text.getvalue().encode())
    return path


def draft(path: Path) -> dict:
    return tomllib.loads("\n".join(draft_map(path, READ_AT.date(), SourceRequest()).lines()))


ORDERS = [
    ["X-1", "2026-01-05", "K1", "Acme", "a@acme.example", "FR", "2026-06-01", "EUR", "10.50", "3", "PO 7", "urgent"],
    ["X-2", "2026-01-06", "K2", "Boutique B", "b@b.example", "IT", "2026-06-02", "EUR", "99.00", "7", "PO 8", ""],
]
FIELDS = (
    *("id", "ordered", "buyer_id", "buyer_name", "buyer_email", "country", "delivery_from", "currency", "total"),
    *("quantity", "reference", "note"),
)
HEADERS = """
Order No.|Order Date|Customer #|Customer Name|E-mail|Country|Delivery Date|Ccy|Net total|Qty|Customer PO|Remarks
Bestellnr|Auftragsdatum|Kd.-Nr.|Kunde|Mailadresse|Land|Liefertermin|Waehrung|Gesamtbetrag|Menge|Ihr Zeichen|Bemerkung
N° de commande|Date commande|Code client|Client|Courriel|Pays|Livraison|Devise|Total HT|Qté|Réf. client|Remarques
Nº pedido|Fecha de pedido|Cód. cliente|Cliente|Correo|País|Entrega|Moneda|Importe total|Cant.|Su referencia|Notas
N. ordine|Data ordine|Codice cliente|Cliente|Email|Paese|Consegna|Valuta|Totale|Quantità|Rif. cliente|Nota
Pedido nº|Data do pedido|Cód. cliente|Cliente|E-mail|País|Entrega|Moeda|Valor total|Qtde|Sua referência|Observações
注文番号|注文日|得意先コード|得意先名|メール|国|納期|通貨|合計金額|数量|貴社注文番号|備考
"""


@pytest.mark.parametrize("header", HEADERS.strip().splitlines())
def test_headers_of_seven_languages(tmp_path: Path, header: str) -> None:
    found = draft(table(tmp_path, header.split("|"), *ORDERS))
    assert found["columns"] == dict(zip(FIELDS, header.split("|"), strict=True))
    assert found["defaults"] == {"status": ""}


def test_lines_of_orders_are_told_from_orders(tmp_path: Path) -> None:
    header = (
        "Auftrag|Bestellt am|Firma|Artikelnummer|Bezeichnung|Farbe|Größe|Anzahl|Einzelpreis (EUR)|Gesamtpreis|Status"
    )
    row = ["1", "2026-01-05", "Acme", "S1", "Hemd", "blau", "M"]
    found = draft(
        table(tmp_path, header.split("|"), [*row, "2", "10.00", "20.00", "neu"], [*row, "1", "5.00", "5.00", "neu"])
    )
    assert found["rows"] == "lines"
    assert found["columns"] == {
        "id": "Auftrag", "status": "Status", "ordered": "Bestellt am", "buyer_id": {"first": ["Firma"]},
        "buyer_name": "Firma", "sku": "Artikelnummer", "line_name": "Bezeichnung", "color": "Farbe", "size": "Größe",
        "line_quantity": "Anzahl", "unit_price": "Einzelpreis (EUR)", "line_total": "Gesamtpreis",
    }  # fmt: skip


def test_where_the_header_says_nothing_the_cells_do(tmp_path: Path) -> None:
    rows = [
        [f"Q{n}", f"2026-01-{n:02} 10:00", "EUR", f"{n}.50", f"s{n}@a.example", "FR", str(n % 3)] for n in range(1, 9)
    ]
    found = draft(table(tmp_path, [f"F{n}" for n in range(1, 8)], *rows))
    columns = {"id": "F1", "ordered": "F2", "currency": "F3", "total": "F4", "quantity": "F7"}
    assert found["columns"] == {
        **columns, "buyer_email": "F5", "country": "F6", "buyer_id": {"first": ["F5"]},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("header", "cells", "named"),
    [
        ("Bestellnr;Auftragsnr", ["B1;A1"], "id = ['Bestellnr', 'Auftragsnr']"),
        ("id;Order No", ["B1;A1"], "id = ['id', 'Order No']"),
        ("Kunde;Customer name", ["Acme;Acme"], "buyer_name = ['Kunde', 'Customer name']"),
        ("Lieferdatum;Delivery date", ["2026-01-01;2026-01-02"], "delivery_from = ['Lieferdatum', 'Delivery date']"),
        # The name may mean it, but so may the cells of another column.
        ("Date;Printed", ["2026-01-01;2026-01-02"], "ordered = ['Date', 'Printed']"),
        ("Betrag;Provision", ["10.00;1.00"], "total = ['Betrag', 'Provision']"),
        # The name says it, and the cells speak against it.
        ("Auftragsdatum;x", ["last week;1"], "ordered = ['Auftragsdatum']"),
        ("c1;c2", ["EUR;USD"], "currency = ['c1', 'c2']"),
        # The buyer's own number is one of an order, too, where there is no other.
        ("PO Number;x", ["P1;1"], "id = ['PO Number']"),
        # A state of the union is none of an order, and a payment may be open while the order is not.
        ("State;x", ["NY;1"], "status = ['State']"),
        ("Zustand;Zahlung", ["offen;bezahlt"], "status = ['Zustand', 'Zahlung']"),
    ],
)
def test_two_columns_that_may_be_meant_are_a_question_that_names_both(
    tmp_path: Path, header: str, cells: list[str], named: str
) -> None:
    path = table(tmp_path, header.split(";"), *(row.split(";") for row in cells))
    key = named.split(" ", maxsplit=1)[0]
    assert f"{key} = {draft(path)['columns'][key]}" == named


@pytest.mark.parametrize(
    ("cells", "comma"),
    [
        (["1.234,50", "7,00"], True),
        (["1,234.50", "7.00"], False),
        (["1.234", "12,5"], True),
        (["1 234,50 €", "7,00 €"], True),
        (["12", "7"], False),
        (["1,234", "2,500"], "true or false"),
        (["1.234", "2.500"], "true or false"),
        (["1,5", "1.5"], "true or false"),
    ],
)
def test_the_sign_before_decimals_is_found_out_or_left_open(tmp_path: Path, cells: list[str], comma: object) -> None:
    assert (
        draft(table(tmp_path, ["id", "total"], *([str(n), cell] for n, cell in enumerate(cells))))["decimal_comma"]
        == comma
    )


@pytest.mark.parametrize(
    ("header", "cells", "currency"),
    [
        ("Gesamtbetrag (EUR)", ["1.00", "2.00"], "EUR"),
        ("Total CHF", ["1.00"], "CHF"),
        ("Total [£]", ["1.00"], "GBP"),
        ("total", ["1.00 €", "€ 2.00"], "EUR"),
        ("total", ["1.00 €", *["2.00 €"] * 3_000, "2.00 £"], ""),
        ("total", ["1.00 $"], ""),
        ("total", ["1.00"], ""),
    ],
)
def test_the_currency_is_that_of_the_amounts_where_no_column_holds_it(
    tmp_path: Path, header: str, cells: list[str], currency: str
) -> None:
    path = table(tmp_path, ["id", header], *([str(n), cell] for n, cell in enumerate(cells)))
    assert draft(path)["defaults"]["currency"] == currency


def test_amounts_without_decimals_are_thousands_where_the_currency_has_none(tmp_path: Path) -> None:
    assert draft(table(tmp_path, ["注文番号", "合計", "通貨"], ["1", "1,200", "JPY"]))["decimal_comma"] is False


@pytest.mark.parametrize(
    ("word", "status", "delivered"),
    [
        ("Offen", "needs-oc", 0),
        ("en attente", "needs-oc", 0),
        ("Bestätigt", "oc-confirmed", 0),
        ("ANNULÉE", "rejected", 0),
        ("キャンセル", "rejected", 0),
        ("teilweise geliefert", "oc-confirmed", 1),
        ("Partially shipped", "oc-confirmed", 1),
        ("発送済み", "oc-confirmed", 1),
        # What is not known protects, however much it looks like something else.
        ("nicht storniert", "oc-confirmed", 0),
        ("Stornierung angefragt", "oc-confirmed", 0),
        ("open (cancelled?)", "oc-confirmed", 0),
        ("reopened", "oc-confirmed", 0),
        ("open / shipped", "oc-confirmed", 1),
        ("77", "oc-confirmed", 0),
    ],
)
def test_words_of_a_status(tmp_path: Path, word: str, status: str, delivered: int) -> None:
    header = ["id", "ordered", "currency", "total", "Status"]
    rows = [["1", "2026-01-01", "EUR", "1.00", word], ["2", "2026-01-01", "EUR", "1.00", "needs-oc"]]
    orders = read(table(tmp_path, header, *rows))
    assert [(order.id, order.status, order.delivery_notes) for order in orders] == [
        ("1", status, delivered),
        ("2", "needs-oc", 0),
    ]
    assert (refusal(orders[0], Mode.BULK) is None) == (status == "needs-oc")


def test_a_filled_column_of_shipping_invoicing_or_cancelling_protects(tmp_path: Path) -> None:
    header = [
        "id",
        "ordered",
        "currency",
        "total",
        "status",
        "Versendet am",
        "Gelieferte Menge",
        "Rechnungsnr",
        "Cancelled at",
    ]
    row = ["2026-01-01", "EUR", "1.00", "needs-oc"]
    rows = [
        ["1", *row, "", "0", "", ""],
        ["2", *row, "2026-01-05", "", "", ""],
        ["3", *row, "", "12", "", ""],
        ["4", *row, "", "", "RE-1", ""],
        ["5", *row, "", "", "", "2026-02-01"],
    ]
    found = [(o.id, o.status, o.delivery_notes, o.invoices) for o in read(table(tmp_path, header, *rows))]
    assert found == [
        ("1", "needs-oc", 0, 0),
        ("2", "needs-oc", 1, 0),
        ("3", "needs-oc", 1, 0),
        ("4", "needs-oc", 0, 1),
        ("5", "rejected", 0, 0),
    ]


# --- any header, any cells


def test_a_column_of_any_name_whose_words_say_that_goods_went_out_protects(tmp_path: Path) -> None:
    header = ["id", "ordered", "currency", "total", "Order status", "Transport", "Books", "Payment state"]
    row = ["2026-01-01", "EUR", "1.00", "open"]
    states = [["open", "open", "done"], ["shipped", "open", "open"], ["open", "invoiced", "open"]]
    orders = read(table(tmp_path, header, *([str(number), *row, *each] for number, each in enumerate(states))))
    assert [(order.delivery_notes, order.invoices) for order in orders] == [(0, 0), (1, 0), (0, 1)]
    assert [refusal(order, Mode.BULK) is None for order in orders] == [True, False, False]
    # A note that nobody knows is no word of a status.
    notes = [[str(number), *row, word] for number, word in enumerate(["shipped", "call first"])]
    assert draft(table(tmp_path, [*header[:5], "Remark of ours"], *notes))["columns"].get("delivery_notes") is None


ERPS = """
Verkaufsbeleg|Position|Auftraggeber|Belegdatum|Material|Auftragsmenge|Nettowert|Währg|Gesamtstatus
Sales document|Item|Sold-to party|Document date|Material|Order quantity|Net value|Document currency|Overall status
"""


@pytest.mark.parametrize("header", ERPS.strip().splitlines())
def test_the_list_of_orders_of_an_erp_is_read_by_line(tmp_path: Path, header: str) -> None:
    rows = [
        ["4500001", "10", "100234", "01.11.2026", "A-1", "10", "1.000,00", "EUR", "Offen"],
        ["4500001", "20", "100234", "01.11.2026", "A-2", "5", "500,00", "EUR", "Offen"],
        ["4500002", "10", "100235", "02.11.2026", "A-1", "1.000", "100.000,00", "EUR", "Vollst.beliefert"],
    ]
    first, second = read(table(tmp_path, header.split("|"), *rows))
    assert (first.id, first.total, first.quantity, first.status) == ("4500001", 150_000, 15, "needs-oc")
    assert [(line.sku, line.quantity) for line in first.lines] == [("A-1", 10), ("A-2", 5)]
    assert (second.total, second.delivery_notes, refusal(second, Mode.BULK) is None) == (10_000_000, 1, False)


def read(path: Path) -> list[Order]:
    """The orders of a file, by the map that was drafted for it, as it stands. Raises UsageError."""
    map_path = path.with_suffix(".toml")
    map_path.write_text("\n".join(draft_map(path, READ_AT.date(), SourceRequest()).lines()), encoding="utf-8")
    with open_source(path, SourceRequest(map_file=str(map_path)), read_at=READ_AT) as source:
        assert list(source.problems()) == []
        return list(source.orders())


SYNONYMS = tomllib.loads((Path(__file__).parents[2] / "src/orderctl/importing/synonyms.toml").read_text("utf-8"))
MEANT = {name: SYNONYMS["fields"][name]["surely"] for name in FIELDS} | {
    "status": SYNONYMS["fields"]["status"]["surely"]
}
values = st.fixed_dictionaries(
    {
        "ordered": st.dates(date(2025, 1, 1), date(2026, 3, 14)),
        "later": st.integers(0, 200).map(timedelta),
        "minor": st.integers(1, 10**7),
        "quantity": st.integers(0, 999),
        "buyer": st.integers(1, 3),
        "status": st.sampled_from(["offen", "storniert", "bestätigt", "needs-oc"]),
    }
)


def cells_of(number: int, order: dict) -> dict[str, str]:
    return {
        "id": f"A-{number}",
        "ordered": order["ordered"].isoformat(),
        "delivery_from": (order["ordered"] + order["later"]).isoformat(),
        "buyer_id": f"K{order['buyer']}",
        "buyer_name": f"Shop {order['buyer']}",
        "buyer_email": f"shop{order['buyer']}@shops.example",
        "country": ["FR", "DE", "JP"][order["buyer"] - 1],
        "currency": "EUR",
        "total": f"{Decimal(order['minor']) / 100:.2f}".replace(".", ","),
        "quantity": str(order["quantity"]),
        "reference": f"PO {number}",
        "note": "as agreed",
        "status": order["status"],
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), orders=st.lists(values, min_size=1, max_size=4))
def test_a_file_with_names_that_we_know_is_read_as_an_independent_reading_does(
    tmp_path: Path, data: st.DataObject, orders: list[dict]
) -> None:
    names = {field: data.draw(st.sampled_from([field, *surely]), label=field) for field, surely in MEANT.items()}
    assume(len({name.casefold() for name in names.values()}) == len(names))
    shown = data.draw(st.permutations(list(names)))
    rows = [cells_of(number, order) for number, order in enumerate(orders)]
    found = read(table(tmp_path, [names[field] for field in shown], *([row[field] for field in shown] for row in rows)))
    meant = {"offen": "needs-oc", "storniert": "rejected", "bestätigt": "oc-confirmed", "needs-oc": "needs-oc"}
    for order, row, given_ in zip(found, rows, orders, strict=True):
        assert (order.id, order.total, order.quantity) == (row["id"], given_["minor"], given_["quantity"])
        assert (order.ordered_at.date(), order.delivery_from) == (
            given_["ordered"],
            given_["ordered"] + given_["later"],
        )
        assert (order.status, order.currency, order.country) == (meant[row["status"]], "EUR", row["country"])
        assert (order.reference, order.note) == (row["reference"], "as agreed")
        assert order.buyer is not None
        assert [order.buyer.id, order.buyer.name, order.buyer.email] == [
            row["buyer_id"], row["buyer_name"], row["buyer_email"],
        ]  # fmt: skip


# What is no table, or one of which nothing says where it begins and what stands between its cells.
UNREADABLE = ("stands twice", "is empty", "not CSV", "line break", "may be separated", "is no header")
# What begins like a file of another kind.
UNREADABLE += ("not for JSON", "HTML or XML", "are read from", "workbook", "Parquet")
any_name = st.sampled_from(
    sorted({name for each in SYNONYMS["fields"].values() for names in each.values() for name in names})
) | st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
any_cell = st.sampled_from(
    ["", "A-1", "2026-01-05", "03/04/2025", "1.234,50", "1,234", "12", "EUR", "a@b.example", "offen", "France", "x y"]
) | st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=6)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(any_name, min_size=1, max_size=8, unique_by=lambda name: name.strip()).flatmap(
        lambda names: st.tuples(
            st.just(names), st.lists(st.lists(any_cell, min_size=len(names), max_size=len(names)), max_size=6)
        )
    )
)
def test_every_map_is_taken_as_it_stands_or_refused_with_the_line_that_is_not_decided(tmp_path: Path, drawn) -> None:
    names, rows = drawn
    assume(any(name.strip() for name in names) and "'" not in names[0])
    try:
        lines = list(draft_map(table(tmp_path, names, *rows), READ_AT.date(), SourceRequest()).lines())
    except UsageError as error:
        assert any(word in str(error) for word in UNREADABLE)  # noqa: PT017
        return
    path = tmp_path / "map.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    try:
        found = read_map(path)
    except UsageError as error:
        line = lines[int(str(error).split("line ")[1].split(":")[0]) - 1]
        assert any(sign in line for sign in ('= ""', "= [", " or ")), (str(error), line)  # noqa: PT017
        return
    plain = [column for name, column in found.columns.items() if name not in {"buyer_id", "buyer_email"}]
    assert len(plain) == len(set(plain)), "one column for two fields"


# --- problems that are alike

OURS = "id,status,ordered,currency,total\n"


def test_equal_problems_are_told_once_with_the_lines_for_the_map(sqlite_cli: Cli, tmp_path: Path) -> None:
    rows = [f"{n},{'New' if n % 2 else 'Cloth'},2026-01-01,EUR,{'x' if n == 9 else 1}" for n in range(1, 31)]
    path = written(tmp_path, OURS + "\n".join(rows), "o.csv")
    report = tmp_path / "bad.csv"
    ran = sqlite_cli("import", str(path), "--errors", str(report), "--format", "json")
    said = " ".join(ran.err.split())
    known = f"is not a known status (one of {', '.join(Status)})"
    assert f"o.csv, status: 'New' {known}: 15 rows (first: 2)" in said
    assert f"o.csv, status: 'Cloth' {known}: 15 rows (first: 3)" in said
    assert "o.csv, row 10, total: 'x' is not a number written with a decimal point" in said
    assert '[status]\n"New" = "needs-oc"\n"Cloth" = "oc-confirmed"\n' in ran.err
    assert len(report.read_text().splitlines()) == 1 + 31
    japanese = Cli(sqlite_cli.environ["ORDERCTL_STORE"], tmp_path / "home", LC_ALL="ja_JP.UTF-8")
    elsewhere = japanese("import", str(path), "--check", "--format", "json", "--errors", str(tmp_path / "ja.csv"))
    assert "15行 (最初: 2)" in elsewhere.err
    assert elsewhere.json["first_problems"] == ran.json["first_problems"]
    assert (ran.json["problems"], ran.json["different_problems"]) == (31, 3)
    assert ran.json["first_problems"][0] == {
        "file": "o.csv", "field": "status", "column": "status", "value": "New", "reason": known,
        "rows": 15, "first_row": 2,
    }  # fmt: skip


def test_the_cause_comes_first_and_what_follows_from_it_is_counted(sqlite_cli: Cli, tmp_path: Path) -> None:
    header = "id,status,ordered,currency,sku,line_quantity,unit_price\n"
    rows = [f"A,needs-oc,2026-01-01,EUR,S{n},1,{'x' if n == 3 else 1}" for n in range(1, 6)]
    ran = sqlite_cli("import", str(written(tmp_path, header + "\n".join(rows), "o.csv")))
    first, *others = ran.err.splitlines()
    assert first == "warning: o.csv, row 4, unit_price: 'x' is not a number written with a decimal point"
    assert others[0] == "4 more rows are left out because another row of their order is wrong"
    assert "another row" not in " ".join(others[1:])


def test_a_missing_currency_names_the_map_and_the_option(sqlite_cli: Cli, tmp_path: Path) -> None:
    ran = sqlite_cli(
        "import", str(written(tmp_path, OURS + "A,needs-oc,2026-01-01,,1\nB,needs-oc,2026-01-01,,1\n", "o.csv"))
    )
    assert "o.csv, currency: '' is missing: 2 rows (first: 2)" in ran.err
    assert "say --default currency=EUR" in ran.err
    assert sqlite_cli("import", str(tmp_path / "o.csv"), "--default", "currency=EUR").code == 0
    ran = sqlite_cli("import", str(written(tmp_path, "id,status,ordered,total\nA,needs-oc,2026-01-01,1\n", "p.csv")))
    assert "p.csv has no column for currency hint: say --default currency=EUR" in " ".join(ran.err.split())
