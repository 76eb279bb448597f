"""The figures of a plan for people: totals, shares, largest orders, skipped orders, mails. Warnings are yellow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from rich.text import Text

from orderctl.core.money import Money
from orderctl.core.times import duration_words
from orderctl.language import _, ngettext
from orderctl.mail.wording import Wording, language_name, plain_tag
from orderctl.orders.eligibility import RULE_BY_CODE
from orderctl.rejection.impact import Impact, LargestOrder, NamedBuyers, SeasonShare, percent_of, percent_words
from orderctl.rejection.plan import MailPlan, RejectionPlan, Skipped, SystemOrders
from orderctl.selection.notes import OrderNotes
from orderctl.selection.selection import InputSummary, ids_by_origin, source_in_words
from orderctl.terminal.amounts import shown_money
from orderctl.terminal.layout import Facts, RuledTable, TableColumn, days_words, listed_words
from orderctl.terminal.styles import FAINT, Sentence, plain

if TYPE_CHECKING:
    from orderctl.rejection.sample_letters import SampleLetter

WARNING = "yellow"
_SHOWN_GROUPS = 5
_SHOWN_SKIPPED = 5
_SHOWN_NOTES = 3
_SHOWN_ORIGINS = 10
_SHOWN_IDS = 20
_NOTE_WIDTH = 60
_MOST_OF_A_SEASON = 50


def plan_figures(
    plan: RejectionPlan, now: datetime, letters: Sequence[SampleLetter] = (), *, ask_about_mails: bool = False
) -> Facts:
    """Labels and values, most important first. `ask_about_mails`: the operator will be asked whether to mail.

    `letters` has one for each language of the buyers: they say in which languages the mails are written.
    """
    grid = Facts(right=True)
    if plan.targets.count:
        grid.add(_("Total"), _totals(plan.totals))
        if more := [total for total in plan.before_credits if total not in plan.totals]:
            grid.add(_("Before credits"), _totals(more, WARNING))
        grid.add(_("Buyers"), f"{plan.buyers:,}")
        _add_impact(grid, plan.impact)
        _add_freshness(grid, plan, now)
    for group in plan.skipped:
        grid.add(_("Skipped"), _skipped(group))
    if len(plan.origins) > 1:
        grid.add(_("From"), _origins(plan))
    _add_given(grid, plan.given)
    if plan.targets.count:
        grid.add(_("Reason"), plain(plan.reason or _("none given"), "" if plan.reason else FAINT))
        if plan.notes:
            grid.add(_("Own words"), _notes(plan.notes))
        if plan.systems:
            grid.add(_("Systems"), _systems(plan.systems))
        grid.add(_("Mails"), _mails(plan, ask=ask_about_mails))
        _add_languages(grid, plan.mail, {each.language: each for each in letters})
    return grid


def _skipped(group: Skipped) -> Text:
    """How many orders one rule skips, and the first of them."""
    return plain(
        ngettext(
            "{number:,} order: {reason} ({ids})",
            "{number:,} orders: {reason} ({ids})",
            group.count,
            reason=_(RULE_BY_CODE[group.code].reason),
            ids=listed_words(tuple(islice(group, _SHOWN_SKIPPED)), group.count),
        )
    )


def _totals(totals: Sequence[Money], style: str = "") -> Text:
    """One amount for each currency."""
    return plain("  ".join(map(shown_money, totals)) or "0", style)


def _add_impact(grid: Facts, impact: Impact) -> None:
    if impact.seasons:
        grid.add(_("Open orders"), _seasons(impact))
    for largest in [each for each in impact.largest if each.among_orders > 1][:_SHOWN_GROUPS]:
        grid.add(_("Largest"), _largest(largest))
    if impact.ordered_from and impact.ordered_to:
        grid.add(_("Ordered"), days_words(impact.ordered_from.date(), impact.ordered_to.date()))
    if impact.delivery_from and impact.delivery_to:
        grid.add(_("Delivery"), days_words(impact.delivery_from, impact.delivery_to))
    if impact.recently_changed:
        number = impact.recently_changed
        words = ngettext("{number:,} order within the last hour", "{number:,} orders within the last hour", number)
        grid.add(_("Edited"), Text(words, WARNING))
    if impact.with_confirmed.count:
        words = ngettext(
            "{number:,} buyer also has confirmed orders in the same season: {named}",
            "{number:,} buyers also have confirmed orders in the same season: {named}",
            impact.with_confirmed.count,
            named=_named(impact.with_confirmed),
        )
        grid.add(_("Confirmed"), plain(words, WARNING))


def _add_freshness(grid: Facts, plan: RejectionPlan, now: datetime) -> None:
    """How old the word of the sources is."""
    fresh, total = plan.impact.freshness, plan.targets.count
    if fresh is None:
        return
    text = plain(_("as of {length} ago", length=_age(fresh.newest, now)) if fresh.newest else _("unknown"))
    if fresh.behind and fresh.behind_at:
        behind = _(
            "; {number:,} of {total:,} not seen for {length}",
            number=fresh.behind,
            total=total,
            length=_age(fresh.behind_at, now),
        )
        text.append_text(plain(behind, WARNING))
    if fresh.newest and fresh.unknown:
        unknown = _("; of {number:,} of {total:,} unknown", number=fresh.unknown, total=total)
        text.append_text(plain(unknown, WARNING))
    if plan.max_age is not None:
        older = _("; what is older than {length} is skipped", length=duration_words(plan.max_age))
        text.append_text(plain(older, FAINT))
    grid.add(_("Seen"), text)


def _age(at: datetime, now: datetime) -> str:
    return duration_words(now - at)


def _seasons(impact: Impact) -> RuledTable:
    """A row for each season and currency: the share of the open orders and of their value."""
    table = RuledTable([TableColumn(), *(TableColumn(right=True, whole=True) for __ in range(4))])
    shown = impact.seasons[:_SHOWN_GROUPS]
    more = impact.season_count - len(shown)
    for share in shown:
        told = plain(_("… and {more:,} more", more=more), FAINT) if more > 0 and share is shown[-1] else None
        table.add_row(*_season(share), below=told)
    return table


def _season(share: SeasonShare) -> tuple[Text, ...]:
    percent = percent_of(share.orders, share.open_orders)
    style = WARNING if (percent or 0) >= _MOST_OF_A_SEASON else ""
    value = percent_words(percent_of(share.total, share.open_total), part=share.total)
    return (
        plain(share.season or _("no season")),
        plain(share.currency),
        Text(_("{number:,} of {total:,}", number=share.orders, total=share.open_orders), style),
        Text(percent_words(percent, part=share.orders), style),
        Text(_("{share} of the value", share=value) if value else "", style),
    )


def _largest(largest: LargestOrder) -> Text:
    share = percent_words(largest.percent, part=largest.total)
    known = {"id": largest.id, "amount": shown_money(largest.amount), "share": share}
    if largest.stands_out:
        words = _("order {id}, {amount}: 1 of {among:,} is {share} of the value", among=largest.among_orders, **known)
        return plain(words, WARNING)
    if not share:
        return plain(_("order {id}, {amount}", **known))
    return plain(_("order {id}, {amount}, {share} of the value", **known))


def _named(buyers: NamedBuyers) -> str:
    return listed_words(buyers.names, buyers.count)


def _add_given(grid: Facts, given: InputSummary) -> None:
    """What happened to the ids that were given."""
    if given.excluded_count or given.excluded_elsewhere:
        grid.add(_("Taken out"), _taken_out(given))
    if given.duplicates:
        grid.add(_("Duplicates"), _("{number:,} dropped", number=given.duplicates))
    if given.unknown_count:
        listed = listed_words(given.unknown[:_SHOWN_IDS], given.unknown_count)
        grid.add(_("Unknown"), plain(f"{given.unknown_count:,}: {listed}", WARNING))


def _origins(plan: RejectionPlan) -> Text:
    """How many ids each source gave. An id that several have counts for the first of them."""
    told = [
        ngettext("{number:,} id: {source}", "{number:,} ids: {source}", number, source=source_in_words(source))
        for source, number in ids_by_origin(plan.origins, plan.given.ids)
    ]
    lines = told[:_SHOWN_ORIGINS]
    if len(told) > _SHOWN_ORIGINS:
        lines.append(_("… and {more:,} more", more=len(told) - _SHOWN_ORIGINS))
    return Sentence("\n").join(map(plain, lines))


def _taken_out(given: InputSummary) -> Text:
    listed = listed_words(given.excluded[:_SHOWN_IDS], given.excluded_count)
    words = ngettext("{number:,} order: {listed}", "{number:,} orders: {listed}", given.excluded_count, listed=listed)
    text = plain(words) if given.excluded_count else Text(_("none"))
    if given.excluded_elsewhere:
        elsewhere = ngettext(
            "; {number:,} id to take out is not among these orders",
            "; {number:,} ids to take out are not among these orders",
            given.excluded_elsewhere,
        )
        text.append(elsewhere, style=WARNING)
    return text


def _notes(notes: OrderNotes) -> Text:
    """How many orders have their own reason or message, and the first of them."""
    reasons = ngettext(
        "{number:,} order with a reason of its own", "{number:,} orders with a reason of their own", notes.reasons
    )
    messages = ngettext(
        "{number:,} order with a message of its own", "{number:,} orders with a message of their own", notes.messages
    )
    counted = ((notes.reasons, reasons), (notes.messages, messages))
    text = Text(", ".join(words for number, words in counted if number))
    for note, __ in zip(notes, range(_SHOWN_NOTES), strict=False):
        said = "; ".join(part for part in (note.reason.text, " ".join(note.message.split())) if part)
        line = plain(f"{note.id}: {said}", FAINT)
        line.truncate(_NOTE_WIDTH, overflow="ellipsis")
        text.append("\n")
        text.append_text(line)
    return text


def _systems(systems: Sequence[SystemOrders]) -> Text:
    """Where the orders will be cancelled too."""
    told = [
        ngettext(
            "{number:,} order is cancelled in {system}",
            "{number:,} orders are cancelled in {system}",
            each.orders,
            system=each.name,
        )
        for each in systems
    ]
    return plain(", ".join(told))


def _mails(plan: RejectionPlan, *, ask: bool) -> Text:
    mail, silent = plan.mail, plan.impact.without_address
    if not mail.notify:
        return Text(_("none: the buyers are not told"))
    if ask:
        text = Text(ngettext("{number:,} mail, if you say so", "{number:,} mails, if you say so", mail.mails))
    else:
        text = Text(ngettext("{number:,} mail", "{number:,} mails", mail.mails))
    if mail.languages:
        nothing = _("no language")
        listed = ", ".join(f"{language or nothing} {number:,}" for language, number in mail.languages)
        text.append_text(plain(f" ({listed})", FAINT))
    if mail.copied:
        words = ngettext(
            "; {number:,} goes to further addresses of its buyer too",
            "; {number:,} go to further addresses of their buyers too",
            mail.copied,
        )
        text.append_text(plain(words))
    if plan.systems and not mail.at_once:
        text.append_text(plain(_("; each waits until its orders are cancelled there")))
    if mail.buyers_without_address:
        words = ngettext(
            "; nobody is told for {number:,} buyer without an address: {named}",
            "; nobody is told for {number:,} buyers without an address: {named}",
            mail.buyers_without_address,
            named=_named(silent),
        )
        text.append_text(plain(words, WARNING))
    if mail.orders_without_buyer:
        words = ngettext(
            "; nobody is told for {number:,} order without a buyer",
            "; nobody is told for {number:,} orders without a buyer",
            mail.orders_without_buyer,
        )
        text.append(words, style=WARNING)
    return text


def _add_languages(grid: Facts, mail: MailPlan, letters: Mapping[str, SampleLetter]) -> None:
    """Which mails are written in another language than their buyer's, and who gets which message."""
    told = [(letters[tag], number) for tag, number in mail.languages if tag in letters]
    other = [(each, number) for each, number in told if each.language and _of(each.language) != _of(each.written_in)]
    if other:
        words = _(
            "{number:,} of {total:,} will be written in {language}: no {missing} letter",
            number=_sum(other),
            total=mail.mails,
            language=language_name(other[0][0].written_in),
            missing=_names(each.language for each, __ in other),
        )
        grid.add(_("Letters"), plain(words, WARNING))
    wording = Wording.read(mail.message)
    if wording.by_language:
        grid.add(_("Message"), _messages(wording, told, mail.mails))
    elif wording.for_all and len({_of(each.written_in) for each, __ in told}) > 1:
        words = _(
            "the same for letters in {languages}; --message-file de=FILE is for one language",
            languages=_names(each.written_in for each, __ in told),
        )
        grid.add(_("Message"), plain(words, WARNING))


