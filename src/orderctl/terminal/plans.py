"""Saved plans for people: the list, one plan, what changed since."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from orderctl.domain.eligibility import Mode
from orderctl.domain.rejection import LeftOut, RejectionPlan
from orderctl.domain.saved_plans import PlanState, SavedPlan
from orderctl.domain.short_ids import short_id
from orderctl.domain.text import count_of
from orderctl.terminal.amounts import shown_money
from orderctl.terminal.details import facts_table, text_table
from orderctl.terminal.preview import left_out_words
from orderctl.terminal.styles import FAINT, HEADING, plain

_SHOWN_CHANGES = 20
_STYLES = {
    "approved": "green",
    "held": "yellow",
    "executed": "dim",
    "cancelled": "dim",
    "expired": "dim",
    "edited": "bold red",
}


def plan_table(plans: Sequence[SavedPlan], now: datetime) -> Table:
    """Plans, one a row."""
    return text_table(
        ("Plan", "State", "Left", "Orders", "Total", "Made by", "Approved by"),
        (
            (
                short_id(saved.id),
                _state(saved, now),
                saved.time_left(now),
                f"{saved.targets:,}",
                ", ".join(map(shown_money, saved.totals)),
                str(saved.author),
                str(saved.approver or ""),
            )
            for saved in plans
        ),
    )


def plan_details(saved: SavedPlan, mode: Mode, preview: RenderableType, now: datetime) -> RenderableType:
    """One plan: what it would do, and where it stands."""
    state = _state(saved, now)
    if saved.time_left(now):
        state.append(f", {saved.time_left(now)}")
    facts: list[tuple[str, str | Text]] = [
        ("Plan", saved.id),
        ("State", state),
        ("Mode", "individual: by the rules for one order" if mode is Mode.INDIVIDUAL else ""),
        ("Made", f"{_at(saved.made_at)} by {saved.author}"),
        ("Approved", f"{_at(saved.approved_at)} by {saved.approver} ({saved.how})" if saved.approver else ""),
        ("Needs", "" if saved.approver or not saved.second_operator else "another operator's approval"),
        ("Due", _at(saved.due_at)),
        ("Expires", _at(saved.expires_at) if saved.closed_at is None else ""),
        ("Closed", f"{_at(saved.closed_at)} by {saved.closed_by}" if saved.closed_at else ""),
        ("Digest", saved.plan_digest),
    ]
    return Group(preview, Padding(facts_table(facts), (1, 0, 0, 0)))


def kept_report(saved: SavedPlan, now: datetime) -> RenderableType:
    """What became of a plan that was kept or approved, and what can be done with it."""
    name = short_id(saved.id)
    text = Text.assemble(("Plan ", HEADING), (name, "bold cyan"))
    text.append_text(
        plain(f" {saved.state}: {count_of(saved.targets, 'order')}, {', '.join(map(shown_money, saved.totals))}")
    )
    text.append(f"; {saved.time_left(now)}")
    if saved.state is PlanState.HELD:
        text.append(f" (at {saved.due_at:%H:%M} UTC, by: orderctl plan run --due)")
        return Group(text, plain(f"Until then this stops it: orderctl plan cancel {name}"))
    if saved.second_operator and saved.approver is None:
        return Group(text, plain(f"Another operator reads and approves it: orderctl plan approve {name}"))
    return Group(text, plain(f"orderctl plan show {name} shows it, orderctl plan run {name} rejects its orders"))


def changes_report(plan: RejectionPlan, changed: Sequence[LeftOut], limit: int | None = _SHOWN_CHANGES) -> Group:
    """Which of the planned orders are no longer as planned."""
    if not changed:
        return Group(Text(f"nothing changed: {count_of(plan.targets.count, 'order')} as planned"))
    head = f"{len(changed):,} of {count_of(plan.targets.count, 'planned order')} no longer as planned:"
    parts = [Text(head, style="yellow"), *(plain(f"  {left_out_words(left)}") for left in changed[:limit])]
    if limit is not None and len(changed) > limit:
        parts.append(plain(f"  … and {len(changed) - limit:,} more", FAINT))
    return Group(*parts)


def _state(saved: SavedPlan, now: datetime) -> Text:
    state = saved.state_at(now)
    return Text(state, style=_STYLES.get(state, ""))


def _at(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else ""
