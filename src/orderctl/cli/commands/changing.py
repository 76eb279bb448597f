"""`orderctl archive|unarchive|tag|untag`: changes that any order allows, a rejected one too."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer

from orderctl.changes import (
    Change,
    ChangeKind,
    ChangeReport,
    ChangeRequest,
    change_document,
    change_orders,
    preview_change,
)
from orderctl.cli.apps import App, single
from orderctl.cli.context import Context
from orderctl.cli.options import AsReport, IgnoreUnknown, Yes, suggest_tag
from orderctl.cli.sources import Source, choose
from orderctl.core.ids import new_id
from orderctl.errors import UsageError
from orderctl.language import _, ngettext
from orderctl.orders.orders import parse_tag
from orderctl.selection.selection import FilterScope
from orderctl.terminal.prompts import ask_to_go_on

# A change of at most so many orders needs no confirmation: it can be undone.
UNASKED = 1_000
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Show how many orders would change, and stop.")]


# What is done to so many orders, or would be.
_DONE: dict[ChangeKind, Callable[[int, str], str]] = {
    ChangeKind.ARCHIVED: lambda number, _tag: ngettext(
        "{number:,} order archived", "{number:,} orders archived", number
    ),
    ChangeKind.UNARCHIVED: lambda number, _tag: ngettext(
        "{number:,} order unarchived", "{number:,} orders unarchived", number
    ),
    ChangeKind.TAGGED: lambda number, tag: ngettext(
        "{number:,} order tagged {tag}", "{number:,} orders tagged {tag}", number, tag=tag
    ),
    ChangeKind.UNTAGGED: lambda number, tag: ngettext(
        "{number:,} order untagged {tag}", "{number:,} orders untagged {tag}", number, tag=tag
    ),
}
_WOULD_BE: dict[ChangeKind, Callable[[int, str], str]] = {
    ChangeKind.ARCHIVED: lambda number, _tag: ngettext(
        "{number:,} order would be archived", "{number:,} orders would be archived", number
    ),
    ChangeKind.UNARCHIVED: lambda number, _tag: ngettext(
        "{number:,} order would be unarchived", "{number:,} orders would be unarchived", number
    ),
    ChangeKind.TAGGED: lambda number, tag: ngettext(
        "{number:,} order would be tagged {tag}", "{number:,} orders would be tagged {tag}", number, tag=tag
    ),
    ChangeKind.UNTAGGED: lambda number, tag: ngettext(
        "{number:,} order would be untagged {tag}", "{number:,} orders would be untagged {tag}", number, tag=tag
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """The options of this call."""

    yes: Yes = False
    dry_run: DryRun = False
    ignore_unknown: IgnoreUnknown = False
    as_: AsReport = "text"


def _command(kind: ChangeKind, about: str, *examples: str) -> App:
    """A command that takes the sources of orders; if it is about a tag, the tag stands before them."""

    def change(context: Context, source: Source, run: _Run) -> None:
        _change(context, source, Change(kind=kind), run)

    def change_tag(
        context: Context,
        tag: Annotated[str, typer.Argument(metavar="TAG", help="The tag.", autocompletion=suggest_tag)],
        source: Source,
        run: _Run,
    ) -> None:
        _change(context, source, Change(kind=kind, tag=_read_tag(tag)), run)

    return single(*examples, about=about)(change_tag if kind in {ChangeKind.TAGGED, ChangeKind.UNTAGGED} else change)


def _read_tag(text: str) -> str:
    try:
        return parse_tag(text)
    except ValueError as error:
        raise UsageError(
            _("the tag {tag!r} {problem}", tag=text, problem=error), hint=_("write a short word, such as late")
        ) from None


def _change(context: Context, source: Source, change: Change, run: _Run) -> None:
    """Preview, ask if many orders would change, change, report."""
    with context.open_store() as store:
        choice, dry_run = choose(context, store, source), run.dry_run
        request = ChangeRequest(choice=choice, change=change, ignore_unknown=run.ignore_unknown, dry_run=dry_run)
        found = preview_change(store, request)
        if not dry_run and found.changing:
            if found.changing > UNASKED and not run.yes:
                ask_to_go_on(_WOULD_BE[change.kind](found.changing, change.tag))
            found = change_orders(store, request, actor=context.actor, clock=context.clock, new_id=new_id)
    if run.as_ != "text":
        context.output.document(change_document(found), run.as_)
    _tell(context, found)


def _tell(context: Context, found: ChangeReport) -> None:
    """Tell the counts; warn if the filter itself hides the orders that were to be unarchived."""
    change, choice, dry_run = found.request.change, found.request.choice, found.request.dry_run
    words = [(_WOULD_BE if dry_run else _DONE)[change.kind](found.changing, change.tag)]
    if found.unchanged:
        words.append(_("{number:,} unchanged", number=found.unchanged))
    if found.unknown:
        words.append(ngettext("{number:,} unknown id left out", "{number:,} unknown ids left out", len(found.unknown)))
    if found.duplicates:
        words.append(_("{number:,} given twice", number=found.duplicates))
    told = "; ".join(words)
    context.screen.tell(_("A dry run: {words}", words=told) if dry_run else told)
    filters = [scope.filter for scope in (*choice.sources, *choice.only) if isinstance(scope, FilterScope)]
    if change.kind is ChangeKind.UNARCHIVED and any(wanted.leaves_out_archived for wanted in filters):
        context.screen.warn(_("the filter leaves archived orders out; add archived:yes to it"))


archive = _command(
    ChangeKind.ARCHIVED,
    "Take orders out of the default view. Without a source: the default selection.",
    "orderctl archive 10021 10022",
    "orderctl archive --filter 'status:rejected season:25SS' --dry-run",
)
unarchive = _command(
    ChangeKind.UNARCHIVED,
    "Put archived orders back into the default view. Without a source: the default selection.",
    "orderctl unarchive 10021",
    "orderctl unarchive --filter 'archived:yes season:25SS'",
)
tag = _command(
    ChangeKind.TAGGED,
    "Put a tag on orders. Without a source: the default selection.",
    "orderctl tag late 10021 10022",
    "orderctl tag checked --filter 'season:26SS country:JP'",
)
untag = _command(
    ChangeKind.UNTAGGED,
    "Take a tag off orders. Without a source: the default selection.",
    "orderctl untag late 10021",
    "orderctl search tag:late | orderctl untag late --ids -",
)
