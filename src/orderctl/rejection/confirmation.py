"""Asks for the confirmation of a rejection on the controlling terminal. Piped input never answers.

The rules are in design.md, section 6, step 4, and docs/reference/reject.md.
"""

from collections.abc import Sequence

from rich.cells import set_cell_size

from orderctl.core.money import Money
from orderctl.core.text import cell_width, fold, safe
from orderctl.language import _, ngettext
from orderctl.rejection.plan import RejectionPlan
from orderctl.terminal.amounts import shown_money
from orderctl.terminal.prompts import ask

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
        "amounts": _amounts(plan.totals),
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


def _amounts(totals: Sequence[Money]) -> str:
    listed = ", ".join(map(shown_money, totals[:_SHOWN_TOTALS]))
    more = len(totals) - _SHOWN_TOTALS
    if more <= 0:
        return listed
    return ngettext(
        "{listed} and {number:,} more currency", "{listed} and {number:,} more currencies", more, listed=listed
    )
