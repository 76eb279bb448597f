"""The figures of a plan for people: what is hit, what stands out, what is left alone. Warnings are yellow."""

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from orderctl.domain.eligibility import RULE_BY_CODE
from orderctl.domain.impact import Impact, LargestOrder, NamedBuyers, SeasonShare, percent_of, percent_words
from orderctl.domain.order_notes import OrderNotes
from orderctl.domain.rejection import Given, MailPlan, RejectionPlan
from orderctl.domain.text import count_of
from orderctl.terminal.amounts import shown_money
from orderctl.terminal.styles import FAINT, HEADING, plain

WARNING = "yellow"
_SHOWN_GROUPS = 5
_SHOWN_NOTES = 3
_NOTE_WIDTH = 60
_MOST_OF_A_SEASON = 50


def plan_figures(plan: RejectionPlan) -> Table:
    """Labels and values, those that matter most first."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", style=HEADING, no_wrap=True)
    grid.add_column(overflow="fold")
    if plan.targets.count:
        grid.add_row("Total", plain("  ".join(map(shown_money, plan.totals)) or "0"))
        grid.add_row("Buyers", f"{plan.buyers:,}")
        _add_impact(grid, plan.impact)
    for group in plan.skipped:
        reason = RULE_BY_CODE[group.code].reason
        grid.add_row("Skipped", plain(f"{count_of(group.count, 'order')}: {reason}"))
    _add_given(grid, plan.given)
    if plan.targets.count:
        grid.add_row("Reason", plain(plan.reason or "none given", "" if plan.reason else FAINT))
        if plan.notes:
            grid.add_row("Own words", _notes(plan.notes))
        grid.add_row("Mails", _mails(plan.mail, plan.impact.without_address))
    return grid


def _add_impact(grid: Table, impact: Impact) -> None:
    if impact.seasons:
        grid.add_row("Open orders", _seasons(impact))
    for largest in [each for each in impact.largest if each.among_orders > 1][:_SHOWN_GROUPS]:
        grid.add_row("Largest", _largest(largest))
    for label, first, last in (
        ("Ordered", impact.ordered_from and impact.ordered_from.date(), impact.ordered_to and impact.ordered_to.date()),
        ("Delivery", impact.delivery_from, impact.delivery_to),
    ):
        if first and last:
            grid.add_row(label, f"{first}" if first == last else f"{first} to {last}")
    if impact.recently_changed:
        grid.add_row("Edited", Text(f"{count_of(impact.recently_changed, 'order')} within the last hour", WARNING))
    if impact.with_confirmed.count:
        also = "buyer also has" if impact.with_confirmed.count == 1 else "buyers also have"
        words = f"{impact.with_confirmed.count:,} {also} confirmed orders in the same season"
        grid.add_row("Confirmed", plain(f"{words}: {_named(impact.with_confirmed)}", WARNING))


def _seasons(impact: Impact) -> Table:
    """A line for each season and currency: how many of the open orders, and how much of their value."""
    table = Table.grid(padding=(0, 2))
    table.add_column(overflow="fold")
    for _ in range(4):
        table.add_column(justify="right")
    shown = impact.seasons[:_SHOWN_GROUPS]
    for share in shown:
        table.add_row(*_season(share))
    if impact.season_count > len(shown):
        table.add_row(plain(f"… and {impact.season_count - len(shown):,} more", FAINT))
    return table


def _season(share: SeasonShare) -> tuple[Text, ...]:
    percent = percent_of(share.orders, share.open_orders)
    style = WARNING if (percent or 0) >= _MOST_OF_A_SEASON else ""
    value = percent_words(percent_of(share.total, share.open_total), part=share.total)
    return (
        plain(share.season or "no season"),
        plain(share.currency),
        Text(f"{share.orders:,} of {share.open_orders:,}", style),
        Text(percent_words(percent, part=share.orders), style),
        Text(f"{value} of the value" if value else "", style),
    )


def _largest(largest: LargestOrder) -> Text:
    words = f"order {largest.id}, {shown_money(largest.amount)}"
    share = percent_words(largest.percent, part=largest.total)
    if largest.stands_out:
        return plain(f"{words}: 1 of {largest.among_orders:,} is {share} of the value", WARNING)
    return plain(f"{words}, {share} of the value" if share else words)


def _named(buyers: NamedBuyers) -> str:
    more = buyers.count - len(buyers.names)
    return ", ".join(buyers.names) + (f" and {more:,} more" if more else "")


def _add_given(grid: Table, given: Given) -> None:
    """What became of the ids as they were given."""
    if given.excluded_count or given.excluded_elsewhere:
        grid.add_row("Taken out", _taken_out(given))
    if given.duplicates:
        grid.add_row("Duplicates", f"{given.duplicates:,} dropped")
    if given.unknown_count:
        listed = _listed(given.unknown, given.unknown_count)
        grid.add_row("Unknown", plain(f"{given.unknown_count:,}: {listed}", WARNING))


def _taken_out(given: Given) -> Text:
    text = plain(f"{count_of(given.excluded_count, 'order')}: {_listed(given.excluded, given.excluded_count)}")
    if not given.excluded_count:
        text = Text("none")
    if given.excluded_elsewhere:
        number = count_of(given.excluded_elsewhere, "id to take out is", "ids to take out are")
        text.append(f"; {number} not among these orders", style=WARNING)
    return text


def _listed(ids: Iterable[str], count: int) -> str:
    shown = tuple(ids)
    return ", ".join(shown) + (f" and {count - len(shown):,} more" if count > len(shown) else "")


def _notes(notes: OrderNotes) -> Text:
    """How many orders have a reason or a message of their own, and the first ones."""
    counted = [
        f"{count_of(number, 'order')} with a {what} of {'its' if number == 1 else 'their'} own"
        for number, what in ((notes.reasons, "reason"), (notes.messages, "message"))
        if number
    ]
    text = Text(", ".join(counted))
    for note, _ in zip(notes, range(_SHOWN_NOTES), strict=False):
        said = "; ".join(part for part in (note.reason.text, " ".join(note.message.split())) if part)
        line = plain(f"{note.id}: {said}", FAINT)
        line.truncate(_NOTE_WIDTH, overflow="ellipsis")
        text.append("\n")
        text.append_text(line)
    return text


def _mails(mail: MailPlan, silent: NamedBuyers) -> Text:
    if not mail.notify:
        return Text("none: the buyers are not told")
    text = Text(count_of(mail.mails, "mail"))
    if mail.languages:
        listed = ", ".join(f"{language or 'no language'} {number:,}" for language, number in mail.languages)
        text.append_text(plain(f" ({listed})", FAINT))
    if mail.buyers_without_address:
        number = count_of(mail.buyers_without_address, "buyer without an address", "buyers without an address")
        text.append_text(plain(f"; nobody is told for {number}: {_named(silent)}", WARNING))
    if mail.orders_without_buyer:
        number = count_of(mail.orders_without_buyer, "order without a buyer", "orders without a buyer")
        text.append(f"; nobody is told for {number}", style=WARNING)
    return text
