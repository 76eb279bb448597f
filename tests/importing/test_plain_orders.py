"""Orders that are read many together, a column at a time, are those that are read one by one."""

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderctl.importing.column_map import ColumnMap
from orderctl.importing.fields import NESTED_LINES, ORDER_FIELDS, REJECTED_MARK
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
}
OTHERS = st.one_of(
    st.sampled_from(["", " ", None, 0, 1, 1.0, True, False, 2.5, 1e16, float("nan"), Decimal("3.10"), READ_AT]),
    st.sampled_from([date(2026, 1, 15), READ_AT.replace(tzinfo=None), "1", "0", "'", '"', "é"]),
    st.text(max_size=6),
)
CELLS = {
    name: st.one_of(*[st.sampled_from(WORDS.get(name, ["plain", "other"]))] * 3, OTHERS)
    for name in (*ORDER_FIELDS, REJECTED_MARK, NESTED_LINES)
}
GOOD = {
    "id": "A1",
    "buyer_id": "B1",
    "status": "needs-oc",
    "ordered": "2026-01-15T10:00:00Z",
    "currency": "EUR",
    "total": "10.00",
}
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
    """The rules of a file, and orders of a row each, most of them good but for a few cells."""
    columns = draw(maps)
    there = [draw(fields) for __ in range(2)]
    orders = []
    for number in range(draw(st.integers(1, 6))):
        changed = draw(fields)
        cells = {name: draw(CELLS[name]) for name in draw(st.sampled_from(there))} | GOOD
        cells |= {name: draw(CELLS[name]) for name in changed & cells.keys()}
        orders.append(
            (draw(st.sampled_from(["A", "X-"])) + str(number), [(number, tuple(cells), tuple(cells.values()))])
        )
    zone = draw(st.sampled_from([None, UTC, ZoneInfo("Asia/Tokyo")]))
    return ReadingRules(file="f", read_at=READ_AT, map=columns, zone=zone, columns={}), orders


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(files())
def test_a_plain_order_is_what_a_draft_makes_of_it(file):
    rules, orders = file
    reader = PlainOrders(rules)
    # A second time too: what was read is remembered.
    for found in (reader.read(orders), reader.read(orders)):
        for plain, (order_id, [(number, names, cells)]) in zip(found, orders, strict=True):
            careful = build_order(order_id, [Row(number, dict(zip(names, cells, strict=True)))], rules)
            assert plain is None or plain == careful
            if plain is not None:
                assert [type(each) for each in plain] == [type(each) for each in careful]


def test_ordinary_orders_are_plain_and_others_are_not():
    rules = ReadingRules(file="f", read_at=READ_AT, map=ColumnMap(), zone=UTC, columns={})
    odd = [{"total": "ten"}, {"currency": ""}, {"buyer_id": "", "buyer_name": "Ann"}, {"status": "shipped"}]
    orders = [
        (f"A{number}", [(number, tuple(cells), tuple(cells.values()))])
        for number, cells in enumerate([GOOD, {**GOOD, "note": "n"}, *({**GOOD, **each} for each in odd)])
    ]
    found = PlainOrders(rules).read([*orders, ("B1", [*orders[0][1], *orders[1][1]])])
    assert [order and (order.id, order.total, order.status) for order in found] == [
        ("A0", 1000, Status.NEEDS_OC),
        ("A1", 1000, Status.NEEDS_OC),
        *[None] * (len(odd) + 1),
    ]


def test_a_list_of_tags_takes_no_tags_from_the_orders_beside_it():
    rules = ReadingRules(file="f", read_at=READ_AT, map=ColumnMap(), zone=UTC, columns={})
    orders = [
        (f"A{number}", [(number, (*GOOD, "tags"), (*GOOD.values(), tags))])
        for number, tags in enumerate(["late, new", ["late"]])
    ]
    first, second = PlainOrders(rules).read(orders)
    assert (first and first.tags, second) == ({"late", "new"}, None)


def test_tags_that_a_map_gives_as_a_list_are_read_with_care():
    columns = ColumnMap(defaults={"tags": ["late", "new"]})
    rules = ReadingRules(file="f", read_at=READ_AT, map=columns, zone=UTC, columns={})
    [(order_id, [row])] = orders = [("A0", [(0, (*GOOD,), (*GOOD.values(),))])]
    assert PlainOrders(rules).read(orders) == [None]
    assert build_order(order_id, [Row(row[0], GOOD)], rules).tags == {"late", "new"}
