"""The preview of a plan and the report of a rejection, for people (design.md, section 6, steps 3 and 7)."""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from orderctl.domain.eligibility import RULE_BY_CODE
from orderctl.domain.money import Money
from orderctl.domain.orders import OrderSummary
from orderctl.domain.outbox import DeliveryReport, PutOff
from orderctl.domain.rejection import LeftOut, RejectionPlan, RejectionResult, Skipped
from orderctl.domain.sample_letters import SampleLetter
from orderctl.domain.selection import source_in_words
from orderctl.language import later, say, say_count
from orderctl.terminal.amounts import shown_money
from orderctl.terminal.details import text_table
from orderctl.terminal.layout import RuledTable
from orderctl.terminal.letters import letter_samples
from orderctl.terminal.moments import full_moment
from orderctl.terminal.plan_figures import plan_figures
from orderctl.terminal.styles import DANGER, FAINT, HEADING, filled, plain
from orderctl.terminal.tables import order_table

SHOWN_ORDERS = 15
_SHOWN_LEFT_OUT = 20


def plan_preview(
    plan: RejectionPlan,
    *,
    store: str,
    production: bool,
    letters: Sequence[SampleLetter],
    ask_about_mails: bool = False,
    every: Sequence[OrderSummary] | None = None,
) -> RenderableType:
    """Everything that a person should see before saying yes, made of the plan; in full with `every` order of it."""
    parts: list[RenderableType] = [_where(plan, store, production=production)]
    if plan.targets.count:
        head = plan.head[:SHOWN_ORDERS] if every is None else every
        parts += [Text(), order_table(head, indent=2)]
        if every is None and plan.targets.count > len(head):
            more = say("… and {more:,} more; --full shows all", more=plan.targets.count - len(head))
            parts.append(plain(f"  {more}", FAINT))
    if every is not None and plan.skipped:
        parts += [Text(), _skipped(plan.skipped)]
    parts += [Text(), plan_figures(plan, ask_about_mails=ask_about_mails)]
    if letters:
        parts += [Text(), letter_samples(letters)]
    if plan.targets.count:
        parts += [Text(), plain(say("This cannot be undone."), DANGER)]
    return Group(*parts)


def _where(plan: RejectionPlan, store: str, *, production: bool) -> Text:
    place = plain(store)
    if production:
        place.append(" ")
        place.append(" " + say("PRODUCTION") + " ", style="bold white on red")
    return filled(
        say("Reject {orders} in {store} {whose}"),
        HEADING,
        orders=say_count("{number:,} order", "{number:,} orders", plan.targets.count),
        store=place,
        whose=plain(
            say("(account {account}), from {source}", account=plan.by.account, source=source_in_words(plan.by.source)),
            FAINT,
        ),
    )


def _skipped(groups: Iterable[Skipped]) -> RuledTable:
    """Every order that is left alone, with the reason."""
    told = ((order_id, say(RULE_BY_CODE[group.code].reason)) for group in groups for order_id in group)
    return text_table((later("Skipped"), later("Why")), told, indent=2)


def _more(number: int) -> Text:
    return plain("  " + say("… and {more:,} more", more=number), FAINT)


def _amounts(totals: Iterable[Money]) -> Text:
    return plain("  ".join(map(shown_money, totals)) or "0")


def result_report(result: RejectionResult, delivery: DeliveryReport | None, *, notify: bool) -> RenderableType:
    """What came of it, for people."""
    if result.batch_id is None:
        return plain(say("Nothing to reject."))
    parts: list[RenderableType] = [
        filled(
            say("{done} ({amounts}) as batch {batch}"),
            done=plain(say_count("Rejected {number:,} order", "Rejected {number:,} orders", result.rejected), HEADING),
            amounts=_amounts(result.totals),
            batch=Text(result.batch_id, "cyan"),
        )
    ]
    if result.left_out:
        parts += _left_out(result.left_out)
    if notify and delivery is None:
        waiting = say_count(
            "{number:,} mail waiting; send with: orderctl mail send",
            "{number:,} mails waiting; send with: orderctl mail send",
            result.mails,
        )
        parts.append(plain(waiting))
    elif delivery is not None:
        parts.append(delivery_report(delivery))
    return Group(*parts)


def _left_out(left_out: Sequence[LeftOut]) -> Iterator[Text]:
    """The orders that changed between plan and execution."""
    head = say_count(
        "Left out {number:,} order that changed meanwhile:",
        "Left out {number:,} orders that changed meanwhile:",
        len(left_out),
    )
    yield plain(head, "yellow")
    yield from (plain(f"  {left_out_words(left)}") for left in left_out[:_SHOWN_LEFT_OUT])
    if len(left_out) > _SHOWN_LEFT_OUT:
        yield _more(len(left_out) - _SHOWN_LEFT_OUT)


def left_out_words(left: LeftOut) -> str:
    """Why a planned order was left out."""
    if left.status is None:
        return say("{id}: is gone", id=left.id)
    if left.batch_id:
        return say("{id}: rejected meanwhile by batch {batch}", id=left.id, batch=left.batch_id)
    if left.changes:
        return f"{left.id}: {'; '.join(map(str, left.changes))}"
    return say("{id}: was changed meanwhile and is {status} now", id=left.id, status=left.status)


def delivery_figures(delivery: DeliveryReport) -> Text:
    """How many mails went which way."""
    parts = [say_count("{number:,} mail sent", "{number:,} mails sent", delivery.sent)]
    if delivery.retry:
        parts.append(say("{number:,} to try again later", number=delivery.retry))
    if delivery.refused:
        parts.append(say("{number:,} refused for good", number=delivery.refused))
    if delivery.unknown:
        parts.append(say("{number:,} of unknown fate", number=delivery.unknown))
    return plain(", ".join(parts), "" if delivery.complete else "yellow")


def delivery_report(delivery: DeliveryReport) -> Text:
    """How the mails went, and where to look further."""
    text = delivery_figures(delivery)
    if delivery.stopped:
        text.append_text(plain(say("; stopped: {problem}", problem=delivery.stopped)))
    if delivery.put_off:
        text.append_text(plain(f"; {_put_off(delivery.put_off)}"))
    if not delivery.complete:
        text.append(say("; see: orderctl mail list"))
    return text


def _put_off(waiting: PutOff) -> str:
    """How many mails wait, and until when."""
    first, last = full_moment(waiting.first), full_moment(waiting.last)
    if first == last:
        return say_count(
            "{number:,} mail waits until {first}", "{number:,} mails wait until {first}", waiting.mails, first=first
        )
    return say("{number:,} mails wait, due from {first} to {last}", number=waiting.mails, first=first, last=last)
