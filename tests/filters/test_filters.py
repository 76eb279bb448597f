"""The filter language: what is read, what is refused and how, and one answer from both engines and from memory."""

import unicodedata
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderctl.changes import Change, ChangeKind, apply_change
from orderctl.core.text import fold
from orderctl.errors import UsageError
from orderctl.filters.filters import FILTER_FIELDS, field_named
from orderctl.filters.matching import holds
from orderctl.filters.parser import MAX_DEPTH, MAX_TERMS, FilterError, join_words, parse_filter
from orderctl.language import in_every_language
from orderctl.orders.orders import Buyer, OrderLine, Status, status_named
from orderctl.rejection.plan import Provenance
from orderctl.rejection.service import RejectionRequest, execute_rejection, prepare_rejection
from orderctl.search.queries import Page, count_orders, list_ids
from orderctl.selection.selection import Choice, IdList, IdScope
from stress.stores import sqlite_template
from support.factories import ACME, KUMO, MUTE, FixedClock, make_order, put, put_all
from support.stores import open_store

TODAY = date(2026, 3, 14)
EVERYTHING = "(archived:yes or archived:no)"


def read(text):
    return parse_filter(text, today=TODAY, country_code={"japan": "JP", "France": "FR"}.get)


def matches(wanted, order):
    """Whether the filter finds the order, answered in memory."""
    if wanted.leaves_out_archived and order.archived_at is not None:
        return False
    return wanted.condition is None or holds(wanted.condition, order)


def line(number, sku):
    return OrderLine(number=number, sku=sku, quantity=1, unit_price=100)


ORDERS = [
    make_order("1001", reference="PO-77", note="Linen only, please", tags=frozenset({"late", "vip"})),
    make_order("1002", buyer=KUMO, country="JP", currency="JPY", total=90_000, season="26fw", status=Status.OC_CREATED),
    make_order("1003", buyer=MUTE, country=None, delivery_from=None, delivery_to=None, brand="", season="", lines=()),
    make_order("1004", buyer=None, reference="", quantity=40, ordered_at=datetime(2026, 2, 28, 23, 59, tzinfo=UTC)),
    make_order("1005", buyer=Buyer(id="b5", name="Straße 50%_off"), total=100_000, tags=frozenset({"Late"})),
    make_order("1006", status=Status.OC_CONFIRMED, ordered_at=datetime(2026, 3, 1, tzinfo=UTC), delivery_to=None),
    make_order("1007", currency="KWD", total=1_000_001, lines=(line(1, "AB-12"), line(2, "zz-1"))),
    make_order(
        "A*B", reference="po_77", season="27SS", delivery_from=date(2026, 10, 1), delivery_to=date(2026, 12, 31)
    ),
    make_order("none", buyer=ACME, note="back\\slash\nsecond line", country="Nowhere"),
]
EXAMPLES = {
    "status:needs-oc,oc-created": "1001 1002 1003 1004 1005 1007 A*B none",
    "not status:needs-oc": "1002 1006",
    "buyer:acme": "1001 1006 1007 A*B none",
    'buyer:"Acme Paris"': "1001 1006 1007 A*B none",
    "buyer:ac*": "1001 1006 1007 A*B none",
    "buyer:*paris": "1001 1006 1007 A*B none",
    "buyer:par*": "",
    "buyer:STRASSE": "1005",
    'buyer:"50%_"': "1005",
    'buyer:"5%"': "",
    "buyer:none": "1004",
    "buyer:any buyer:雲商": "1002",
    'id:1001,1002,"A*B"': "1001 1002 A*B",
    "ref:po-77*": "1001",
    "ref:_77": "A*B",
    "ref:none": "1004",
    "ordered:2026-02": "1004",
    "ordered:2026-03-01..": "1006",
    "ordered:..2026-02-28 ordered:-20d..": "1004",
    "ordered:-2w": "1004",
    "delivery:2026-09 country:FR": "1001 1004 1005 1006 1007",
    "delivery:2026-11": "A*B",
    "delivery:none": "1003",
    "delivery:..2026-09-01": "1001 1002 1004 1005 1006 1007 none",
    "total:1000..": "1002 1005 1007",
    "total:1000": "1005",
    "total:1000.001..1000.001": "1007",
    "total:..120.49 currency:eur": "",
    "total:120.50 currency:EUR quantity:40": "1004",
    "quantity:..12 quantity:6..": "",
    "season:26SS,27ss country:France": "1001 1004 1005 1006 1007 A*B",
    "season:26*": "1001 1002 1004 1005 1006 1007 none",
    "season:none": "1003",
    "brand:none or country:japan": "1002 1003",
    "country:nowhere": "none",
    "country:none": "1003",
    "tag:late": "1001 1005",
    "tag:none status:oc-confirmed": "1006",
    "not tag:any id:1001": "",
    "sku:AB-12*": "1001 1002 1004 1005 1006 1007 A*B none",
    "sku:ZZ-1": "1007",
    "sku:none": "1003",
    "linen": "1001",
    "po-77 or paris id:none": "1001 none",
    '"or" or "50%"': "1005",
    "back*line": "none",
    '"\\\\slash"': "none",
    "(tag:vip or tag:Late) not buyer:acme": "1005",
    "currency:EUR and not (country:FR or country:none)": "none",
    "rejected:none batch:none id:1001": "1001",
    "rejected:-1d..": "",
    "seen:2026-03-14 gone:none source:none id:1001": "1001",
    "seen:..2026-03-13 or seen:2026-03-15.. or seen:none or gone:any or gone:2026 or source:any": "",
    'id:"none"': "none",
}


