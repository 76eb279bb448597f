"""`orderctl member add|remove|list|history`."""

from typing import Annotated

import typer

from orderctl.cli.apps import group_app
from orderctl.cli.context import Context
from orderctl.cli.options import AsReport, ReportFormat
from orderctl.core.text import safe
from orderctl.database.members import MemberRecord, change_member, member_history, members_of
from orderctl.errors import UsageError
from orderctl.language import N_, _, ngettext
from orderctl.orders.document import SCHEMA, Document

app = group_app(
    "Which logins see and change the account in use, on PostgreSQL: kept in the store, and set by its owner."
)
Login = Annotated[str, typer.Argument(metavar="LOGIN", help="The login, as PostgreSQL knows it.")]


@app.command("orderctl member add mia", "orderctl member add mia --profile eu")
def add(context: Context, login: Login, as_: AsReport = "text") -> None:
    """Let a login see and change the account in use. For the owner of the store."""
    _report(context, _changed(context, login, "add"), login, as_)


@app.command("orderctl member remove mia")
def remove(context: Context, login: Login, as_: AsReport = "text") -> None:
    """Shut a login out of the account in use. For the owner of the store."""
    record = _changed(context, login, "remove")
    if record is None:
        raise UsageError(
            _("the login {login!r} is no member of the account {account!r}", login=login, account=_account(context)),
            hint=_("orderctl member list names them"),
        )
    _report(context, record, login, as_)


@app.command("orderctl member list", "orderctl member list --format json")
def list_(context: Context, as_: AsReport = "text") -> None:
    """List the members of the account in use: since when, and who added them. For the owner of the store."""
    _show(context, members_of(_history(context)), as_)


@app.command("orderctl member history", "orderctl member history --format jsonl")
def history(context: Context, as_: AsReport = "text") -> None:
    """List everything that was done with members, newest first. For the owner of the store."""
    _show(context, _history(context), as_)


def _changed(context: Context, login: str, action: str) -> MemberRecord | None:
    with context.open_store(members_only=False) as store:
        return change_member(store, login, action, actor=context.actor, clock=context.clock)


def _history(context: Context) -> tuple[MemberRecord, ...]:
    # The owner keeps the members of every account, of whichever it is one.
    with context.open_store(members_only=False) as store, store.snapshot() as connection:
        return member_history(connection)


def _report(context: Context, record: MemberRecord | None, login: str, as_: ReportFormat) -> None:
    if as_ != "text":
        context.output.document({"schema": SCHEMA, "member": _document(record) if record else None}, as_)
        return
    names = {"login": safe(login), "account": safe(_account(context))}
    if record is None:
        context.screen.tell(_("{login} is a member of the account {account} already", **names))
    elif record.action == "add":
        context.screen.tell(_("{login} is a member of the account {account} now", **names))
    else:
        context.screen.tell(_("{login} is no member of the account {account} any more", **names))


def _show(context: Context, records: tuple[MemberRecord, ...], as_: ReportFormat) -> None:
    if as_ != "text":
        context.output.documents(({"schema": SCHEMA, **_document(record)} for record in records), as_)
        return
    if records:
        from orderctl.terminal.layout import text_table

        titles = (N_("Login"), N_("Action"), N_("At (UTC)"), N_("By"))
        rows = [(each.login, each.action, f"{each.at:%Y-%m-%d %H:%M:%S}", each.by) for each in records]
        context.screen.table(lambda: text_table(titles, rows))
    told = ngettext("{number:,} record of the account {account}", "{number:,} records of the account {account}",
                    len(records), account=safe(_account(context)))  # fmt: skip
    context.screen.tell(told)


def _account(context: Context) -> str:
    return context.settings.text("account")


def _document(record: MemberRecord) -> Document:
    return {
        "login": record.login,
        "action": record.action,
        "at": record.at.isoformat(),
        "actor": record.actor,
        "actor_login": record.actor_login,
    }
