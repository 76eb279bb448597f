"""Everything the program draws, at every width: no id and no time is broken, no amount is cut."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, timedelta
from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType

from orderctl.audit.log import Batch
from orderctl.audit.verdicts import Verdict, VerdictGroup
from orderctl.audit.view import batch_details, batch_table, verdict_table
from orderctl.core.identity import Identity
from orderctl.core.money import Money
from orderctl.delivery.outbox import DeliveryEvent, DeliveryState
from orderctl.mail.outbox import Letter, Mail
from orderctl.mail.view import mail_details, mail_table
from orderctl.orders.eligibility import Mode
from orderctl.orders.orders import OrderEvent, OrderLine, OrderSummary, Status
from orderctl.orders.view import event_table, order_details
from orderctl.plans.plans import SavedPlan
from orderctl.plans.view import changes_report, kept_report, plan_details, plan_table
from orderctl.rejection.impact import Impact, LargestOrder, NamedBuyers, SeasonShare
from orderctl.rejection.plan import (
    LeftOut,
    MailPlan,
    Provenance,
    RejectionPlan,
    RejectionResult,
    Skipped,
    Targets,
)
from orderctl.rejection.preview import plan_preview, result_report
from orderctl.rejection.sample_letters import SampleLetter
from orderctl.search.columns import COLUMNS, columns_of
from orderctl.search.view import order_table
from orderctl.selection.selection import InputSummary
from orderctl.stats.charts import statistics_view
from orderctl.stats.statistics import Breakdown, Dimension, Figure, Question, Statistics, Subject
from orderctl.terminal.amounts import use_zone, when
from orderctl.terminal.console import drawn
from orderctl.terminal.layout import text_table
from support.cli import Cli
from support.factories import ACME, KUMO, NOW, make_order, put_all
from support.stores import open_store
from support.terminal import Terminal

OWN = "0d9k2m4n6p8q1r3s5t7u9v0a2b"
SHORT = OWN[-8:]
LONG = "WEB-2026-0000000123-EXT"
LONGER = "urn:shop:nordlys:order:2026:000000000000000000000000012345"
LONGEST = "x" * 195 + "-1001"
WIDE = "注文-2026-東京-0001"
IDS = ("1001", LONG, LONGER, LONGEST, WIDE)
LARGE = 9_223_372_036_854_775_807
AMOUNTS = ("1,234,567.89", "92,233,720,368,547,758.07")
SKU = "SKU-" + "9" * 20
ADDRESS = "orders.and.invoices.of.the.whole.year@warehouse.kumo.example"
TIME = "2026-03-14 09:26:53"


def order(order_id: str, total: int = 123_456_789, **changes: object) -> OrderSummary:
    fields: dict[str, object] = {
        "id": order_id,
        "buyer_name": "株式会社雲商店ニッポン東京本社",
        "status": Status.RETURNED_TO_CART,
        "reference": "PO-" + "7" * 30,
        "season": "Spring and summer 2026, second delivery",
        "ordered_at": NOW,
        "delivery_from": date(2026, 9, 1),
        "country": "JP",
        "currency": "EUR",
        "total": total,
        "quantity": 12_345_678,
    }
    return OrderSummary(**{**fields, **changes})


ORDERS = (*(order(each) for each in IDS), order("1002", LARGE, currency="USD", buyer_name="Acme Paris"))
CHOSEN = ("buyer", "total", "currency", "ordered", "id", "archived", "season", "quantity")
IN_ORDERS = (*IDS, "1002", *AMOUNTS)
# As most orders are: nothing is long but the name of the buyer.
USUAL = tuple(order(f"1000{n}", 120_050, season="26SS", status=Status.NEEDS_OC, reference="PO-1") for n in range(3))


def plan() -> RejectionPlan:
    return RejectionPlan(
        id=OWN,
        made_at=NOW,
        by=Provenance(account="main", actor="mia", host="pc", program="orderctl", source=f"ids {LONG}"),
        mode=Mode.BULK,
        reason="the fabric of the 注文を拒否します was discontinued",
        given=InputSummary(
            ids=9, duplicates=1, unknown=("nope", LONGER), unknown_count=7, excluded=(LONG,), excluded_count=3
        ),
        targets=Targets('{"1001":1}', 9),
        skipped=(Skipped("already-rejected", 2, f'["{LONG}","{LONGEST}"]'),),
        totals=(Money("EUR", 123_456_789), Money("USD", LARGE)),
        before_credits=(Money("EUR", 123_456_789), Money("USD", LARGE)),
        buyers=2,
        head=ORDERS,
        mail=MailPlan(notify=True, mails=2, languages=(("ja", 1), ("", 1)), buyers_without_address=1),
        impact=Impact(
            seasons=(
                SeasonShare(season="26SS", currency="EUR", orders=9, total=5, open_orders=1_000_000, open_total=10**15),
            ),
            season_count=2,
            largest=(LargestOrder(id=LONGER, currency="USD", total=LARGE, among_orders=9, among_total=LARGE),),
            with_confirmed=NamedBuyers(count=1, names=("雲商店",)),
        ),
    )


def saved() -> SavedPlan:
    return SavedPlan.of(
        plan(), author=Identity(actor="mia", login="ops"), at=NOW, lifetime=timedelta(days=1), second_operator=True
    )


LETTER = Letter(subject="Your orders", text=f"Dear shop,\n{LONGER} was rejected, 1,234,567.89 EUR.\n", html="")


def preview() -> RenderableType:
    letters = (SampleLetter(buyer="雲商店", language="ja", written_in="en", orders=2, letter=LETTER),)
    return plan_preview(plan(), store="/a/store.db", production=True, letters=letters, every=ORDERS)


def mail(number: int, state: DeliveryState) -> Mail:
    return Mail(
        id=f"{OWN}.{number}",
        batch_id=OWN,
        buyer_id="kumo",
        recipient=ADDRESS,
        language="ja",
        message_id=f"<{OWN}@brand.example>",
        state=state,
        attempts=3,
        next_attempt_at=NOW,
        created_at=NOW,
        updated_at=NOW,
        last_error="550 5.1.1 no such mailbox, ask the postmaster of kumo",
        orders=12_345,
        letter=LETTER,
    )


MAILS = (mail(1, DeliveryState.SENT), mail(12_345, DeliveryState.CANCELLED), mail(7, DeliveryState.RETRY))
MAIL_EVENT = DeliveryEvent(
    item_id=f"{OWN}.1",
    id=OWN,
    action="retry",
    from_state=DeliveryState.REFUSED,
    to_state=DeliveryState.RETRY,
    reason="the mailbox is there again",
    actor="mia",
    at=NOW,
)
EVENT = OrderEvent(
    order_id=LONGER,
    id=OWN,
    batch_id=OWN,
    kind="rejected",
    from_status="oc-created",
    to_status="rejected",
    detail="the fabric was discontinued",
    actor="mia (db: operations)",
    at=NOW,
)
BATCH = Batch(
    id=OWN,
    position=1_234_567,
    at=NOW,
    actor="mia (db: operations)",
    approver="",
    host="pc",
    program="orderctl",
    mode="bulk",
    source=f"ids {LONGER}",
    reason="the fabric of the style was discontinued",
    message="",
    mail_per_order=False,
    planned=2_345_678,
    rejected=2_345_678,
    skipped=0,
    mails=1_345_678,
    digest="d" * 64,
    leaves="",
    previous="",
)


def detailed() -> RenderableType:
    lines = [
        OrderLine(
            number=1, sku="SKU-" + "9" * 20, name="亜麻のシャツ" * 5, quantity=9_999_999, unit_price=LARGE // 10**7
        )
    ]
    whole = make_order(LONGER, buyer=KUMO, lines=tuple(lines), total=LARGE, status=Status.REJECTED, batch_id=OWN)
    return order_details(whole, [EVENT])


def figures() -> RenderableType:
    def figure(*labels: str, amount: int = 123_456_789, groups: int = 1) -> Figure:
        return Figure(
            labels=labels, currency="EUR", orders=1_234_567, quantity=12_345_678, amount=amount, groups=groups
        )

    by_buyer = Question(by=(Dimension.SEASON, Dimension.BUYER))
    return Group(
        statistics_view(
            Statistics(
                subject=Subject.ORDERS,
                totals=(figure(amount=LARGE),),
                breakdowns=(
                    Breakdown(question=Question(by=(Dimension.STATUS,)), figures=(figure("needs-oc"), figure("x"))),
                    Breakdown(
                        question=by_buyer,
                        figures=(figure("26SS", "株式会社雲商店ニッポン東京本社", amount=LARGE), figure("", "")),
                        rest=(figure(amount=-LARGE, groups=9),),
                    ),
                ),
                rejected=3,
            )
        )
    )


def changed() -> Sequence[LeftOut]:
    return [
        LeftOut(id=each, planned_version=1, version=None, status=None, batch_id=None)
        for each in (LONG, LONGER, LONGEST)
    ]


def result() -> RejectionResult:
    return RejectionResult(
        plan=plan(), batch_id=OWN, rejected=9, totals=plan().totals, mails=2, left_out=tuple(changed())
    )


FILTERS = [("nightly", f"id:{LONG} status:needs-oc,oc-created buyer:雲商店", "mia", "2026-03-14 09:26")]
GROUPS = [VerdictGroup("skipped", "invoiced", 7, (LONG, LONGER)), VerdictGroup("unknown", "", 1, ("nope",))]
VERDICTS = [
    Verdict(LONG, "rejected", "", "selection late: ids from /home/mia/late.csv", 1_234_567),
    Verdict(LONGER, "skipped", "invoiced", f"filter [id:{LONG}]"),
    Verdict(WIDE, "not-asked"),
]
VIEWS: dict[str, tuple[Callable[[], RenderableType], Sequence[str]]] = {
    "orders": (lambda: order_table(ORDERS), IN_ORDERS),
    "usual orders": (lambda: order_table(USUAL), ("10000", "10001", "10002", "1,200.50  EUR", "株式会")),
    "chosen columns": (
        lambda: order_table(ORDERS[-3:], columns=columns_of(CHOSEN)),
        (*IDS[-2:], "1002", *AMOUNTS, "2026-03-14", "12,345,678"),
    ),
    "every column": (
        lambda: order_table(ORDERS[-3:], columns=columns_of(tuple(COLUMNS))),
        (*IDS[-2:], "1002", *AMOUNTS, "2026-03-14", "2026-09-01", "12,345,678"),
    ),
    "preview": (
        preview,
        (*IN_ORDERS, "nope", "1,234,567.89 EUR", "92,233,720,368,547,758.07 USD", "1,000,000", "雲商店"),
    ),
    "result": (lambda: result_report(result()), (OWN, LONG, LONGER, LONGEST, f"{AMOUNTS[1]} USD")),
    "mails": (lambda: mail_table(MAILS), (*(each.id for each in MAILS), "sent", "cancelled", "orders.and")),
    "mail": (
        lambda: mail_details(MAILS[1], LETTER, [LONG, LONGER], [MAIL_EVENT]),
        (MAILS[1].id, OWN, LONG, LONGER, TIME, "1,234,567.89 EUR"),
    ),
    "log": (lambda: batch_table([BATCH]), (OWN, TIME[:-3], "2,345,678", "1,345,678")),
    "log of an order": (lambda: event_table([EVENT]), (OWN, TIME)),
    "batch": (lambda: batch_details(BATCH, [EVENT], GROUPS), (OWN, LONGER, TIME, "d" * 64, "1,234,567", LONG)),
    "verdicts": (lambda: verdict_table(VERDICTS), (LONG, LONGER)),
    "plans": (lambda: plan_table([saved()], NOW), (SHORT, "9", "1,234,567.89 EUR", f"{AMOUNTS[1]} USD")),
    "plan": (
        lambda: plan_details(saved(), Mode.BULK, order_table(USUAL), NOW, needs=""),
        (OWN, saved().plan_digest, "2026-03-14 09:26"),
    ),
    "kept": (lambda: kept_report(saved(), NOW), (SHORT, "1,234,567.89 EUR", f"{AMOUNTS[1]} USD")),
    "changes": (lambda: changes_report(plan(), changed()), (LONG, LONGER, LONGEST)),
    "filters": (lambda: text_table(("Name", "Filter", "Saved by", when()), FILTERS), (LONG, "2026-03-14 09:26")),
    "order": (detailed, (LONGER, OWN, TIME, SKU, "9,999,999", f"{AMOUNTS[1]} EUR", "9,223,372,036.85")),
    "figures": (figures, (*AMOUNTS, "-" + AMOUNTS[1], "1,234,567", f"{AMOUNTS[1]} EUR", "needs-oc")),
}
# French amounts have a narrow no-break space, at which Rich breaks, and a decimal comma.
AS_ENGLISH = str.maketrans("\u202f.", ",,")
LONG_ONES = (LONGER, LONGEST, ADDRESS, MAILS[0].message_id, "d" * 64, saved().plan_digest)


def draw(view: RenderableType, width: int) -> list[str]:
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system=None, highlight=False)
    return drawn(console, view).splitlines()


@pytest.mark.parametrize(
    ("locale", "widths"), [("en_GB", range(40, 201)), ("ja_JP", range(40, 201, 3)), ("fr_FR", range(40, 61))]
)
@pytest.mark.parametrize("name", VIEWS)
def test_at_every_width_ids_times_and_amounts_are_whole_and_no_line_is_too_long(monkeypatch, name, locale, widths):
    monkeypatch.setenv("LC_ALL", f"{locale}.UTF-8")
    use_zone(UTC)
    make, whole = VIEWS[name]
    view = make()
    wanted = [words.translate(AS_ENGLISH) for words in whole]
    for width in widths:
        lines = draw(view, width)
        text = "\n".join(lines).translate(AS_ENGLISH)
        assert [each for each in wanted if each not in text] == [], f"{width}\n{text}"
        longer = [line for line in lines if cell_len(line.rstrip()) > width]
        longer = [line for line in longer if not any(each in line for each in LONG_ONES)]
        assert longer == [], f"{width}\n{text}"


def test_at_forty_columns_of_a_real_terminal(sqlite_url, tmp_path):
    with open_store(sqlite_url) as store:
        put_all(
            store,
            [make_order(LONG, buyer=KUMO, total=123_456_789), make_order(WIDE, buyer=ACME, total=999_999_999_999_999)],
        )
    cli = Cli(sqlite_url, tmp_path / "home")
    with Terminal(cli, "reject", "--all", columns=40, rows=60) as terminal:
        terminal.wait_for("Type yes:")
        preview = terminal.lines
        terminal.type("yes\r")
        assert terminal.end() == 0
    with Terminal(cli, "search", "status:rejected", columns=40, rows=30) as terminal:
        assert terminal.end() == 0
        found = terminal.lines
    for lines in (preview, found):
        # A terminal that is made as wide characters need gives a blank beside each.
        rows = [" ".join(line.split()) for line in lines]
        assert [row for row in rows if row.startswith(f"{LONG} ")] != []
        assert "1,234,567.89 EUR" in rows
        assert "9,999,999,999,999.99 EUR" in rows
        assert [line for line in lines if "注" in line and "0001" in line] != []
