"""The preview of a plan and the report of a rejection, for people (design.md, section 6, steps 3 and 7)."""

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from orderctl.domain.eligibility import RULE_BY_CODE
from orderctl.domain.money import Money
from orderctl.domain.outbox import DeliveryReport, Letter
from orderctl.domain.rejection import LeftOut, MailPlan, RejectionPlan, RejectionResult
from orderctl.domain.text import count_of
from orderctl.terminal.styles import DANGER, FAINT, HEADING, letter_text, plain
from orderctl.terminal.tables import order_table

SHOWN_ORDERS = 15
_SHOWN_LEFT_OUT = 20


def plan_preview(
    plan: RejectionPlan, *, store: str, production: bool, letter: Letter | None, width: int
) -> RenderableType:
    """Everything that a person should see before saying yes; made of the plan and nothing else."""
    parts: list[RenderableType] = [_where(plan, store, production=production)]
    if plan.targets.count:
        head = plan.head[:SHOWN_ORDERS]
        parts.append(Padding(order_table(head, width=width - 2), (1, 0, 0, 2)))
        if plan.targets.count > len(head):
            parts.append(plain(f"  … and {plan.targets.count - len(head):,} more", FAINT))
    parts.append(Padding(_figures(plan), (1, 0, 0, 0)))
    if letter is not None:
        parts.append(Padding(_sample(letter), (1, 0, 0, 0)))
    if plan.targets.count:
        parts.append(Text("\nThis cannot be undone.", style=DANGER))
    return Group(*parts)


def _where(plan: RejectionPlan, store: str, *, production: bool) -> Text:
    text = Text("Reject ", style=HEADING)
    text.append(count_of(plan.targets.count, "order"))
    text.append(" in ")
    text.append_text(plain(store))
    if production:
        text.append(" ")
        text.append(" PRODUCTION ", style="bold white on red")
    text.append_text(plain(f" (account {plan.by.account}), from {plan.by.source}", FAINT))
    return text


def _figures(plan: RejectionPlan) -> Table:
    """Labels and values: totals, buyers, skipped by reason, mails."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", style=HEADING, no_wrap=True)
    grid.add_column()
    if plan.targets.count:
        grid.add_row("Total", _amounts(plan.totals))
        grid.add_row("Buyers", f"{plan.buyers:,}")
    for group in plan.skipped:
        reason = RULE_BY_CODE[group.code].reason
        grid.add_row("Skipped", plain(f"{count_of(group.count, 'order')}: {reason}"))
    if plan.given.duplicates:
        grid.add_row("Duplicates", f"{plan.given.duplicates:,} dropped")
    if plan.given.unknown_count:
        more = plan.given.unknown_count - len(plan.given.unknown)
        listed = ", ".join(plan.given.unknown) + (f" and {more:,} more" if more else "")
        grid.add_row("Unknown", plain(f"{plan.given.unknown_count:,}: {listed}", "yellow"))
    if plan.targets.count:
        grid.add_row("Reason", plain(plan.reason or "none given", "" if plan.reason else FAINT))
        grid.add_row("Mails", _mails(plan.mail))
    return grid


def _mails(mail: MailPlan) -> Text:
    if not mail.notify:
        return Text("none: the buyers are not told")
    text = Text(count_of(mail.mails, "mail"))
    if mail.languages:
        listed = ", ".join(f"{language or 'no language'} {number:,}" for language, number in mail.languages)
        text.append_text(plain(f" ({listed})", FAINT))
    silent = [
        (mail.buyers_without_address, "buyer without an address", "buyers without an address"),
        (mail.orders_without_buyer, "order without a buyer", "orders without a buyer"),
    ]
    for number, one, many in silent:
        if number:
            text.append(f"; nobody is told for {count_of(number, one, many)}", style="yellow")
    return text


def _sample(letter: Letter) -> Panel:
    return Panel(letter_text(letter), title="A sample of the mails", title_align="left", border_style=FAINT)


def _amounts(totals: Iterable[Money]) -> Text:
    return plain("  ".join(str(money) for money in totals) or "0")


def result_report(result: RejectionResult, delivery: DeliveryReport | None, *, notify: bool) -> RenderableType:
    """What came of it, for people."""
    if result.batch_id is None:
        return Text("Nothing to reject.")
    parts: list[RenderableType] = [
        Text.assemble(
            ("Rejected ", HEADING),
            (count_of(result.rejected, "order"), HEADING),
            " (",
            _amounts(result.totals),
            ") as batch ",
            (result.batch_id, "cyan"),
        )
    ]
    if result.left_out:
        parts.append(
            Text(f"Left out {count_of(len(result.left_out), 'order')} that changed meanwhile:", style="yellow")
        )
        parts += [plain(f"  {left_out_words(left)}") for left in result.left_out[:_SHOWN_LEFT_OUT]]
        if len(result.left_out) > _SHOWN_LEFT_OUT:
            parts.append(plain(f"  … and {len(result.left_out) - _SHOWN_LEFT_OUT:,} more", FAINT))
    if notify and delivery is None:
        parts.append(Text(f"{count_of(result.mails, 'mail')} waiting; send with: orderctl mail send"))
    elif delivery is not None:
        parts.append(delivery_report(delivery))
    return Group(*parts)


def left_out_words(left: LeftOut) -> str:
    """Why a planned order was left out."""
    if left.status is None:
        return f"{left.id}: is gone"
    if left.batch_id:
        return f"{left.id}: rejected meanwhile by batch {left.batch_id}"
    if left.changes:
        return f"{left.id}: {'; '.join(map(str, left.changes))}"
    return f"{left.id}: was changed meanwhile and is {left.status} now"


def delivery_report(delivery: DeliveryReport) -> Text:
    """How the mails went."""
    parts = [f"{count_of(delivery.sent, 'mail')} sent"]
    parts += [
        f"{number:,} {word}"
        for number, word in (
            (delivery.retry, "to try again later"),
            (delivery.refused, "refused for good"),
            (delivery.unknown, "of unknown fate"),
        )
        if number
    ]
    text = Text(", ".join(parts), style="" if delivery.complete else "yellow")
    if delivery.stopped:
        text.append_text(plain(f"; stopped: {delivery.stopped}"))
    if not delivery.complete:
        text.append("; see: orderctl mail list")
    return text
