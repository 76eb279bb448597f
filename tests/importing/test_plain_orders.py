"""Orders that are read many together, a column at a time, are those that are read one by one."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderctl.importing.column_map import ColumnMap
from orderctl.importing.fields import NESTED_LINES, ORDER_FIELDS, READ_LINE_FIELDS, REJECTED_MARK
from orderctl.importing.orders import PlainOrders, ReadingRules, Row, build_order
from orderctl.orders.orders import Status

READ_AT = datetime(2026, 12, 31, tzinfo=UTC)
WORDS = {
    "id": ["A1", "X-A1", "1.0"],
    "buyer_id": ["B1", " B2 ", "1E+05", "12.0", "b\x00"],
    "buyer_name": ["Maison Linden", "Linden ", "x" * 501],
    "buyer_email": ["shop@linden.example", "no address", "a@b.example, c@d.example"],
    "buyer_contact": ["Ann"],
    "buyer_country": ["FR", "France", "Atlantis"],
    "buyer_language": ["en", "pt-BR", "no language"],
    "reference": ["PO-1", "1E+12", '="0012"'],
    "note": ["first\r\nsecond", "\ud800", "n" * 60],
    "status": ["needs-oc", "Please create an OC", "rejected", "shipped", "OC created"],
    "ordered": ["2026-01-15", "2026-01-15T10:00:00+02:00", "2026-01-15 10:00", "15/01/2026", "0001-01-01", "soon"],
    "country": ["DE", "germany", "Atlantis"],
    "delivery_from": ["2026-02-01", "2026-03-01", "01/02/2026", "later"],
    "delivery_to": ["2026-02-15", "2026-01-01"],
    "currency": ["EUR", "JPY", "TND", "eur", "EURO", "XXX"],
    "total": ["10.00", "1,000.50", "1.234", "10,00 €", "-5", "(3.00)", "7", "7.005", "9" * 16, "ten", "00012.30"],
    "quantity": ["5", "5.0", "1,000", "1.000", "2.5", "5 EUR"],
    "invoices": ["0", "1", "-1", "99999999999", "1.0"],
    "tags": ["late, new", "late", ",,", "none", "x" * 61, "a;b", ["late", "new"]],
    "archived": ["yes", "no", "maybe", "1", "0"],
    REJECTED_MARK: ["1", "0", "yes"],
    "sku": ["AB-12", " AB-13", "x" * 501],
    "line_quantity": ["5", "2.50", "1,000", "1.000", "-1", "0", "five", "0.0001"],
    "unit_price": ["24.10", "1.234", "0", "10,00 €", "24", "1e3"],
    "line_total": ["120.50", "0", "7", "ten"],
}
OTHERS = st.one_of(
    st.sampled_from(["", " ", None, 0, 1, 1.0, True, False, 2.5, 1e16, float("nan"), Decimal("3.10"), READ_AT]),
    st.sampled_from([date(2026, 1, 15), READ_AT.replace(tzinfo=None), "1", "0", "'", '"', "é"]),
    st.text(max_size=6),
)
CELLS = {
    name: st.one_of(*[st.sampled_from(WORDS.get(name, ["plain", "other"]))] * 3, OTHERS)
    for name in (*ORDER_FIELDS, *READ_LINE_FIELDS, REJECTED_MARK, NESTED_LINES)
}
GOOD = {
    "id": "A1",
    "buyer_id": "B1",
    "status": "needs-oc",
    "ordered": "2026-01-15T10:00:00Z",
    "currency": "EUR",
    "total": "10.00",
}
GOOD_LINE = {"sku": "AB-12", "line_quantity": "5", "unit_price": "24.10"}
fields = st.sets(st.sampled_from([*CELLS]), max_size=8)
maps = st.builds(
    ColumnMap,
    file=st.sampled_from(["", "map.toml"]),
    defaults=fields.flatmap(lambda names: st.fixed_dictionaries({name: CELLS[name] for name in names})),
    status=st.sampled_from([{}, {"shipped": "oc-confirmed"}, {"*": "oc-confirmed"}]),
    rejected_id_prefix=st.sampled_from(["", "", "X-"]),
    decimal_comma=st.sampled_from([None, True, False]),
    round_prices=st.booleans(),
    date_formats=st.sampled_from([(), ("%d/%m/%Y",), ("%m/%d/%Y", "%d/%m/%Y")]),
)


@st.composite
def files(draw):
    """The rules of a file, and rows of its orders, most of them good but for a few cells."""
    columns, of_lines = draw(maps), draw(st.booleans())
    there, good = [draw(fields) for __ in range(2)], GOOD | (GOOD_LINE if of_lines else {})
    rows = []
    for number in range(draw(st.integers(1, 6))):
        order_id, cells = draw(st.sampled_from(["A", "X-"])) + str(number), {}
        for line in range(draw(st.integers(1, 3)) if of_lines or draw(st.integers(0, 9)) == 0 else 1):
            if not line or draw(st.integers(0, 9)) == 0:
                cells = {name: draw(CELLS[name]) for name in draw(st.sampled_from(there))} | good
            elif draw(st.booleans()):
                cells = dict.fromkeys(cells, draw(st.sampled_from(["", None]))) | GOOD_LINE
            changed = draw(fields) if draw(st.booleans()) else ()
            cells |= {name: draw(CELLS[name]) for name in cells if name in changed}
            rows.append((order_id, len(rows), tuple(cells), tuple(cells.values())))
    zone = draw(st.sampled_from([None, UTC, ZoneInfo("Asia/Tokyo")]))
    rules = ReadingRules(
        file="f", read_at=READ_AT, map=columns, zone=zone, columns={}, one_line_a_row=of_lines, lines_apart=False
    )
    return rules, rows


def carefully_read(rows, rules):
    return build_order(
        rows[0][0], [Row(number, dict(zip(names, cells, strict=True))) for __, number, names, cells in rows], rules
    )


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(files())
def test_a_plain_order_is_what_a_draft_makes_of_it(file):
    rules, rows = file
    reader = PlainOrders(rules)
    # A second time too: what was read is remembered.
    for found in (list(reader.read(rows)), list(reader.read(rows))):
        assert [row for __, part in found for row in part] == rows
        for plain, part in found:
            if plain is not None:
                careful = carefully_read(part, rules)
                assert plain == careful
                assert [type(each) for each in (*plain, *plain.lines)] == [
                    type(each) for each in (*careful, *careful.lines)
                ]


RULES = ReadingRules(file="f", read_at=READ_AT, map=ColumnMap(), zone=UTC, columns={})


def row_of(order_id, cells):
    return order_id, 0, (*cells,), (*cells.values(),)


def test_ordinary_orders_are_plain_and_others_are_not():
    odd = [{"total": "ten"}, {"currency": ""}, {"buyer_id": "", "buyer_name": "Ann"}, {"status": "shipped"}]
    rows = [row_of(f"A{number}", each) for number, each in enumerate([GOOD, {**GOOD, "note": "n"}])]
    rows += [row_of(f"B{number}", {**GOOD, **each}) for number, each in enumerate(odd)]
    found = [order for order, __ in PlainOrders(RULES).read([*rows, row_of("C1", GOOD), row_of("C1", GOOD)])]
    assert [order and (order.id, order.total, order.status) for order in found] == [
        ("A0", 1000, Status.NEEDS_OC),
        ("A1", 1000, Status.NEEDS_OC),
        *[None] * (len(odd) + 1),
    ]


def test_rows_of_one_order_are_plain_where_the_first_says_all_of_it():
    line = {**GOOD, **GOOD_LINE, "total": ""}
    blank = {**dict.fromkeys(line, ""), "sku": "AB-13", "line_quantity": "2.5", "unit_price": "10.00"}
    rows = [row_of("A1", each) for each in (line, blank, line)]
    odd = [("A2", line), ("A2", {**line, "note": "n"}), ("A3", line), ("A3", {**blank, "currency": "USD"})]
    odd += [("A4", line), ("A4", {**blank, "unit_price": ""}), ("A5", dict.fromkeys(line, "") | GOOD | {"total": ""})]
    rows += [row_of(*each) for each in odd]
    first, *others = [order for order, __ in PlainOrders(replace(RULES, one_line_a_row=True)).read(rows)]
    assert [(each.number, each.sku, each.pieces) for each in first.lines] == [
        (1, "AB-12", 5),
        (2, "AB-13", Decimal("2.5")),
        (3, "AB-12", 5),
    ]
    assert (first.total, first.quantity, others) == (2 * 5 * 2410 + 2500, 13, [None] * 4)


def test_a_list_of_tags_takes_no_tags_from_the_orders_beside_it():
    rows = [row_of(f"A{number}", {**GOOD, "tags": tags}) for number, tags in enumerate(["late, new", ["late"]])]
    first, second = [order for order, __ in PlainOrders(RULES).read(rows)]
    assert (first and first.tags, second) == ({"late", "new"}, None)


def test_tags_that_a_map_gives_as_a_list_are_read_with_care():
    rules, rows = replace(RULES, map=ColumnMap(defaults={"tags": ["late", "new"]})), [row_of("A0", GOOD)]
    assert list(PlainOrders(rules).read(rows)) == [(None, rows)]
    assert carefully_read(rows, rules).tags == {"late", "new"}
