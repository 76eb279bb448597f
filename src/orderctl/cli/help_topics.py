"""What `orderctl help TOPIC` says: pages of the documentation, and what is made from the registries of the program."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from orderctl.bootstrap.places import page_text
from orderctl.bootstrap.program import Program
from orderctl.domain.eligibility import RULES, Mode
from orderctl.domain.errors import ExitCode, OrderctlError
from orderctl.domain.filters import FILTER_FIELDS, Kind
from orderctl.domain.orders import Status
from orderctl.domain.outbox import MailState
from orderctl.domain.text_width import cell_width, padded
from orderctl.language import later, say

# In a terminal a link to another page is the call that shows it.
_LINK = re.compile(r"\[([^\]]+)\]\((?:[\w./-]+/)?([\w-]+)\.md(?:#[\w-]+)?\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """What can be explained: by lines in the operator's language, or by a page."""

    about: str
    lines: Callable[[Program], Iterator[str]] | None = None
    page: str = ""

    @property
    def text(self) -> str:
        """The page; empty if there is none."""
        return _LINK.sub(r"\1 (`orderctl help \2`)", page_text(self.page)) if self.page else ""


# The codes that no error class owns, or not alone.
_OTHER_CODES = {
    ExitCode.DONE: later("done; also a dry run, and nothing to do"),
    ExitCode.UNEXPECTED_PLAN: later(
        "not what was expected (--strict, --expect, --max-orders), or none can be rejected; nothing was changed"
    ),
    ExitCode.MAILS_REMAIN: later("rejected, but mails are waiting, failed or unknown: orderctl mail list"),
    ExitCode.FEWER_THAN_PLANNED: later(
        "rejected, but fewer than previewed: some orders changed in between, and each is listed"
    ),
    ExitCode.NOT_REPORTED: later("done, but the result could not be written: orderctl log tells what was done"),
    ExitCode.INTERRUPTED: later("stopped by Ctrl-C; what was done is said"),
    ExitCode.TERMINATED: later("stopped by SIGTERM or SIGHUP; what was done is said"),
}
_MAIL_STATES = {
    MailState.WAITING: later("waits for: orderctl mail send"),
    MailState.CLAIMED: later("a worker has taken it and will send it"),
    MailState.SENDING: later("it is being handed to the mail server"),
    MailState.SENT: later("the mail server took it"),
    MailState.REFUSED: later("the mail server refused it for good; look at the address, then: orderctl mail retry"),
    MailState.RETRY: later("refused for now; it is tried again by itself"),
    MailState.UNKNOWN: later(
        "the connection broke before the answer: find out, then: orderctl mail retry, or mail settle"
    ),
    MailState.CANCELLED: later("somebody decided that it will not be sent"),
}


def filters(_program: Program) -> Iterator[str]:
    """The filter language."""
    yield say("Terms side by side mean and; or, not and parentheses work; quotes keep spaces.")
    yield say("Values between commas: any of them. Ranges are written A..B, A.. or ..B.")
    yield say("A bare word is looked for in id, reference, buyer and notes.")
    yield say("There and in a buyer's name, case and the accents of Latin and Greek letters make no difference.")
    yield say('Fields and statuses may be called as screens and files call them: Reference:PO-7*, status:"OC created".')
    yield say("-season:26SS means not season:26SS; on a command line of its own write the latter.")
    yield say("Archived orders are left out unless the filter says archived:.")
    yield ""
    yield from _aligned([(field.example, say(field.about)) for field in FILTER_FIELDS.values()])
    yield ""
    yield say("Values")
    by_kind: dict[Kind, list[str]] = {}
    for field in FILTER_FIELDS.values():
        by_kind.setdefault(field.kind, []).append(field.name)
    for kind, names in by_kind.items():
        words = ", ".join(Status) if kind is Kind.CHOICE else say(kind.value)
        yield from (f"  {', '.join(names)}", f"      {words}")
    yield f"  {', '.join(field.name for field in FILTER_FIELDS.values() if field.may_be_empty)}"
    yield "      " + say("also none (it is empty) and any (it is not)")
    yield ""
    yield from _examples(
        "orderctl search status:needs-oc,oc-created season:26SS",
        "orderctl search 'country:JP or (tag:late not buyer:ac*)'",
        "orderctl search delivery:..-30d total:1000..",
    )


def statuses(_program: Program) -> Iterator[str]:
    """The statuses, and what can be rejected."""
    held = {rule.status: rule for rule in RULES if rule.status is not None}
    titles = (say("STATUS"), say("THE BRAND SEES"), say("THE BUYER SEES"), say("BULK"), say("SINGLE"))
    rows: list[tuple[str, ...]] = [titles]
    for status in Status:
        modes = held[status].modes if status in held else frozenset[Mode]()
        answers = (say("no") if mode in modes else say("yes") for mode in Mode)
        rows.append((status.value, say(status.brand_sees), say(status.buyer_sees), *answers))
    yield from _aligned(rows)
    yield ""
    yield say("Never rejected, neither in bulk nor on its own:")
    for rule in RULES:
        if rule.counted is not None:
            yield "  " + say("an order that {reason}: {advice}", reason=say(rule.reason), advice=say(rule.advice))


