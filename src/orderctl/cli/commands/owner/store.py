"""`orderctl store init|upgrade|check|backup` and `orderctl config show|path|init|check`."""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from orderctl.audit.queries import list_batches
from orderctl.audit.service import verify_log
from orderctl.audit.verification import Tampering
from orderctl.cli.apps import group_app
from orderctl.cli.context import Context, config_file
from orderctl.cli.options import AsReport, ReportFormat
from orderctl.cli.sources import read_max_age
from orderctl.core.times import duration_words
from orderctl.database.check import Check, Health, check_store
from orderctl.database.members import join
from orderctl.database.sqlite import backup_store
from orderctl.errors import ExitCode, OrderctlError
from orderctl.files.safe import create_file, create_folder
from orderctl.language import N_, _, in_words, ngettext
from orderctl.orders.document import SCHEMA
from orderctl.rejection.policy import current_policy
from orderctl.settings import LARGEST, OPTIONS, Option, Setting, Value, holds_password, option_of, unknown_variables
from orderctl.systems.systems import KINDS, system_named

app = group_app("Make, upgrade, check and copy the database.")
_MEMBERS = "0018"  # the revision from which on accounts have members on PostgreSQL


@app.command("orderctl store init", "orderctl --store orders.db store init")
def init(context: Context) -> None:
    """Make the store; does nothing if it is there. On PostgreSQL your login becomes a member of the account in use."""
    from orderctl.database.schema import init_store

    made = init_store(context.address)
    if made and context.address.path is None:
        with context.open_store(members_only=False) as opened:
            join(opened, actor=context.actor, clock=context.clock)
    where = context.address.shown
    context.screen.tell(
        _("made the store {store}", store=where) if made else _("the store is there already: {store}", store=where)
    )


@app.command("orderctl store upgrade")
def upgrade(context: Context) -> None:
    """Bring the store's schema to this program's revision; a SQLite store is copied before."""
    from orderctl.database.schema import upgrade_with_copy

    before, after, copy = upgrade_with_copy(context.address, context.clock.now())
    if copy is not None:
        context.screen.tell(_("copied the store as it was to {file}", file=copy))
    if context.address.path is None and before < _MEMBERS:
        context.screen.warn(
            _("every login but the owner's is shut out of its account now until the owner adds it: orderctl member add")
        )
    context.screen.tell(
        _("the store is of revision {revision}", revision=after)
        if before == after
        else _("upgraded the store from {before} to {after}", before=before, after=after)
    )