@pytest.fixture(scope="module")
def filled(postgres_server, tmp_path_factory):
    """One store on each engine with the same orders, some of them archived, tagged and rejected by the program."""
    import shutil  # noqa: PLC0415

    import psycopg  # noqa: PLC0415

    path = tmp_path_factory.mktemp("filters") / "store.db"
    shutil.copy(sqlite_template(), path)
    with psycopg.connect(postgres_server.format(database="postgres"), autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS filters WITH (FORCE)")
        admin.execute("CREATE DATABASE filters TEMPLATE template_store STRATEGY file_copy")
    with open_store(str(path)) as sqlite, open_store(postgres_server.format(database="filters")) as postgres:
        for store in (sqlite, postgres):
            put_all(store, ORDERS)
        yield sqlite, postgres


def found(store, text):
    with store.snapshot() as connection:
        wanted = read(text)
        ids = list(list_ids(connection, wanted, Page(sort="id")))
        assert count_orders(connection, wanted) == len(ids)
        return ids


@pytest.mark.parametrize(("text", "ids"), EXAMPLES.items(), ids=EXAMPLES)
def test_a_filter_finds_the_same_on_both_engines_and_in_memory(filled, text, ids):
    in_memory = sorted(order.id for order in ORDERS if matches(read(text), order))
    assert in_memory == ids.split()
    for store in filled:
        assert found(store, text) == in_memory


ACCENTED = [
    make_order(
        "\u00c9T\u00c9-1",
        buyer=Buyer(id="b6", name="Maison Lumi\u00e8re \u00d8re"),
        note="\u1f08\u03b8\u1fc6\u03bd\u03b1\u03b9 v\u1ebft",
    ),
    make_order("KANA", buyer=Buyer(id="b7", name="\u30ac\u30fc\u30c7\u30f3"), note="\u043c\u043e\u0439 \u30cf\u309a"),
]
FOLDED = {
    "LUMIERE": "\u00c9T\u00c9-1",
    "lumi\u00e8re": "\u00c9T\u00c9-1",
    "LUMIE\u0300RE": "\u00c9T\u00c9-1",
    "ete-1": "\u00c9T\u00c9-1",
    "buyer:*\u00f8re": "\u00c9T\u00c9-1",
    "buyer:maison*ore": "\u00c9T\u00c9-1",
    "\u03b1\u03b8\u03b7\u03bd\u03b1\u03b9 vet": "\u00c9T\u00c9-1",
    "\u30ac\u30fc\u30c7\u30f3": "KANA",
    "\u30ab\u30fc\u30c6\u30f3": "",
    "\uff76\uff9e\uff70": "KANA",
    "\u043c\u043e\u0439 \u30d1": "KANA",
    "\u043c\u043e\u0438": "",
    "\u30cf": "",
}


@pytest.mark.parametrize(
    ("other", "usual"),
    [
        ("Reference:PO-7*", "ref:PO-7*"),
        ("reference:none", "ref:none"),
        ("Pieces:5", "quantity:5"),
        ("ordered_at:2026", "ordered:2026"),
        ("tags:late", "tag:late"),
        ("\u767a\u6ce8\u756a\u53f7:PO-7*", "ref:PO-7*"),
        ('status:"Please create an OC"', "status:needs-oc"),
        ('status:"please create an oc",REJECTED', "status:needs-oc,rejected"),
        ('status:"Awaiting OC creation","OC_created"', "status:needs-oc,oc-created"),
        ("status:OC\u4f5c\u6210\u5f85\u3061", "status:needs-oc"),
        ("-status:needs-oc", "not status:needs-oc"),
        ("tag:late (-Reference:PO*)", "tag:late (not ref:PO*)"),
        ("-linen", '"-linen"'),
    ],
)
def test_what_screens_and_files_call_a_field_or_a_status_is_understood(other, usual):
    assert read(other).condition == read(usual).condition


def test_no_name_means_two_fields_or_two_statuses():
    for field in FILTER_FIELDS.values():
        names = (field.name, *field.others, *in_every_language(field.label))
        assert {field_named(name) for name in names} == {field}
    for status in Status:
        names = (status, *in_every_language(status.brand_sees), *in_every_language(status.buyer_sees))
        assert {status_named(name) for name in names} == {status}


def test_the_words_of_a_status_from_a_shell_need_no_quotes_of_their_own():
    assert join_words(["status:Please create an OC"]) == 'status:"Please create an OC"'


def test_a_search_takes_accents_off_latin_and_greek_letters_alone(store):
    put_all(store, ACCENTED)
    for text, ids in FOLDED.items():
        assert [order.id for order in ACCENTED if matches(read(text), order)] == ids.split(), text
        assert found(store, text) == ids.split(), text


@given(st.text())
def test_folding_twice_is_folding_once(text):
    assert fold(fold(text)) == fold(text)
    # So that a store that was folded as it once was is folded anew from what it holds.
    assert fold(unicodedata.normalize("NFKC", text).casefold()) == fold(text)


def test_archived_orders_are_left_out_unless_the_filter_speaks_of_them(store):
    put(store, make_order("V1"), make_order("V2"))
    choice = Choice(scope=IdScope(given=IdList(ids=("V1",)), words="ids"))
    at = datetime(2026, 3, 14, tzinfo=UTC)
    store.write(
        lambda connection: apply_change(
            connection, choice, Change(kind=ChangeKind.ARCHIVED), event_id="e", actor="mia", at=at
        )
    )
    assert found(store, "") == ["V2"]
    assert found(store, "id:V1,V2") == ["V2"]
    assert found(store, "archived:yes") == ["V1"]
    assert found(store, EVERYTHING) == ["V1", "V2"]
    assert found(store, "not archived:no") == ["V1"]


def test_rejected_orders_are_found_by_day_and_batch(store):
    put(store, make_order("J1"), make_order("J2"))

    clock = FixedClock(datetime(2026, 3, 10, 12, tzinfo=UTC))
    by = Provenance(account="main", actor="mia", host="desk", program="orderctl", source="test")
    choice = Choice(scope=IdScope(given=IdList(ids=("J1",)), words="ids"))
    plan = prepare_rejection(store, RejectionRequest(choice=choice, by=by), clock=clock, new_id=lambda: "batch-1")
    execute_rejection(store, plan.approve(by="mia", how="test"), clock=clock, message_domain="b.example")
    assert found(store, "rejected:-7d..") == ["J1"]
    assert found(store, "rejected:2026-03-09") == []
    assert found(store, "batch:batch-1") == ["J1"]
    assert found(store, "rejected:none") == ["J2"]


WORDS = ["linen", "po", "77", "straße", "50%", "_", "*", "acme", "none", "\\", '"', "26ss", "雲", "late", "ab-12"]
values = st.lists(st.sampled_from([*WORDS, "a", "B", "-", "1"]), min_size=1, max_size=3).map("".join)
quoted = values.map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
patterns = st.tuples(st.sampled_from(["", "*"]), quoted, st.sampled_from(["", "*"])).map("".join)
days = st.dates(date(2026, 1, 1), date(2026, 12, 31)).map(str) | st.sampled_from(
    ["2026", "2026-02", "-2w", "today", "-1m"]
)
numbers = st.integers(0, 2_000).map(str) | st.sampled_from(["120.50", "0.001", "1000.001", "900"])


def ranges(ends):
    return ends | ends.map(lambda low: f"{low}..") | ends.map(lambda high: f"..{high}")


terms = st.one_of(
    st.sampled_from(sorted(Status)).map(lambda status: f"status:{status}"),
    st.tuples(st.sampled_from(["buyer", "ref", "season", "country", "tag", "sku", "brand", "currency"]), patterns).map(
        ":".join
    ),
    st.sampled_from(
        [f"{name}:{word}" for name, field in FILTER_FIELDS.items() if field.may_be_empty for word in ("none", "any")]
    ),
    st.tuples(st.sampled_from(["ordered", "delivery", "rejected"]), ranges(days)).map(":".join),
    st.tuples(st.just("total"), ranges(numbers)).map(":".join),
    st.integers(0, 50).map(lambda number: f"quantity:{number}.."),
    st.sampled_from(["archived:yes", "archived:no", "id:1001,1005"]),
    patterns,
)
filters = st.recursive(
    terms,
    lambda inner: st.one_of(
        inner.map(lambda text: f"not ({text})"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} or {pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: f"{pair[0]} {pair[1]}"),
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(filters)
def test_generated_filters_over_the_orders(filled, text):
    in_memory = sorted(order.id for order in ORDERS if matches(read(text), order))
    for store in filled:
        assert found(store, text) == in_memory


generated_orders = st.builds(
    make_order,
    buyer=st.none() | st.builds(Buyer, id=st.sampled_from(["g1", "g2"]), name=st.just("Straße 雲 Noé")),
    status=st.sampled_from([status for status in Status if status is not Status.REJECTED]),
    reference=st.sampled_from(["", "PO_77", "po-77", "%"]),
    season=st.sampled_from(["", "26SS", "26ss"]),
    note=values,
    country=st.sampled_from([None, "FR", "fr", "Nowhere"]),
    currency=st.sampled_from(["EUR", "JPY", "KWD"]),
    total=st.integers(-10, 200_000),
    quantity=st.integers(-3, 50),
    ordered_at=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)).map(lambda at: at.replace(tzinfo=UTC)),  # noqa: DTZ001
    delivery_from=st.none() | st.dates(date(2026, 1, 1), date(2026, 12, 31)),
    delivery_to=st.none(),
    tags=st.frozensets(st.sampled_from(["late", "LATE", "vip"])),
)


def test_generated_filters_over_generated_orders(store):
    orders = []

    @settings(max_examples=40, deadline=None, database=None)
    @given(generated_orders)
    def collect(order):
        orders.append(order)

    collect()
    put_all(store, orders)

    @settings(max_examples=60, deadline=None)
    @given(filters)
    def agree(text):
        assert found(store, text) == sorted(order.id for order in orders if matches(read(text), order))

    agree()


WRONG = {
    "staus:needs-oc season:26SS": ("there is no field 'staus'", 1, "did you mean status?"),
    "season:26SS status:need-oc": ("'need-oc' is not a status", 13, "did you mean needs-oc?"),
    "season:26SS status=needs-oc": ("status is compared with a colon, not with =", 13, "for example status:needs-oc"),
    "total>1000": ("total is compared with a colon, not with >", 1, "for example total:1000.."),
    "not country!=FR": ("country is compared with a colon, not with !=", 5, "put it in quotes"),
    "status:": ("status: with no value", 1, "for example status:needs-oc"),
    "status:needs-oc,": ("status: with an empty value", 1, "for example"),
    "ordered:2026-13": ("ordered: '2026-13' is not in the calendar", 1, "write 2026-09-14"),
    "ordered:tomorow": ("'tomorow' is not a date", 1, "-30d"),
    "ordered:2026-02..2026-01": ("ends before it begins", 1, ""),
    "ordered:-99999y": ("outside the calendar", 1, ""),
    "ordered:..": ("at least one end", 1, ""),
    "total:12,5x": ("total: '5x' is not a number", 1, "write 1000"),
    "total:1e5": ("total: '1e5' is not a number", 1, "write 1000"),
    "quantity:1.5": ("not a whole number", 1, ""),
    "total:9..1": ("ends before it begins", 1, ""),
    "archived:maybe": ("archived: is yes or no", 1, ""),
    "id:10*": ("takes whole values", 1, "quotes"),
    'buyer:"Acme': ("a quote that is never closed", 7, "close it"),
    "(status:needs-oc": ("a parenthesis that is never closed", 1, "close it"),
    "status:needs-oc)": ("a parenthesis that was never opened", 16, "take it out"),
    "()": ("a parenthesis with nothing in it", 2, "write a term"),
    "or late": ("'or' with nothing on one side", 1, ""),
    "late or": ("'or' with nothing on one side", 6, ""),
    "late and": ("'and' with nothing on one side", 6, ""),
    "not": ("'not' with nothing after it", 1, ""),
    '""': ("an empty word", 1, ""),
    "li\x1bnen": ("a control character", 3, "take it out"),
    "(" * (MAX_DEPTH + 2): ("nested too deep", MAX_DEPTH + 2, ""),
    "a " * (MAX_TERMS + 1): (f"more than {MAX_TERMS} terms", 2 * MAX_TERMS + 1, "--ids"),
    "ref:" + "a" * 501: ("a value longer than 500 characters", 1, "shorten it"),
}


@pytest.mark.parametrize(
    ("text", "wrong"), WRONG.items(), ids=lambda value: str(value)[:20].encode("unicode_escape").decode()
)
def test_an_error_says_what_points_and_suggests(text, wrong):
    message, column, hint = wrong
    with pytest.raises(FilterError) as caught:
        read(text)
    shown = str(caught.value)
    assert message in shown
    assert f"column {column}: " in shown
    assert hint in caught.value.hint
    assert caught.value.hint
    assert "^" in shown.splitlines()[2]


def test_the_marks_stand_below_the_place():
    with pytest.raises(FilterError) as caught:
        read("雲商店 staus:x")
    _, line_shown, marks = str(caught.value).splitlines()
    assert line_shown == "  雲商店 staus:x"
    assert marks == "  " + " " * 7 + "^^^^^"


def test_what_the_shell_took_away_is_put_back():
    assert join_words(["status:needs-oc", "buyer:Acme Paris"]) == 'status:needs-oc buyer:"Acme Paris"'
    assert join_words(["buyer:Acme P*"]) == 'buyer:"Acme P"*'
    assert join_words(["status:needs-oc country:FR"]) == "status:needs-oc country:FR"
    assert join_words(["buyer:acme country:FR"]) == "buyer:acme country:FR"
    assert join_words(["buyer:acme or late"]) == "buyer:acme or late"
    assert join_words(["late", "or", "tag:vip"]) == "late or tag:vip"


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.text('():"*,.\\ abnotr-1', max_size=40))
def test_any_text_is_read_or_refused_in_a_sentence(text):
    try:
        wanted = read(text)
    except UsageError as error:
        assert error.hint  # noqa: PT017
    else:
        matches(wanted, ORDERS[0])


def test_relative_days_count_from_today():
    (term,) = [read("ordered:-1m").condition]
    assert term.tests[0].first == date(2026, 2, 14)
    assert read("ordered:today").condition.tests[0].last == TODAY
    assert read("ordered:-2w..").condition.tests[0].first == TODAY - timedelta(days=14)
    assert read("ordered:2024-02").condition.tests[0].last == date(2024, 2, 29)
