"""What `orderctl help TOPIC` says: pages of the documentation, and what is made from the registries of the program."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from orderctl import __version__
from orderctl.cli.apps import Page, below, page_of, single
from orderctl.cli.context import Context
from orderctl.core.text import cell_width, close_words, padded, pieces
from orderctl.delivery.outbox import DeliveryState
from orderctl.errors import ExitCode, UsageError
from orderctl.filters.filters import FILTER_FIELDS, Kind
from orderctl.language import N_, _
from orderctl.orders.eligibility import RULES, Mode
from orderctl.orders.orders import Status

_PACKAGE = Path(__file__).parent.parent
# The pages lie beside the modules of an installed program, and in `docs` of a checkout.
_PAGES = _PACKAGE / "pages" if (_PACKAGE / "pages").is_dir() else _PACKAGE.parent.parent / "docs"
# In a terminal a link to another page is the call that shows it.
_LINK = re.compile(r"\[([^\]]+)\]\((?:[\w./-]+/)?([\w-]+)\.md(?:#[\w-]+)?\)")


@dataclass(frozen=True, slots=True)
class Topic:
    """What can be explained: by lines in the operator's language, or by a page of the documentation."""

    about: str
    page: Path | None = None
    lines: Callable[[Context], Iterator[str]] | None = None

    @property
    def text(self) -> str:
        """The page; empty if there is none."""
        return _LINK.sub(r"\1 (`orderctl help \2`)", self.page.read_text("utf-8")) if self.page else ""


def _pages_in(folder: str) -> dict[str, Topic]:
    """The pages of a folder by their names, each with its title."""
    found = {}
    for path in (_PAGES / folder).glob("*.md"):
        with path.open(encoding="utf-8") as page:
            found[path.stem] = Topic(page.readline().strip("# \n").replace("`", ""), path)
    return found


_MAIL_STATES = {
    DeliveryState.HELD: N_("waits until the system of its orders has cancelled them; see: orderctl writeback list"),
    DeliveryState.WAITING: N_("waits for: orderctl mail send"),
    DeliveryState.CLAIMED: N_("a worker has taken it and will send it"),
    DeliveryState.SENDING: N_("it is being handed to the mail server"),
    DeliveryState.SENT: N_("the mail server took it"),
    DeliveryState.REFUSED: N_("the mail server refused it for good; look at the address, then: orderctl mail retry"),
    DeliveryState.RETRY: N_("refused for now; it is tried again by itself"),
    DeliveryState.UNKNOWN: N_(
        "the connection broke before the answer: find out, then: orderctl mail retry, or mail settle"
    ),
    DeliveryState.CANCELLED: N_("somebody decided that it will not be sent"),
    DeliveryState.BOUNCED: N_(
        "taken by the mail server, and came back; mend the address, then: orderctl mail retry --to"
    ),
}


def filters(_context: Context) -> Iterator[str]:
    """The filter language."""
    yield _("Terms side by side mean and; or, not and parentheses work; quotes keep spaces.")
    yield _("Values between commas: any of them. Ranges are written A..B, A.. or ..B.")
    yield _("A bare word is looked for in id, reference, buyer and notes.")
    yield _("There and in a buyer's name, case and the accents of Latin and Greek letters make no difference.")
    yield _('Fields and statuses may be called as screens and files call them: Reference:PO-7*, status:"OC created".')
    yield _("-season:26SS means not season:26SS; on a command line of its own write the latter.")
    yield _("Archived orders are left out unless the filter says archived:.")
    yield ""
    yield from _aligned([(field.example, _(field.about)) for field in FILTER_FIELDS.values()])
    yield ""
    yield _("Values")
    by_kind: dict[Kind, list[str]] = {}
    for field in FILTER_FIELDS.values():
        by_kind.setdefault(field.kind, []).append(field.name)
    for kind, names in by_kind.items():
        words = ", ".join(Status) if kind is Kind.CHOICE else _(kind.value)
        yield from (f"  {', '.join(names)}", f"      {words}")
    yield f"  {', '.join(field.name for field in FILTER_FIELDS.values() if field.may_be_empty)}"
    yield "      " + _("also none (it is empty) and any (it is not)")
    yield ""
    yield from _examples(
        "orderctl search status:needs-oc,oc-created season:26SS",
        "orderctl search 'country:JP or (tag:late not buyer:ac*)'",
        "orderctl search delivery:..-30d total:1000..",
    )