@app.command("orderctl store backup orders-2026-03-14.db")
def backup(
    context: Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; only you will be able to read it.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Copy a SQLite store while others work on it, and check the copy."""
    backup_store(context.address, file, force=force)
    context.screen.tell(_("copied {store} to {file}, and checked the copy", store=context.address.shown, file=file))


@app.command(
    "orderctl store check",
    "orderctl --quiet store check --quick || page-somebody",
    "orderctl store check --format json",
    "Ends with 0: in order, 1: something is wrong, 7: cannot be reached.",
)
def check(
    context: Context,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out what reads every row.")] = False,
    as_: AsReport = "text",
) -> None:
    """Look the store over: schema, guards, references, orphans, and the chain of the log."""
    health = _reported(context, _checks(context, quick=quick), as_)
    if health.wrong:
        raise OrderctlError(
            ngettext(
                "{number:,} thing wrong with the store {store}",
                "{number:,} things wrong with the store {store}",
                health.wrong,
                store=context.address.shown,
            ),
            hint=_("see orderctl help store for what each of them means"),
        )


def _reported(context: Context, checks: Iterable[Check], as_: ReportFormat) -> Health:
    """Report the checks: as text when each one ends, as JSON all together at the end."""
    found = []
    for check in checks:
        found.append(check)
        if as_ == "text":
            verdict = _("ok   ") if check.ok else _("WRONG")
            context.output.lines([f"{verdict}  {check.name}: {check.detail}"])
    health = Health(checks=tuple(found))
    if as_ != "text":
        listed = [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in health.checks]
        document = {"schema": SCHEMA, "store": context.address.shown, "ok": not health.wrong, "checks": listed}
        context.output.document(document, as_)
    return health


def _checks(context: Context, *, quick: bool) -> Iterator[Check]:
    usable = True
    for found in check_store(context.address, context.settings.text("account"), quick=quick):
        usable = usable and (found.ok or found.name not in {"schema", "account", "integrity"})
        yield found
    if usable and not quick:
        yield _log(context)


def _log(context: Context) -> Check:
    """Check the chain of the log; a failure names the first record that was changed."""
    tampered: list[Tampering] = []

    def report(tampering: Tampering) -> None:
        if not tampered:
            tampered.append(tampering)

    with context.open_store() as opened, context.screen.progress(N_("Verifying the log")) as progress:
        verdict = verify_log(opened, report=report, progress=progress)
    if tampered:
        first = _("{record}: {problem}", record=tampered[0].record, problem=tampered[0].problem)
        if verdict.tampered > 1:
            more = verdict.tampered - 1
            first = _("{first}; {more:,} more, see: orderctl log verify", first=first, more=more)
        return Check("log", ok=False, detail=first)
    read = _(
        "{batches} and {events} as written",
        batches=ngettext("{number:,} batch", "{number:,} batches", verdict.batches),
        events=ngettext("{number:,} event", "{number:,} events", verdict.events),
    )
    return Check("log", ok=True, detail=read)


config_app = group_app("Show, check and begin the settings.")
_HIDDEN = N_("(hidden)")
_EXAMPLE_HEAD = N_("""\
# Settings of orderctl. Each profile is a table; a command takes the default one, or --profile NAME.
# A line that begins with # is not in force: what stands there is the default, or an example.
# Environment variables (ORDERCTL_STORE, ORDERCTL_MAIL_HOST, ...) go before this file, flags before both.
# ~ is your home; a relative path counts from the folder in which a command is run: better write whole paths.
# Passwords: better in a file of mode 600 or in the keyring than here.
""")
_EXAMPLE_PROFILE = """
default_profile = "main"

[profile.main]
"""
_EXAMPLES = {
    "store": '"~/orders/orders.db"',
    "label": '"Nordlys production"',
    "max_orders": "500",
    "reasons": '["dropped", "season-closed", "buyer-blocked"]',
    "store_password_file": '"~/.config/orderctl/store-password"',
    "mail.transport": '"smtp"',
    "mail.host": '"smtp.brand.example"',
    "mail.port": "587",
    "mail.user": '"orders@brand.example"',
    "mail.password_file": '"~/.config/orderctl/mail-password"',
    "mail.sender": '"Brand orders <orders@brand.example>"',
    "mail.reply_to": '"service@brand.example"',
    "second_operator_above_orders": "100",
    "second_operator_above_amount": '"10000"',
}


@config_app.command("orderctl config show", "orderctl --profile eu config show --format json")
def show(context: Context, as_: AsReport = "text") -> None:
    """List every setting, its value and its origin; secrets are hidden."""
    settings = context.settings
    found = {**settings.found, **_by_policy(context)}

    def rows() -> Iterator[tuple[str, str, str]]:
        return ((key, _shown(context, key, setting), in_words(setting.origin)) for key, setting in found.items())

    if as_ != "text":
        listed = [{"key": key, "value": value, "origin": origin} for key, value, origin in rows()]
        context.output.document({"schema": SCHEMA, "profile": settings.profile, "settings": listed}, as_)
    else:
        from orderctl.terminal.layout import text_table

        context.screen.table(lambda: text_table((N_("Setting"), N_("Value"), N_("From")), rows()))
    context.screen.tell(_("profile {profile}, from {file}", profile=settings.profile, file=settings.config_file))


@config_app.command("orderctl config path", '$EDITOR "$(orderctl config path)"')
def path(context: Context) -> None:
    """Print where the settings are looked for, whether there are any or not."""
    file = config_file()
    context.output.lines([str(file)])
    if not file.exists():
        context.screen.tell(_("there is no such file yet; orderctl config init makes one"))


@config_app.command("orderctl config init", name="init")
def init_config(
    context: Context,
    force: Annotated[bool, typer.Option("--force", help="Replace the settings that are there.")] = False,
) -> None:
    """Write an example of every setting, for you to edit; only you will be able to read it."""
    file = config_file()
    create_folder(file.parent)
    with create_file(file, force=force) as out:
        out.write(example().encode())
    context.note_change()
    context.output.lines([str(file)])
    context.screen.tell(_("edit it, then: orderctl config check"))


@config_app.command(
    "orderctl config check",
    "orderctl --profile eu config check",
    "Ends with 0: all in order, 1: the mail server is not, 2: a setting is wrong, 7: the store cannot be reached.",
    name="check",
)
def check_config(context: Context, as_: AsReport = "text") -> None:
    """Try the settings: connect to the store, the systems and the mail server; nothing is changed or sent."""
    health = _reported(context, _config_checks(context), as_)
    if health.wrong:
        context.screen.tell(ngettext("{number:,} thing to mend", "{number:,} things to mend", health.wrong))
    raise typer.Exit(health.exit_code)


def _config_checks(context: Context) -> Iterator[Check]:
    settings = context.settings
    there = settings.config_file.exists()
    if there:
        file = _("{file}, profile {profile}", file=settings.config_file, profile=settings.profile)
    else:
        file = _("no file at {file}", file=settings.config_file)
    yield Check("settings", ok=True, detail=file)
    for name, meant in unknown_variables(os.environ).items():
        guess = _("{name} sets nothing; did you mean {meant}?", name=name, meant=meant)
        detail = guess if meant else _("{name} sets nothing", name=name)
        yield Check("environment", ok=False, detail=detail, exit_code=ExitCode.WRONG_CALL)
    yield _tried("store", lambda: _try_store(context))
    yield _tried("mail", lambda: _try_mail(context))
    for name in settings.names("systems"):
        yield _tried(f"systems.{name}", partial(_try_system, context, name))


def _tried(name: str, attempt: Callable[[], str]) -> Check:
    try:
        return Check(name, ok=True, detail=attempt())
    except OrderctlError as error:
        with_hint = _("{problem} ({hint})", problem=error.message, hint=error.hint)
        detail = with_hint if error.hint else error.message
        return Check(name, ok=False, detail=detail, exit_code=error.exit_code)


def _try_store(context: Context) -> str:
    with context.open_store() as store, store.snapshot() as connection:
        last = next(list_batches(connection, 1), None)
    seen = (
        _("the last batch is of {time} UTC", time=f"{last.at:%Y-%m-%d %H:%M}")
        if last
        else _("nothing was rejected yet")
    )
    account = context.settings.text("account")
    return _("{store} answers; account {account}: {seen}", store=context.address.shown, account=account, seen=seen)


def _try_mail(context: Context) -> str:
    text = context.settings.text
    if not text("mail.transport"):
        return _("not set up: buyers cannot be told (mail.transport)")
    context.mailing.check()
    with context.mailing.mailer_factory()():
        pass
    if text("mail.transport") == "maildir":
        return _("mails are written to {folder}", folder=text("mail.maildir"))
    host, user = text("mail.host"), text("mail.user")
    if user:
        return _("{host} takes the login of {user}", host=host, user=user)
    return _("{host} answers, without a login", host=host)


def _try_system(context: Context, name: str) -> str:
    system = system_named(context.settings, name)
    with system.checked():
        return _(KINDS[system.kind].about)


def example() -> str:
    """A file with every setting as a comment, each explained."""
    return _(_EXAMPLE_HEAD) + _EXAMPLE_PROFILE + "".join(f"\n{_example(option)}" for option in OPTIONS.values())


def _example(option: Option) -> str:
    choice = f" ({option.choices})" if option.choices else ""
    about = _(option.about) + choice
    if option.default not in {None, ""}:
        about = _("{about}; default: {default}", about=about, default=_toml(option.default))
    value = _EXAMPLES.get(option.key, "100" if option.kind is int and option.default is None else _toml(option.default))
    return f"# {about}\n# {option.key} = {value}\n"


def _toml(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value) if isinstance(value, int) else f'"{value or ""}"'


def _by_policy(context: Context) -> dict[str, Setting]:
    """The settings of which the store's policy is stricter, with what it says; none if the store cannot be read."""
    settings = context.settings
    try:
        with context.open_store() as opened, opened.snapshot() as connection:
            policy = current_policy(connection)
    except OrderctlError:
        return {}
    stricter = {
        key: most
        for key, most in (
            ("max_orders", policy.max_orders),
            ("second_operator_above_orders", policy.second_operator_above_orders),
        )
        if most is not None and most < (LARGEST + 1 if (own := settings.number(key)) is None else own)
    }
    said: dict[str, Value] = {**stricter}
    own_age = read_max_age(context)
    if policy.longest_age is not None and policy.stricter_age(own_age) != own_age:
        said["max_age"] = duration_words(policy.longest_age)
    return {key: Setting(value, N_("the store's policy")) for key, value in said.items()}


def _shown(context: Context, key: str, setting: Setting) -> str:
    option = option_of(key)
    if (option and option.secret and setting.value) or (key.endswith(".url") and holds_password(str(setting.value))):
        return _(_HIDDEN)
    if key == "store":
        try:
            return context.address.shown
        except OrderctlError as error:
            return _("(hidden): {problem}", problem=error)
    return _plain(setting.value)


def _plain(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(value)
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return str(value)
