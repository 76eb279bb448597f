"""The preview of a plan, the question, and the report of a rejection (design.md, section 6, steps 3, 4 and 7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.cells import set_cell_size
from rich.console import Group, RenderableType
from rich.text import Text

from orderctl.core.money import Money
from orderctl.core.text import cell_width, fold, safe
from orderctl.language import N_, _, ngettext
from orderctl.mail.view import delivery_report, letter_text
from orderctl.orders.eligibility import RULE_BY_CODE
from orderctl.orders.orders import OrderSummary
from orderctl.rejection.figures import plan_figures
from orderctl.rejection.plan import LeftOut, RejectionPlan, RejectionResult
from orderctl.search.view import order_table
from orderctl.selection.selection import source_in_words
from orderctl.terminal.amounts import shown_money
from orderctl.terminal.layout import RuledTable, text_table
from orderctl.terminal.prompts import ask
from orderctl.terminal.styles import DANGER, FAINT, HEADING, Framed, Sentence, filled, plain
from orderctl.writeback.view import writeback_report

if TYPE_CHECKING:
    from orderctl.rejection.sample_letters import SampleLetter

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
    now: datetime | None = None,
) -> RenderableType:
    """Everything to see before saying yes. With `every`, all orders are listed, and not only the first ones.

    `now` is when it is shown; without it, when the plan was made.
    """
    parts: list[RenderableType] = [_where(plan, store, production=production)]
    if plan.targets.count:
        head = plan.head[:SHOWN_ORDERS] if every is None else every
        parts += [Text(), order_table(head, indent=2)]
        if every is None and plan.targets.count > len(head):
            more = _("… and {more:,} more; --full shows all", more=plan.targets.count - len(head))
            parts.append(plain(f"  {more}", FAINT))
    if every is not None and (plan.skipped or plan.given.unknown or plan.given.excluded):
        parts += [Text(), _skipped(plan)]
    parts += [Text(), plan_figures(plan, now or plan.made_at, letters, ask_about_mails=ask_about_mails)]
    if letters:
        parts += [Text(), letter_samples(letters)]
    if plan.targets.count:
        parts += [Text(), plain(_("This cannot be undone."), DANGER)]
    return Group(*parts)


def _where(plan: RejectionPlan, store: str, *, production: bool) -> Text:
    place = plain(store)
    if production:
        place.append(" ")
        place.append(" " + _("PRODUCTION") + " ", style="bold white on red")
    return filled(
        _("Reject {orders} in {store} {whose}"),
        HEADING,
        orders=ngettext("{number:,} order", "{number:,} orders", plan.targets.count),
        store=place,
        whose=plain(
            _("(account {account}), from {source}", account=plan.by.account, source=source_in_words(plan.by.source)),
            FAINT,
        ),
    )


def _skipped(plan: RejectionPlan) -> RuledTable:
    """Every id that was given and is no target, with the reason."""
    told = [(order_id, _(RULE_BY_CODE[group.code].reason)) for group in plan.skipped for order_id in group]
    told += [(order_id, _("taken out")) for order_id in plan.given.excluded]
    told += [(order_id, _("unknown in this store")) for order_id in plan.given.unknown]
    return text_table((N_("Skipped"), N_("Why")), told, indent=2)


def _more(number: int) -> Text:
    return plain("  " + _("… and {more:,} more", more=number), FAINT)


def _amounts(totals: Iterable[Money]) -> Text:
    return plain("  ".join(map(shown_money, totals)) or "0")


def result_report(result: RejectionResult) -> RenderableType:
    """The result of a rejection."""
    if result.batch_id is None:
        return plain(_("Nothing to reject."))
    parts: list[RenderableType] = [
        filled(
            _("{done} ({amounts}) as batch {batch}"),
            done=plain(ngettext("Rejected {number:,} order", "Rejected {number:,} orders", result.rejected), HEADING),
            amounts=_amounts(result.totals),
            batch=Text("…" if result.rehearsed else result.batch_id, "cyan"),
        )
    ]
    if result.left_out:
        parts += _left_out(result.left_out)
    if result.written_back is not None:
        parts.append(writeback_report(result.written_back))
    elif result.writebacks:
        parts.append(plain(_waiting_systems(result.writebacks)))
    if result.delivery is not None:
        parts.append(delivery_report(result.delivery))
    elif result.plan.mail.notify:
        waiting = ngettext(
            "{number:,} mail waiting; send with: orderctl mail send",
            "{number:,} mails waiting; send with: orderctl mail send",
            result.mails,
        )
        parts.append(plain(waiting))
    if result.head is not None and not result.rehearsed:
        head = result.head
        words = _("head of the log: number {position:,}, {digest}", position=head.position, digest=head.digest)
        parts.append(plain(words, "dim"))
    return Group(*parts)


def _waiting_systems(number: int) -> str:
    return ngettext(
        "{number:,} write-back waiting; send with: orderctl writeback send",
        "{number:,} write-backs waiting; send with: orderctl writeback send",
        number,
    )


def _left_out(left_out: Sequence[LeftOut]) -> Iterator[Text]:
    """The targets that changed between the plan and its execution."""
    head = ngettext(
        "Left out {number:,} order that changed meanwhile:",
        "Left out {number:,} orders that changed meanwhile:",
        len(left_out),
    )
    yield plain(head, "yellow")
    yield from (plain(f"  {left_out_words(left)}") for left in left_out[:_SHOWN_LEFT_OUT])
    if len(left_out) > _SHOWN_LEFT_OUT:
        yield _more(len(left_out) - _SHOWN_LEFT_OUT)


def left_out_words(left: LeftOut) -> str:
    """Why a target was left out."""
    if left.status is None:
        return _("{id}: is gone", id=left.id)
    if left.batch_id:
        return _("{id}: rejected meanwhile by batch {batch}", id=left.id, batch=left.batch_id)
    if left.changes:
        return f"{left.id}: {'; '.join(map(str, left.changes))}"
    return _("{id}: was changed meanwhile and is {status} now", id=left.id, status=left.status)


SHOWN_LETTERS = 3
_SHOWN_LINES = 24
_MARKS = {"longest": N_("the longest"), "shortest": N_("the shortest")}


def letter_samples(letters: Sequence[SampleLetter]) -> RenderableType:
    """The longest and the shortest letter, and letters that use other templates; the rest is only named."""
    shown = _chosen(letters)
    parts: list[RenderableType] = [_framed(sample, apart=sample is not shown[0]) for sample in shown]
    rest = [each.language or _("no language") for each in letters if each not in shown]
    if rest:
        words = ngettext(
            "{number:,} letter more: {listed}; all with --dry-run --format json",
            "{number:,} letters more: {listed}; all with --dry-run --format json",
            len(rest),
            listed=", ".join(rest),
        )
        parts.append(plain(words, FAINT))
    return Group(*parts)


def _chosen(letters: Sequence[SampleLetter]) -> list[SampleLetter]:
    extremes = [each for each in letters if each.mark]
    templates = {each.written_in for each in extremes}
    for each in letters:
        if each.written_in not in templates:
            extremes.append(each)
            templates.add(each.written_in)
    return extremes[:SHOWN_LETTERS]


def _framed(sample: SampleLetter, *, apart: bool) -> Framed:
    title = filled(_("To {buyer}"), buyer=sample.buyer)
    facts = [sample.language or _("no language")]
    if sample.written_in != sample.language:
        facts.append(_("written in {language}", language=sample.written_in))
    facts.append(ngettext("{number:,} order", "{number:,} orders", sample.orders))
    if sample.mark:
        facts.append(_(_MARKS[sample.mark]))
    if sample.copies:
        facts.append(_("copies to {addresses}", addresses=", ".join(sample.copies)))
    title.append_text(plain(f" ({', '.join(facts)})", FAINT))
    return Framed(_cut(letter_text(sample.letter)), title, apart=apart)


def _cut(text: Text) -> Text:
    lines = text.split("\n", allow_blank=True)
    if len(lines) <= _SHOWN_LINES:
        return text
    more = ngettext("… {number:,} line more", "… {number:,} lines more", len(lines) - _SHOWN_LINES)
    return Sentence("\n").join([*lines[:_SHOWN_LINES], Text(more, style=FAINT)])


# Up to this many orders are confirmed with a word. For more, their number has to be typed.
SMALL = 10
# The word is not translated, so that one manual is true in every language.
YES = "yes"
_SHOWN_TOTALS = 3
_STORE_WIDTH = 40


def confirm_rejection(plan: RejectionPlan, *, store: str, production: bool) -> bool:
    """Ask for the confirmation: a word for a few orders, their number for more. Any other answer is no."""
    count = plan.targets.count
    typed = YES if count <= SMALL else str(count)
    question = rejection_question(plan, store=store, production=production)
    answer = ask("text", question, demand=_("Type {typed}:", typed=typed))
    return fold(str(answer)).replace(",", "").strip() == typed


def rejection_question(plan: RejectionPlan, *, store: str, production: bool) -> str:
    """What a yes does, in one sentence: on a small screen the preview may have scrolled away."""
    place = _without_middle(safe(store))
    known = {
        "amounts": _first_totals(plan.totals),
        "store": f"{_('PRODUCTION')} {place}" if production else place,
    }
    if not plan.mail.mails:
        return ngettext(
            "Reject {number:,} order, {amounts}, in {store}, and tell nobody?",
            "Reject {number:,} orders, {amounts}, in {store}, and tell nobody?",
            plan.targets.count,
            **known,
        )
    return ngettext(
        "Reject {number:,} order, {amounts}, in {store}, and send {mails}?",
        "Reject {number:,} orders, {amounts}, in {store}, and send {mails}?",
        plan.targets.count,
        mails=ngettext("{number:,} mail", "{number:,} mails", plan.mail.mails),
        **known,
    )


def _without_middle(store: str) -> str:
    """The store's name, shortened in the middle: the end of a path matters most."""
    if cell_width(store) <= _STORE_WIDTH:
        return store
    half = _STORE_WIDTH // 2
    return f"{set_cell_size(store, half - 1)}…{set_cell_size(store[::-1], half)[::-1]}"


def _first_totals(totals: Sequence[Money]) -> str:
    listed = ", ".join(map(shown_money, totals[:_SHOWN_TOTALS]))
    more = len(totals) - _SHOWN_TOTALS
    if more <= 0:
        return listed
    return ngettext(
        "{listed} and {number:,} more currency", "{listed} and {number:,} more currencies", more, listed=listed
    )