def _messages(wording: Wording, told: Sequence[tuple[SampleLetter, int]], mails: int) -> Text:
    """The languages of the messages; who gets the one for all instead, or none; and which one nobody gets."""
    used = {each.message_in for each, __ in told if each.message_in}
    text = plain(_("in {languages}", languages=_names(used)) if used else _("none"))
    instead = [(each, number) for each, number in told if each.message_in == ""]
    without = [(each, number) for each, number in told if each.message_in is None]
    if instead:
        words = _(
            "; {number:,} of {total:,} get the one for all languages: none in {missing}",
            number=_sum(instead),
            total=mails,
            missing=_names(each.language or each.written_in for each, __ in instead),
        )
        text.append_text(plain(words, WARNING))
    if without:
        words = _(
            "; {number:,} of {total:,} get no message: none in {missing}",
            number=_sum(without),
            total=mails,
            missing=_names(each.language or each.written_in for each, __ in without),
        )
        text.append_text(plain(words, WARNING))
    if unread := wording.by_language.keys() - used:
        text.append_text(plain(_("; no buyer gets the one in {languages}", languages=_names(unread)), WARNING))
    return text


def _sum(told: Iterable[tuple[SampleLetter, int]]) -> int:
    return sum(number for __, number in told)


def _of(tag: str) -> str:
    """The language of a tag, without its region."""
    return plain_tag(tag).partition("-")[0]


def _names(tags: Iterable[str]) -> str:
    return ", ".join(sorted({language_name(_of(tag)) for tag in tags}))