def statuses(_context: Context) -> Iterator[str]:
    """The statuses, and what can be rejected."""
    held = {rule.status: rule for rule in RULES if rule.status is not None}
    titles = (_("STATUS"), _("THE BRAND SEES"), _("THE BUYER SEES"), _("BULK"), _("SINGLE"))
    rows: list[tuple[str, ...]] = [titles]
    for status in Status:
        modes = held[status].modes if status in held else frozenset[Mode]()
        answers = (_("no") if mode in modes else _("yes") for mode in Mode)
        rows.append((status.value, _(status.brand_sees), _(status.buyer_sees), *answers))
    yield from _aligned(rows)
    yield ""
    yield _("Never rejected, neither in bulk nor on its own:")
    for rule in RULES:
        if rule.status is None:
            yield "  " + _("an order that {reason}: {advice}", reason=_(rule.reason), advice=_(rule.advice))


def exit_codes(_context: Context) -> Iterator[str]:
    """The exit codes."""
    yield from _aligned([(str(code.value), _(code.about)) for code in ExitCode])


def mail_states(_context: Context) -> Iterator[str]:
    """How buyers are told."""
    yield _("reject --notify queues a mail for each buyer, in the same transaction as the rejection, and sends it.")
    yield _("A mail that fails stays in the outbox with its error; the rejection stands. Nobody is told twice.")
    yield ""
    yield from _aligned([(state.value, _(_MAIL_STATES[state])) for state in DeliveryState])
    yield ""
    yield from _examples(
        "orderctl mail list --state unknown", "orderctl mail send", "orderctl reject 10021 --notify --message 'Sorry.'"
    )


def reasons(context: Context) -> Iterator[str]:
    """Why orders are rejected, so that it can be counted."""
    codes = context.settings.texts("reasons")
    if codes:
        yield _("--reason begins with one of the codes of the settings: CODE, or 'CODE: words'.")
        yield ""
        yield from (f"  {code}" for code in codes)
    else:
        yield _("--reason takes any text. A list of codes in the settings makes the reasons countable:")
        yield ""
        yield '  reasons = ["style-dropped", "season-closed", "buyer-blocked"]'
    yield ""
    yield from _examples("orderctl reject 10021 --reason 'style-dropped: the mill could not deliver'")


_ROLES = Topic(N_("The SQL of the roles operator, mail worker and auditor"), _PAGES / "postgresql-roles.sql")
_MADE = {
    "exit-codes": Topic(N_("How a script reads the end of a run"), lines=exit_codes),
    "filters": Topic(N_("The filter language: fields and values"), lines=filters),
    "mail-states": Topic(N_("The states of a mail, and what to do"), lines=mail_states),
    "reasons": Topic(N_("The codes of reasons in the settings"), lines=reasons),
    "statuses": Topic(N_("What the brand and the buyer see, and what can be rejected"), lines=statuses),
}
HOW_TO = dict(sorted({**_pages_in("howto"), "postgresql-roles": _ROLES}.items()))
REFERENCE = dict(sorted({**_pages_in("reference"), **_MADE}.items()))
TOPICS = {**HOW_TO, **REFERENCE}


