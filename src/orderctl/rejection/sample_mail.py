"""Sends one sample letter to a test address. No mail of the outbox is touched."""

from dataclasses import fields, replace

from orderctl.core.money import add_up
from orderctl.database.endings import BATCHES_LISTED, find_batch
from orderctl.database.store import Store
from orderctl.delivery.outbox import DeliveryState
from orderctl.delivery.service import Sending
from orderctl.errors import OrderctlError, UsageError
from orderctl.language import _
from orderctl.mail.letter_context import queued_letters
from orderctl.mail.outbox import Letter, LetterContext, Mail
from orderctl.mail.service import MailKind
from orderctl.orders.orders import OrderSummary
from orderctl.orders.samples import sample_orders
from orderctl.rejection.sample_letters import sample_letters_of
from orderctl.rejection.service import RejectionRequest, prepare_rejection

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
