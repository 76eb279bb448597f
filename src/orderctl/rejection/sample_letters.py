"""Sample letters: for the preview of a plan, one for each language, and one that is sent to a test address."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from orderctl.core.money import add_up
from orderctl.database.connection import Connection, Fragment
from orderctl.database.store import Store
from orderctl.delivery.endings import BATCHES_LISTED, find_batch
from orderctl.delivery.outbox import DeliveryState
from orderctl.delivery.service import Sending
from orderctl.errors import OrderctlError, UsageError
from orderctl.filters.queries import summaries_sql
from orderctl.language import _
from orderctl.mail.outbox import Letter, LetterContext, Mail
from orderctl.mail.queries import letter_context, queued_letters
from orderctl.mail.service import MailKind
from orderctl.mail.transports import Mailing
from orderctl.mail.wording import Wording
from orderctl.orders.orders import OrderSummary, listed_addresses
from orderctl.orders.queries import BUYER, read_buyer, read_summary
from orderctl.orders.samples import sample_orders
from orderctl.rejection.plan import RejectionPlan
from orderctl.rejection.service import RejectionRequest, prepare_rejection
from orderctl.selection.notes import words_of

if TYPE_CHECKING:
    from orderctl.mail.letters import Composer


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleLetter:
    """The letter that one buyer of a plan would get.

    `language` is the buyer's, `written_in` that of the templates; `mark` is `longest`, `shortest` or empty.
    `message_in` is the language of the operator's message in it: empty for the one for all, None if it has none.
    `copies` are the addresses that get it too, by the buyer and by the settings.
    """

    buyer: str
    language: str
    written_in: str
    orders: int
    letter: Letter
    mark: str = ""
    message_in: str | None = None
    copies: tuple[str, ...] = ()


def mark_extremes(letters: Iterable[SampleLetter]) -> tuple[SampleLetter, ...]:
    """Mark the longest and the shortest letter, unless all have the same length."""
    listed = list(letters)
    sizes = [len(each.letter.text) for each in listed]
    if len(set(sizes)) > 1:
        for mark, size in (("longest", max(sizes)), ("shortest", min(sizes))):
            place = sizes.index(size)
            listed[place] = replace(listed[place], mark=mark)
    return tuple(listed)


def compose_samples(store: Store, mailing: Mailing, plan: RejectionPlan) -> tuple[SampleLetter, ...]:
    """One letter for each language of the plan. Raises UsageError if a template is missing or broken."""
    if not plan.mail.mails:
        return ()
    with store.snapshot() as connection:
        found = sample_letters_of(connection, plan)
    composer, copies = mailing.composer(), mailing.copies
    return mark_extremes(_sample(composer, _with_words(facts, plan), copies) for facts in found)


def _with_words(facts: LetterContext, plan: RejectionPlan) -> LetterContext:
    ids = {order.id for order in facts.orders}
    messages = {note.id: note.message for note in plan.notes if note.id in ids} if plan.notes.messages else {}
    return replace(
        facts,
        message=plan.mail.message,
        reason=words_of(plan.reason, plan.reason_code),
        notes=tuple((order_id, message) for order_id, message in messages.items() if message),
    )


def _sample(composer: "Composer", facts: LetterContext, copies: Iterable[str]) -> SampleLetter:
    written_in = composer.language_of(facts.language)
    return SampleLetter(
        buyer=facts.buyer.name,
        language=facts.language,
        written_in=written_in,
        orders=len(facts.orders),
        letter=composer.compose(facts),
        message_in=Wording.read(facts.message).tag_for(facts.language, written_in),
        copies=tuple(dict.fromkeys((*copies, *listed_addresses(facts.buyer.cc), *listed_addresses(facts.buyer.bcc)))),
    )


_LONG_LETTER = 200
_MOST_SAMPLES = 50


def _sampled(connection: Connection, buyer_id: str, order_ids: Sequence[str]) -> LetterContext | None:
    """The content of a letter to one buyer about these orders; None if the buyer is gone."""
    row = connection.execute(f"{BUYER} AND id = :buyer", {"buyer": buyer_id}).fetchone()
    if row is None:
        return None
    dialect = connection.dialect
    orders = Fragment(f"id IN ({dialect.ids('sampled')})", {"sampled": dialect.bind_ids(order_ids)})
    found = connection.execute(summaries_sql(orders.sql, "id"), orders.params)
    return letter_context(read_buyer(row), tuple(map(read_summary, found)), brand=_brand(connection, orders))


def sample_letters_of(connection: Connection, plan: RejectionPlan) -> tuple[LetterContext, ...]:
    """The content of one mail for each language of the plan: to the buyer with the most orders.

    A buyer whose letter would be very long is chosen only if there is no other.
    """
    dialect = connection.dialect
    planned = f"id IN (SELECT key FROM ({dialect.pairs('targets')}) AS target)"
    order_ids: dict[str, list[str]] = {}
    for buyer_id, order_id in connection.execute(
        # CROSS JOIN: SQLite must look up each target, and not scan the index of the buyers.
        f"WITH hit AS MATERIALIZED (SELECT o.buyer_id, count(*) AS orders FROM ({dialect.pairs('targets')}) AS target"
        " CROSS JOIN orders AS o WHERE o.account = :account AND o.id = target.key GROUP BY o.buyer_id),"
        " placed AS (SELECT hit.buyer_id, row_number() OVER (PARTITION BY coalesce(buyer.language, '')"
        " ORDER BY CASE WHEN orders > :long THEN orders ELSE -orders END, hit.buyer_id) AS place"
        " FROM hit JOIN buyer ON buyer.account = :account AND buyer.id = hit.buyer_id"
        " WHERE buyer.email IS NOT NULL)"
        " SELECT buyer_id, id FROM orders WHERE account = :account AND buyer_id IN"
        f" (SELECT buyer_id FROM placed WHERE place = 1 ORDER BY buyer_id LIMIT :most) AND {planned}"
        " ORDER BY buyer_id, id",
        {"targets": plan.targets.packed, "long": _LONG_LETTER, "most": _MOST_SAMPLES},
    ):
        order_ids.setdefault(buyer_id, []).append(order_id)
    sampled = (
        _sampled(connection, buyer_id, ids[: 1 if plan.mail.per_order else None]) for buyer_id, ids in order_ids.items()
    )
    return tuple(sorted((facts for facts in sampled if facts), key=lambda facts: (facts.language, facts.buyer.id)))


def _brand(connection: Connection, orders: Fragment) -> str:
    """The brand of the orders; empty if they have several."""
    found = connection.execute(
        f"SELECT DISTINCT brand FROM orders WHERE account = :account AND {orders.sql} LIMIT 2", orders.params
    ).fetchall()
    return str(found[0][0]) if len(found) == 1 else ""


MARK = "[Sample]"


def send_sample(sending: Sending[MailKind], facts: LetterContext, to: str, *, domain: str) -> Letter:
    """Send the letter to an address instead of its buyer; returns it as sent. Raises OrderctlError."""
    composed = sending.kind.composer.compose(facts)
    letter = replace(composed, subject=f"{MARK} {composed.subject}")
    mail_id, now = sending.new_token(), sending.clock.now()
    mail = Mail(
        id=mail_id,
        batch_id="",
        buyer_id=facts.buyer.id,
        recipient=to,
        language=facts.language,
        message_id=f"<orderctl.sample.{mail_id}@{domain}>",
        state=DeliveryState.SENDING,
        attempts=1,
        next_attempt_at=now,
        created_at=now,
        updated_at=now,
        last_error="",
        orders=len(facts.orders),
    )
    with sending.kind.sender() as mailer:
        mailer.connect()
        outcome = mailer.send(mail, mailer.write(mail, letter), lambda: True)
    if outcome is None or outcome.state is not DeliveryState.SENT:
        said = outcome.detail if outcome else _("it was not taken")
        raise OrderctlError(
            _("the sample was not sent: {said}", said=said), hint=_("orderctl config check looks at the settings")
        )
    return letter


def facts_of_batch(store: Store, batch_id: str) -> LetterContext:
    """The content of the first mail of a batch. Raises UsageError if it has none."""
    with store.snapshot() as connection:
        first = f"{find_batch(connection, batch_id)}.1"
        facts = queued_letters(connection, [first]).get(first)
    if facts is None:
        raise UsageError(_("there are no mails of a batch {batch_id!r}", batch_id=batch_id), hint=_(BATCHES_LISTED))
    return facts


def facts_of_request(store: Store, request: RejectionRequest, sending: Sending[MailKind]) -> LetterContext:
    """The content of the first mail that a rejection would send. Raises UsageError if there would be none."""
    plan = prepare_rejection(store, replace(request, notify=True), clock=sending.clock, new_id=sending.new_token)
    with store.snapshot() as connection:
        found = sample_letters_of(connection, plan)
    if not found:
        raise UsageError(
            _("no buyer would be told of these orders"),
            hint=_("choose orders that can be rejected, of buyers with an address"),
        )
    return found[0]


def invented_facts(language: str) -> LetterContext:
    """The content of a letter about an invented order."""
    order = next(sample_orders(1))
    assert order.buyer is not None  # noqa: S101 - for the type checker: sample orders have buyers
    same = [each.name for each in fields(OrderSummary) if hasattr(order, each.name)]
    summary = OrderSummary(buyer_name=order.buyer.name, **{name: getattr(order, name) for name in same})
    return LetterContext(
        buyer=order.buyer,
        orders=(summary,),
        totals=add_up([order.amount]),
        message="",
        reason="",
        brand=order.brand,
        language=language,
    )
