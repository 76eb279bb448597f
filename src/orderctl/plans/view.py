"""Saved plans for people: the list, one plan, and what changed since it was made."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from rich.console import Group, RenderableType
from rich.text import Text

from orderctl.core.identity import Identity
from orderctl.core.ids import short_id
from orderctl.language import N_, _, ngettext
from orderctl.orders.eligibility import Mode
from orderctl.plans.plans import MayRun, PlanComparison, PlannedOrder, PlanState, SavedPlan
from orderctl.rejection.plan import LeftOut, RejectionPlan
from orderctl.rejection.preview import left_out_words
from orderctl.terminal.amounts import full_hour, full_timestamp, shown_money
from orderctl.terminal.layout import RuledTable, facts_table, text_table
from orderctl.terminal.styles import FAINT, HEADING, filled, plain

_TITLES = (N_("Plan"), N_("State"), N_("Left"), N_("Orders"), N_("Total"), N_("Made by"), N_("Approved by"))
_SHOWN_CHANGES = 20
_STYLES = {
    "approved": "green",
    "held": "yellow",
    "executed": "dim",
    "cancelled": "dim",
    "expired": "dim",
    "edited": "bold red",
}


def plan_table(plans: Sequence[SavedPlan], now: datetime) -> RuledTable:
    """Plans, one a row."""
    return text_table(
        _TITLES,
        (
            (
                short_id(saved.id),
                _state(saved, now),
                saved.time_left(now),
                f"{saved.targets:,}",
                ", ".join(map(shown_money, saved.totals)),
                str(saved.author),
                str(saved.approver) if saved.is_approved else "",
            )
            for saved in plans
        ),
    )


def plan_details(saved: SavedPlan, mode: Mode, preview: RenderableType, now: datetime, *, needs: str) -> RenderableType:
    """One plan: what it would do, its author, approver and state, and who may run it.

    `needs` says why it needs a second operator.
    """
    state = _state(saved, now)
    if saved.time_left(now):
        state.append(f", {saved.time_left(now)}")
    facts: list[tuple[str, str | Text]] = [
        (_("Plan"), saved.id),
        (_("State"), state),
        (_("Mode"), _("individual: by the rules for one order") if mode is Mode.INDIVIDUAL else ""),
        (_("Made"), _by(saved.made_at, saved.author)),
        (_("Approved") if saved.is_approved else _("Confirmed"), _approval(saved)),
        (_("May run it"), _(_MAY_RUN[saved.may_run(now, needs=needs)])),
        (_("Because"), needs),
        (_("Due"), _at(saved.due_at)),
        (_("Expires"), _at(saved.expires_at) if saved.closed_at is None else ""),
        (_("Closed"), _by(saved.closed_at, saved.closed_by)),
        (_("Digest"), saved.plan_digest),
    ]
    return Group(preview, Text(), facts_table(facts))


_MAY_RUN = {
    MayRun.ANY_OPERATOR: N_("any operator, its author too"),
    MayRun.AFTER_APPROVAL: N_("nobody until another operator approves it"),
    MayRun.NOBODY: N_("nobody any more"),
}


def _by(at: datetime | None, actor: Identity | None) -> str:
    return _("{at} by {actor}", at=_at(at), actor=actor) if at else ""


def _approval(saved: SavedPlan) -> str:
    if not saved.approver:
        return ""
    how = _(saved.how) if saved.how else ""
    return _("{at} by {actor} ({how})", at=_at(saved.approved_at), actor=saved.approver, how=how)


def kept_report(saved: SavedPlan, now: datetime) -> RenderableType:
    """The state of a plan that was just saved or approved, and what can be done with it."""
    name = short_id(saved.id)
    text = filled(
        _("{plan} {state}: {orders}, {amounts}; {left}"),
        plan=filled(_("Plan {name}"), HEADING, name=Text(name, "bold cyan")),
        state=saved.state.value,
        orders=ngettext("{number:,} order", "{number:,} orders", saved.targets),
        amounts=", ".join(map(shown_money, saved.totals)),
        left=saved.time_left(now),
    )
    if saved.state is PlanState.HELD and saved.due_at:
        text.append(" " + _("(at {time}, by: orderctl plan run --due)", time=full_hour(saved.due_at)))
        further = _("Until then this stops it: orderctl plan cancel {name}", name=name)
    elif saved.second_operator and not saved.is_approved:
        further = _("Another operator reads and approves it: orderctl plan approve {name}", name=name)
    else:
        further = _("orderctl plan show {name} shows it, orderctl plan run {name} rejects its orders", name=name)
    return Group(text, plain(further))


def changes_report(plan: RejectionPlan, changed: Sequence[LeftOut], limit: int | None = _SHOWN_CHANGES) -> Group:
    """Which targets are no longer as planned."""
    if not changed:
        same = ngettext(
            "nothing changed: {number:,} order as planned",
            "nothing changed: {number:,} orders as planned",
            plan.targets.count,
        )
        return Group(plain(same))
    head = ngettext(
        "{changed:,} of {number:,} planned order no longer as planned:",
        "{changed:,} of {number:,} planned orders no longer as planned:",
        plan.targets.count,
        changed=len(changed),
    )
    parts = [plain(head, "yellow"), *(plain(f"  {left_out_words(left)}") for left in changed[:limit])]
    if limit is not None and len(changed) > limit:
        parts.append(plain("  " + _("… and {more:,} more", more=len(changed) - limit), FAINT))
    return Group(*parts)


def comparison_report(first: SavedPlan, second: SavedPlan, found: PlanComparison) -> RenderableType:
    """Two plans side by side, and what differs."""
    names = short_id(first.id), short_id(second.id)
    table = text_table(("", *names), [(_(name), *map(read, (first, second))) for name, read in _COMPARED])
    if found.is_same:
        return Group(table, plain(_("nothing differs: both reject the same orders, as they are")))
    parts: list[RenderableType] = [table]
    for name, other, orders in ((*names, found.only_first), (*names[::-1], found.only_second)):
        if orders:
            head = ngettext(
                "{number:,} order only in {name}:", "{number:,} orders only in {name}:", len(orders), name=name
            )
            parts += [plain(head, "yellow"), *(plain(f"  {_planned_words(order, other)}") for order in orders)]
    if found.changed:
        head = ngettext(
            "{number:,} order of both changed in between:",
            "{number:,} orders of both changed in between:",
            len(found.changed),
        )
        parts += [plain(head, "yellow"), *(plain(f"  {left_out_words(left)}") for left in found.changed)]
    told = (replace(each, what=_(each.what), was=each.was or "-", now=each.now or "-") for each in found.terms)
    parts += [plain(str(each), "yellow") for each in told]
    return Group(*parts)


_COMPARED: tuple[tuple[str, Callable[[SavedPlan], str]], ...] = (
    (N_("Made"), lambda saved: _by(saved.made_at, saved.author)),
    (N_("Orders"), lambda saved: f"{saved.targets:,}"),
    (N_("Total"), lambda saved: ", ".join(map(shown_money, saved.totals))),
)


def _planned_words(order: PlannedOrder, other: str) -> str:
    amount = shown_money(order.amount) if order.amount else ""
    words = ": ".join(filter(None, (order.id, ", ".join(filter(None, (order.status, amount))))))
    if order.skipped:
        return _("{order}; skipped in {other}: {why}", order=words, other=other, why=_(order.skipped))
    return words


def _state(saved: SavedPlan, now: datetime) -> Text:
    state = saved.state_at(now)
    return Text(state, style=_STYLES.get(state, ""))


def _at(at: datetime | None) -> str:
    return full_timestamp(at) if at else ""
