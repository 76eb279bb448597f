"""The preview of a plan and the report of a rejection, for people (design.md, section 6, steps 3 and 7)."""

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from orderctl.domain.money import Money
from orderctl.domain.outbox import DeliveryReport
from orderctl.domain.rejection import LeftOut, RejectionPlan, RejectionResult
from orderctl.domain.sample_letters import SampleLetter
from orderctl.domain.text import count_of
from orderctl.terminal.amounts import shown_money
from orderctl.terminal.letters import letter_samples
from orderctl.terminal.plan_figures import plan_figures
from orderctl.terminal.styles import DANGER, FAINT, HEADING, plain
from orderctl.terminal.tables import order_table

SHOWN_ORDERS = 15
_SHOWN_LEFT_OUT = 20


def plan_preview(
    plan: RejectionPlan, *, store: str, production: bool, letters: Sequence[SampleLetter], width: int
) -> RenderableType:
    """Everything that a person should see before saying yes; made of the plan and nothing else."""
    parts: list[RenderableType] = [_where(plan, store, production=production)]
    if plan.targets.count:
        head = plan.head[:SHOWN_ORDERS]
        parts.append(Padding(order_table(head, width=width - 2), (1, 0, 0, 2)))
        if plan.targets.count > len(head):
            parts.append(plain(f"  … and {plan.targets.count - len(head):,} more", FAINT))
    parts.append(Padding(plan_figures(plan), (1, 0, 0, 0)))
    if letters:
        parts.append(Padding(letter_samples(letters), (1, 0, 0, 0)))
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


def _amounts(totals: Iterable[Money]) -> Text:
    return plain("  ".join(map(shown_money, totals)) or "0")


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


def delivery_figures(delivery: DeliveryReport) -> Text:
    """How many mails went which way."""
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
    return Text(", ".join(parts), style="" if delivery.complete else "yellow")


def delivery_report(delivery: DeliveryReport) -> Text:
    """How the mails went, and where to look further."""
    text = delivery_figures(delivery)
    if delivery.stopped:
        text.append_text(plain(f"; stopped: {delivery.stopped}"))
    if not delivery.complete:
        text.append("; see: orderctl mail list")
    return text
