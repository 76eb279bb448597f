"""The options that name mails, the same for every command that takes mails."""

from dataclasses import dataclass, replace
from typing import Annotated

import typer

from orderctl.bootstrap.program import Program
from orderctl.cli.suggesting import suggest_batch, suggest_mail
from orderctl.domain.durations import parse_duration
from orderctl.domain.errors import UsageError
from orderctl.domain.outbox import MailState
from orderctl.language import say
from orderctl.ports import MailQuery

MailIds = Annotated[
    list[str] | None,
    typer.Argument(metavar="[MAIL]...", help="Ids of mails, or their endings.", autocompletion=suggest_mail),
]
States = Annotated[list[MailState] | None, typer.Option("--state", help="Only mails in this state; repeatable.")]
BatchId = Annotated[
    str | None,
    typer.Option(
        "--batch",
        metavar="BATCH",
        help="Only mails of this batch: its id, or the ending.",
        autocompletion=suggest_batch,
    ),
]
BuyerText = Annotated[
    str | None, typer.Option("--buyer", metavar="TEXT", help="Only to this buyer: id, or in the name.")
]
OrderId = Annotated[str | None, typer.Option("--order", metavar="ID", help="Only mails that speak of this order.")]
ToText = Annotated[str | None, typer.Option("--to", metavar="TEXT", help="Only where the address holds this text.")]
OlderThan = Annotated[
    str | None, typer.Option("--older-than", metavar="TIME", help="Only mails queued before: 2d, 12h.")
]
AllMails = Annotated[bool, typer.Option("--all", help="All mails that this can be done with.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class MailChoice:
    """Which mails a command is about, as the command line says it."""

    ids: MailIds = None
    state: States = None
    batch: BatchId = None
    buyer: BuyerText = None
    order: OrderId = None
    to: ToText = None
    older_than: OlderThan = None
    everything: AllMails = False

    def filters(self, program: Program) -> MailQuery:
        """The filters as a query. Raises UsageError for a length of time that is none."""
        before = None
        if self.older_than is not None:
            try:
                before = program.clock.now() - parse_duration(self.older_than)
            except ValueError as error:
                raise UsageError(
                    say("--older-than: {text!r} {problem}", text=self.older_than, problem=error),
                    hint=say("for example: --older-than 2h"),
                ) from None
        return MailQuery(
            states=tuple(self.state or ()),
            batch_id=self.batch,
            buyer=self.buyer,
            order_id=self.order,
            recipient=self.to,
            queued_before=before,
        )

    def named(self, program: Program) -> MailQuery:
        """Which mails are meant: by their ids, by filters, or all where that is spelled out. Raises UsageError."""
        query = self.filters(program)
        filtered = query != MailQuery()
        if sum((bool(self.ids), filtered, self.everything)) > 1:
            raise UsageError(
                say("mails are named by ids, by filters or by --all, not by two of them"), hint=say("give one of them")
            )
        if not (self.ids or filtered or self.everything):
            raise UsageError(
                say("which mails? none was named"), hint=say("give ids, --state, --batch or another filter, or --all")
            )
        return replace(query, ids=tuple(dict.fromkeys(self.ids))) if self.ids else query