def _examples(*commands: str) -> Iterator[str]:
    yield _("Examples")
    yield from (f"  {command}" for command in commands)


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(cell_width, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield f"  {'  '.join(padded(text, width) for text, width in zip(row, widths, strict=True))}".rstrip()


def suggest_subjects(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:  # noqa: ARG001 - as Typer calls it
    """The topics and the commands, with a few words about each."""
    root: Any = ctx.find_root().command
    commands = {name: command.help for name, command in root.commands.items()}
    return [*({name: topic.about for name, topic in TOPICS.items()} | commands).items()]


@single("orderctl help mail-set-up", "orderctl help exit-codes", "orderctl help mail send")
def help_(
    ctx: typer.Context,
    subject: Annotated[
        list[str] | None,
        typer.Argument(metavar="TOPIC|COMMAND", help="What to explain.", autocompletion=suggest_subjects),
    ] = None,
) -> None:
    """Explain a command or a topic; without either, list them all."""
    context: Context = ctx.obj
    root, words = ctx.find_root(), subject or []
    topic, command = TOPICS.get(" ".join(words)), below(root, words)
    if topic is None and command is None:
        raise _unknown(" ".join(words), root)
    above = str(_with_topics(page_of(root)) if not words else page_of(command)) if command else ""
    if topic and topic.page and context.output.is_terminal:
        page = topic.text if topic.page.suffix == ".md" else f"```\n{topic.text}```"
        from orderctl.terminal.manual_page import draw_page

        draw_page(page, above=above, paged=context.paged)
        return
    if above:
        typer.echo(above)
    if topic:
        context.output.lines(topic.lines(context) if topic.lines else topic.text.splitlines())


def _with_topics(page: Page) -> Page:
    """The page of the program with the topics below."""
    listed = ((_("How to"), HOW_TO), (_("Topics"), REFERENCE))
    topics = {title: [(name, _(topic.about)) for name, topic in group.items()] for title, group in listed}
    return replace(page, options=page.options | topics)


def _unknown(name: str, root: Any) -> UsageError:  # noqa: ANN401 - a context of Typer's
    known = {*TOPICS, *(page.path.partition(" ")[2] for page in pages(root))}
    close = ", ".join(close_words(name, sorted(known), likeness=0.7))
    return UsageError(
        _("there is no command and no topic {subject!r}", subject=name),
        hint=_("did you mean {close}?", close=close) if close else _("orderctl help lists commands and topics"),
    )


@single("orderctl man | man -l -", "orderctl man > orderctl.1")
def man(ctx: typer.Context) -> None:
    """Print the manual page, in the format of man."""
    ctx.obj.output.lines(_roff(ctx.obj, *pages(ctx.find_root())))


def pages(ctx: Any) -> Iterator[Page]:  # noqa: ANN401 - a context of Typer's
    """The pages of a command and of everything below it."""
    yield page_of(ctx)
    for name in getattr(ctx.command, "commands", ()):
        yield from pages(below(ctx, [name]))


def _roff(context: Context, root: Page, *commands: Page) -> Iterator[str]:
    yield f'.TH ORDERCTL 1 "" "orderctl {__version__}" "{_("User commands")}"'
    yield from (".ad l", ".nh")
    yield from (f".SH {_('NAME')}", f"orderctl \\- {_escaped(root.about)}")
    yield from (f".SH {_('SYNOPSIS')}", f".B {_escaped(root.usage)}")
    yield from (f".SH {_('OPTIONS')}", *_rows(root))
    yield f".SH {_('COMMANDS')}"
    for page in commands:
        yield from (f".SS {_escaped(page.usage)}", _escaped(page.about), *_rows(page))
        if page.examples:
            yield from (".PP", _escaped(page.notes or _("Examples:")), ".PP", *_as_written(page.examples))
    for name, topic in TOPICS.items():
        if topic.lines:
            yield from (f".SH {name.upper().replace('-', ' ')}", *_as_written(topic.lines(context)))


def _rows(page: Page) -> Iterator[str]:
    for name, words in chain(*page.options.values()):
        # A list of choices may be longer than a line.
        choices = _escaped(name).replace("|", "|\\:")
        yield from (".TP", f".B {choices}", _escaped(words) or "\\&")


def _as_written(lines: Iterable[str]) -> Iterator[str]:
    yield from (".nf", *(f"  {line}" for line in map(_escaped, lines)), ".fi")


def _escaped(text: str) -> str:
    """Text that roff takes as it is: no escapes, no requests, hyphens that can be copied.

    Between wide characters it may break a line, which it would only do at spaces.
    """
    parts = [part.replace("\\", "\\e").replace("-", "\\-") for part in pieces(text)]
    escaped = "".join(part if part.endswith(" ") else f"{part}\\:" for part in parts).removesuffix("\\:")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