def exit_codes(_program: Program) -> Iterator[str]:
    """The exit codes."""
    codes = {int(code): say(words) for code, words in _OTHER_CODES.items()}
    errors: list[type[OrderctlError]] = [OrderctlError, *_subclasses(OrderctlError)]
    for error in errors:
        words = say(error.usual).rstrip(".。")
        codes.setdefault(error.exit_code, words[:1].lower() + words[1:])
    yield from _aligned([(str(code), codes[code]) for code in sorted(codes)])


def mail_states(_program: Program) -> Iterator[str]:
    """How buyers are told."""
    yield say("reject --notify queues a mail for each buyer, in the same transaction as the rejection, and sends it.")
    yield say("A mail that fails stays in the outbox with its error; the rejection stands. Nobody is told twice.")
    yield ""
    yield from _aligned([(state.value, say(_MAIL_STATES[state])) for state in MailState])
    yield ""
    yield from _examples(
        "orderctl mail list --state unknown", "orderctl mail send", "orderctl reject 10021 --notify --message 'Sorry.'"
    )


def reasons(program: Program) -> Iterator[str]:
    """Why orders are rejected, so that it can be counted."""
    codes = program.settings.texts("reasons")
    if codes:
        yield say("--reason begins with one of the codes of the settings: CODE, or 'CODE: words'.")
        yield ""
        yield from (f"  {code}" for code in codes)
    else:
        yield say("--reason takes any text. A list of codes in the settings makes the reasons countable:")
        yield ""
        yield '  reasons = ["style-dropped", "season-closed", "buyer-blocked"]'
    yield ""
    yield from _examples("orderctl reject 10021 --reason 'style-dropped: the mill could not deliver'")


HOW_TO = {
    "approvals": Topic(about=later("Let a second operator approve a plan before it runs."), page="howto/approvals.md"),
    "backup": Topic(about=later("Back up a store, and restore it."), page="howto/backup.md"),
    "cron": Topic(about=later("Reject every night from cron."), page="howto/cron.md"),
    "from-spreadsheets": Topic(about=later("Move from spreadsheets."), page="howto/from-spreadsheets.md"),
    "mail-set-up": Topic(about=later("Set up mail."), page="howto/mail-set-up.md"),
    "mail-worker": Topic(about=later("Let a worker send the mails."), page="howto/mail-worker.md"),
    "pipes": Topic(about=later("Work with jq, xargs and fzf."), page="howto/pipes.md"),
    "postgresql": Topic(about=later("Keep the store on PostgreSQL."), page="howto/postgresql.md"),
    "postgresql-roles": Topic(
        about=later("The SQL of the roles operator, mail worker and auditor."), page="postgresql-roles.sql"
    ),
}
REFERENCE = {
    "commands": Topic(about=later("Every command with its options."), page="reference/commands.md"),
    "completion": Topic(about=later("What the shell completes."), page="reference/completion.md"),
    "exit-codes": Topic(about=later("How a script reads the end of a run."), lines=exit_codes),
    "export": Topic(about=later("The formats of exports, and what stands in them."), page="reference/export.md"),
    "filters": Topic(about=later("The filter language: fields and values."), lines=filters),
    "help": Topic(about=later("Help and the manual."), page="reference/help.md"),
    "import": Topic(about=later("Files of orders: columns, column maps, formats."), page="reference/import.md"),
    "log": Topic(about=later("The log, and what it proves."), page="reference/log.md"),
    "log-file": Topic(about=later("A file with what each run did."), page="reference/log-file.md"),
    "mail": Topic(about=later("Mail: settings, states, templates, the outbox."), page="reference/mail.md"),
    "mail-states": Topic(about=later("The states of a mail, and what to do."), lines=mail_states),
    "messages": Topic(about=later("Every error and warning, and what to do next."), page="reference/messages.md"),
    "output": Topic(about=later("What is printed, and for whom."), page="reference/output.md"),
    "picker": Topic(about=later("The keys of --pick."), page="reference/picker.md"),
    "plans": Topic(about=later("Saved plans: approval, holding, expiry."), page="reference/plans.md"),
    "reasons": Topic(about=later("The codes of reasons in the settings."), lines=reasons),
    "reject": Topic(about=later("How a rejection goes, step by step."), page="reference/reject.md"),
    "settings": Topic(about=later("Every setting, and where it is looked for."), page="reference/settings.md"),
    "stats": Topic(about=later("What is counted, and how."), page="reference/stats.md"),
    "statuses": Topic(about=later("What the brand and the buyer see, and what can be rejected."), lines=statuses),
    "store": Topic(about=later("The store: checks, guards, roles."), page="reference/store.md"),
}
TOPICS = {**HOW_TO, **REFERENCE}


def _examples(*commands: str) -> Iterator[str]:
    yield say("Examples")
    yield from (f"  {command}" for command in commands)


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(cell_width, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield f"  {'  '.join(padded(text, width) for text, width in zip(row, widths, strict=True))}".rstrip()


def _subclasses(error: type[OrderctlError]) -> Iterable[type[OrderctlError]]:
    for each in error.__subclasses__():
        yield each
        yield from _subclasses(each)
