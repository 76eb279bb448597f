"""What `orderctl help TOPIC` says, made from the registries that the program itself runs on."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from orderctl.bootstrap.program import Program
from orderctl.domain.eligibility import RULES, Mode
from orderctl.domain.errors import ExitCode, OrderctlError
from orderctl.domain.filters import FILTER_FIELDS, Kind
from orderctl.domain.orders import Status
from orderctl.domain.outbox import MailState
from orderctl.domain.text_width import cell_width, padded
from orderctl.language import later, say

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


def mail(_program: Program) -> Iterator[str]:
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


TOPICS: dict[str, Callable[[Program], Iterator[str]]] = {
    "filters": filters,
    "statuses": statuses,
    "exit-codes": exit_codes,
    "mail": mail,
    "reasons": reasons,
}


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
