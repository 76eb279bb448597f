"""The steps from a plan to its report, for `reject` and `plan run`: preview, confirm, execute, mail, report."""

import os
import re
import shlex
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orderctl.cli.context import Context, maps_folder
from orderctl.cli.options import IgnoreUnknown, MaxOrders, ReportFormat
from orderctl.cli.sources import reason_codes
from orderctl.core.text import safe
from orderctl.core.times import parse_duration
from orderctl.database.connection import Connection
from orderctl.database.store import Store
from orderctl.delivery.outbox import DeliveryReport
from orderctl.errors import (
    CommitUnknownError,
    DeclinedError,
    ExitCode,
    OrderctlError,
    ServerUnavailableError,
    UsageError,
    os_reason,
    reason_of,
)
from orderctl.language import N_, _, enumerated, ngettext
from orderctl.mail.wording import Wording, plain_tag
from orderctl.orders.document import Document
from orderctl.orders.orders import IMPORT_OF
from orderctl.rejection.assess import keys_in
from orderctl.rejection.document import dry_run_document, result_document
from orderctl.rejection.plan import LeftOut, RejectionPlan, RejectionResult, RequestKey
from orderctl.rejection.service import Expectations, Rehearsal, delivered_so_far, mails_left, targets_of
from orderctl.selection.notes import Reason, ReasonCodes
from orderctl.systems.pages import KeptPages
from orderctl.systems.systems import Pullable, SystemSettings, configured
from orderctl.terminal.prompts import can_ask, choose

if TYPE_CHECKING:
    from orderctl.cli.delivery import Delivered, Stopping
    from orderctl.importing.source import FileSource
    from orderctl.rejection.sample_letters import SampleLetter

_EXPECT = re.compile(r"\A(\d{0,9})(\.\.)?(\d{0,9})\Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The options that say what the plan has to be like."""

    strict: Annotated[bool, typer.Option("--strict", help="Refuse if any order cannot be rejected.")] = False
    expect: Annotated[str | None, typer.Option(metavar="N", help="Refuse unless the plan has N, or A..B, orders.")] = (
        None
    )
    max_orders: MaxOrders = None
    ignore_unknown: IgnoreUnknown = False

    def read(self, context: Context) -> Expectations:
        """The expectations; the largest size is that of the settings if none is given. Raises UsageError."""
        return Expectations(
            strict=self.strict,
            expect=_range(self.expect),
            max_orders=context.settings.number("max_orders") if self.max_orders is None else self.max_orders,
            ignore_unknown=self.ignore_unknown,
        )


def _range(text: str | None) -> tuple[int | None, int | None]:
    """The bounds in `--expect`: `300`, `..300`, `10..` or `10..300`. Raises UsageError."""
    if text is None:
        return None, None
    found = _EXPECT.match(text.replace(",", ""))
    if not found or not (found[1] or found[3]) or (found[3] and not found[2]):
        raise UsageError(
            _("--expect {text!r} is not a number or a range", text=text), hint=_("write 300, ..300 or 10..300")
        )
    low = int(found[1]) if found[1] else None
    return low, (int(found[3]) if found[3] else None) if found[2] else low


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The steps after a plan is made, and the options that say how they go.

    `full`: show every order of the plan. `ask_about_mails`: ask whether to mail the buyers. `edit`: open an editor for
    the message to them. `save`: keep the plan instead of executing it. `hold`: execute it that much later.
    `rehearse`: execute it, compose its mails, and take all of it back.
    `recheck`: ask the systems of the orders again just before they are rejected.
    `request`: the caller's key, with what is asked for under it.
    `write`: takes the JSON document of the report; without it the document goes to standard output.
    """

    context: Context
    expected: Expectations
    dry_run: bool
    yes: bool
    as_: ReportFormat
    full: bool = False
    ask_about_mails: bool = False
    edit: bool = False
    save: bool = False
    rehearse: bool = False
    recheck: bool = True
    request: RequestKey | None = None
    hold: timedelta | None = None
    write: Callable[[Document], None] | None = None

    def check_can_ask(self, *, look: str = "--dry-run") -> None:
        """Raise UsageError before the plan is made if it needs a confirmation and there is no terminal to ask on.

        `look` is the option to name that only shows the plan.
        """
        if not (self.yes or self.dry_run or self.save or self.rehearse or can_ask()):
            raise UsageError(
                _("there is no terminal to confirm on, and nothing was changed"),
                hint=_("look with {option}, then say yes with --yes", option=look),
            )

    def show_preview(
        self, store: Store, plan: RejectionPlan, *, ask_about_mails: bool = False, now: datetime | None = None
    ) -> "tuple[SampleLetter, ...]":
        """Show what the plan would do, and note its size in the run log; returns a letter for each language.

        `now` is the time, for a plan that was made earlier.
        """
        self.context.run_log.step("planned", {"targets": plan.targets.count, "skipped": plan.skipped_count})
        auditor = self.context.auditor
        if auditor and plan.targets.count:
            told = _("The auditor gets a checkpoint of the log: {address}.", address=auditor.address)
            self.context.screen.tell(told)
        letters = self.compose_letters(store, plan)
        if not self.context.quiet:
            from orderctl.rejection.preview import plan_preview

            shown = plan_preview(
                plan,
                store=store.label,
                production=self.context.settings.flag("production"),
                letters=letters,
                ask_about_mails=ask_about_mails,
                every=targets_of(store, plan) if self.full else None,
                now=now,
            )
            self.context.screen.insist(shown, long=self.full)
        return letters

    def compose_letters(self, store: Store, plan: RejectionPlan) -> "tuple[SampleLetter, ...]":
        """A sample letter for each language of the plan.

        They are composed even if they are not shown: a missing or broken template stops the plan. Raises UsageError.
        """
        if not plan.mail.mails:
            return ()
        from orderctl.rejection.sample_letters import compose_samples

        return compose_samples(store, self.context.mailing, plan)

    def confirm(self, store: Store, plan: RejectionPlan) -> str:
        """Ask for confirmation of the plan; returns how it was given. Raises DeclinedError."""
        if self.yes or self.rehearse or not plan.targets.count:
            return "--yes"
        from orderctl.rejection.preview import confirm_rejection

        production = self.context.settings.flag("production")
        if not confirm_rejection(plan, store=store.label, production=production):
            raise DeclinedError(_("declined; nothing was changed"))
        return N_("confirmed at the terminal")

    def tell_recheck(self, plan: RejectionPlan) -> None:
        """Say which systems are asked again before anything is written, and which are not.

        Raises UsageError for a system that cannot be told of its orders, as far as that is known without asking it.
        """
        known = configured(self.context.settings) if plan.systems and plan.targets.count else {}
        for each in plan.systems:
            if each.name in known:
                known[each.name].checked()
        asked = [system.name for system in self._asked_again(plan)]
        others = [each.name for each in plan.systems if each.name not in asked]
        if asked:
            words = _(
                "Asked again just before anything is written, what these orders are like there: {listed}.",
                listed=", ".join(asked),
            )
            self.context.screen.tell(words)
        if others:
            listed = ", ".join(others)
            self.context.screen.tell(_("Not asked again before the orders are rejected: {listed}.", listed=listed))

    @contextmanager
    def _rechecked(self, store: Store, plan: RejectionPlan) -> Iterator[Store]:
        """The store with what the systems of the plan say of its orders now, written in the transaction that rejects.

        An order that has changed there has another version then, and is left out. Raises UsageError, OrderctlError.
        """
        from orderctl.importing.service import FileImport, StoreAfterImport

        whole, with_keys = store, {each.name: each for each in plan.systems}
        with ExitStack() as stack:
            for system in self._asked_again(plan):
                with whole.snapshot() as connection:
                    keys = keys_in(connection, plan.targets, with_keys[system.name])
                if not keys:
                    continue
                try:
                    source = stack.enter_context(pulled(self.context, system, list(keys.values())))
                except ServerUnavailableError as error:
                    raise ServerUnavailableError(
                        _("{problem}; nothing was changed", problem=error.message),
                        hint=_("try again later, or reject without asking it: --no-recheck"),
                    ) from error
                _check_answer(system, source, keys)
                file = FileImport(
                    source=source,
                    actor=self.context.actor,
                    clock=self.context.clock,
                    detail=_(IMPORT_OF, file=system.name),
                    said_by=system.name,
                    among=tuple(keys),
                )
                store = StoreAfterImport(store, file)
            yield store

    def _asked_again(self, plan: RejectionPlan) -> list[SystemSettings]:
        """The systems of the plan that are asked again."""
        if not (self.recheck and plan.systems and plan.targets.count):
            return []
        known = configured(self.context.settings)
        systems = [known[each.name] for each in plan.systems if each.name in known]
        return [system for system in systems if isinstance(found := system.connect(), Pullable) and found.by_key]

    def execute(self, store: Store, plan: RejectionPlan, execute: Callable[[Store], RejectionResult]) -> int:
        """Ask the systems again, execute the plan or rehearse it, and conclude; returns the exit code."""
        with self._rechecked(store, plan) as current:
            done = self._rehearsed if self.rehearse else self._executed
            result = done(current, plan, execute)
        figures = {"batch": result.batch_id, "rejected": result.rejected, "skipped": result.plan.skipped_count}
        step = "rehearsed" if self.rehearse else "rejected"
        self.context.run_log.step(step, {**figures, "left_out": len(result.left_out), "mails": result.mails})
        if self.rehearse:
            return self.report(result)
        code = self.report(self._delivered(store, result))
        mailed = self._mail_auditor(store, result.batch_id) if result.batch_id else ExitCode.DONE
        return code or mailed

    def _executed(
        self, store: Store, plan: RejectionPlan, execute: Callable[[Store], RejectionResult]
    ) -> RejectionResult:
        """The result of the plan. From now on the store decides what the end of the run says (`ending.py`)."""
        self.context.begun.append(plan.id)
        try:
            with self.context.screen.progress(N_("Rejecting")):
                result = execute(self.context.audited(store, plan.id))
        except CommitUnknownError:
            raise
        except OrderctlError:
            self.context.begun.remove(plan.id)  # the error itself says that nothing was changed
            raise
        self.context.note_head(result.head)
        return result

    def _rehearsed(
        self, store: Store, plan: RejectionPlan, execute: Callable[[Store], RejectionResult]
    ) -> RejectionResult:
        """What executing the plan and sending its mails gives, if the mail server takes each of them. Nothing stays."""
        from orderctl.cli.delivery import Delivery
        from orderctl.delivery.queries import count_states
        from orderctl.mail.outbox import MAILS, MailQuery
        from orderctl.mail.service import try_delivery

        delivery: DeliveryReport | None = None

        def compose(connection: Connection) -> None:
            nonlocal delivery
            if not any(count_states(connection, MAILS, MailQuery(batch_id=plan.id)).values()):
                return
            try:
                sending = Delivery(batch=plan.id).sending(self.context, lambda: False)
                delivery = try_delivery(connection, sending, progress=progress)
            except (ServerUnavailableError, UsageError) as error:
                delivery = DeliveryReport(stopped=error.sentence)

        with self.context.screen.progress(N_("Rehearsing")) as progress:
            result = execute(Rehearsal(store, compose))
        return replace(result, delivery=delivery, rehearsed=True)

    def conclude_again(self, store: Store, result: RejectionResult) -> int:
        """Send the mails that the first run under a key left, and report what it did; returns the exit code.

        A rehearsal sends none: it reports how they stand.
        """
        batch = result.plan.id
        used = _("the key was used by batch {batch}: its result follows, nothing is rejected", batch=batch)
        self.context.screen.tell(used)
        self.context.run_log.step("repeated", {"batch": batch})
        if result.mails:
            send = mails_left(store, batch) and not self.rehearse
            last = self._delivered(store, result) if send else result
            result = delivered_so_far(store, last)
        return self.report(result)

    def _delivered(self, store: Store, result: RejectionResult) -> RejectionResult:
        """The result after its systems were told and its mails sent, or could not be: what is left waits."""
        if result.batch_id is None:
            return result
        from orderctl.cli.delivery import Delivery, deliver_mails, tell_systems

        wanted = Delivery(batch=result.batch_id)
        if result.writebacks:
            told = _sent(
                lambda stop: tell_systems(self.context, store, stop, wanted, configured(self.context.settings)),
                lambda sent: sent.writebacks,
                lambda told: self.report(replace(result, written_back=told)),
                _("interrupted; what is left waits for: orderctl writeback send, orderctl mail send"),
            )
            result = replace(result, written_back=told)
        if result.mails:
            mailed = _sent(
                lambda stop: deliver_mails(self.context, store, stop, wanted),
                lambda sent: sent.mails,
                lambda mailed: self.report(replace(result, delivery=mailed)),
                _("interrupted; the mails that are left wait for: orderctl mail send"),
            )
            result = replace(result, delivery=mailed)
        return result

    def _mail_auditor(self, store: Store, batch_id: str) -> int:
        """Send the auditor the checkpoint that the batch queued, if there is one to be told; returns the exit code."""
        auditor = self.context.auditor
        if auditor is None:
            return ExitCode.DONE
        from orderctl.audit.service import mails_to_auditor
        from orderctl.cli.delivery import Delivery, deliver_mails

        to, screen = auditor.address, self.context.screen
        if not self.context.settings.text("mail.transport"):
            screen.tell(_("the checkpoint for {auditor} waits for: orderctl mail send", auditor=to))
            return ExitCode.DONE
        delivery = _sent(
            lambda stop: deliver_mails(self.context, store, stop, Delivery(batch=mails_to_auditor(batch_id))),
            lambda sent: sent.mails,
            lambda _mailed: None,
            _("interrupted; the mails that are left wait for: orderctl mail send"),
        )
        if delivery.complete:
            screen.tell(_("the checkpoint was mailed to {auditor}", auditor=to))
        else:
            told = _("the checkpoint for {auditor} is not sent yet; see: orderctl mail list", auditor=to)
            screen.warn(f"{told} ({delivery.stopped})" if delivery.stopped else told)
        return delivery.exit_code

    def report(self, result: RejectionResult) -> int:
        """Report what a batch did; returns the exit code."""
        if self.as_ != "text":
            self.write_document(result_document(result))
        else:
            from orderctl.rejection.preview import result_report

            self.context.screen.show(result_report(result))
        if result.unselected:
            taken_out = ngettext(
                "{number:,} order taken out of the selection {name}",
                "{number:,} orders taken out of the selection {name}",
                result.unselected,
                name=enumerated(result.plan.by.selections),
            )
            self.context.screen.tell(taken_out)
        if self.rehearse:
            self.context.screen.insist(_("That was a rehearsal: nothing was changed, and nobody was told."))
        return result.exit_code

    def report_dry_run(
        self, plan: RejectionPlan, letters: "Sequence[SampleLetter]" = (), changed: Sequence[LeftOut] | None = None
    ) -> int:
        """Report that nothing was done, after the preview; as JSON with the plan. Returns the exit code."""
        if self.as_ != "text":
            self.write_document(dry_run_document(plan, letters, changed))
        else:
            self.context.screen.tell(_("A dry run: nothing was changed."))
        return ExitCode.DONE

    def write_document(self, document: Document) -> None:
        """Write a report as JSON, to standard output or to `write`."""
        if self.write is not None:
            self.write(document)
        else:
            self.context.output.document(document, self.as_)

    def read_reason(self, store: Store, text: str, *, every_order_has_one: bool) -> Reason:
        """The reason. Where the settings or the store's policy list codes, it has to begin with one of them.

        If none is given, the operator chooses one; a dry run, and orders that each have a reason, need none.
        Raises UsageError.
        """
        codes = reason_codes(self.context, store)
        if not text.strip():
            if not codes.words or self.dry_run or every_order_has_one:
                return Reason()
            if self.yes or not can_ask():
                raise UsageError(_("a reason is missing"), hint=_hint(codes))
            text = choose(_("Why are they rejected?"), codes.words)
        try:
            return codes.read(text)
        except ValueError as error:
            raise UsageError(
                _("--reason {problem}", problem=error), hint=_hint(codes) if codes.words else _("shorten it")
            ) from None


@contextmanager
def pulled(
    context: Context, system: SystemSettings, keys: Sequence[str] | None = None, kept: KeptPages | None = None
) -> "Iterator[FileSource]":
    """The orders as the system has them now: of these keys, or all, those pages included that an earlier pull kept.

    Raises UsageError and ServerUnavailableError.
    """
    from orderctl.importing.figures import SourceRequest
    from orderctl.importing.source import open_rows

    connected = system.connect()
    if not isinstance(connected, Pullable):
        raise UsageError(
            _("orders cannot be read out of {system}: it is of the kind {kind}", system=system.name, kind=system.kind),
            hint=_("import a file of it: orderctl import FILE --source {system}", system=system.name),
        )
    read_at, map_ = context.clock.now(), system.text("map") or connected.map_name
    with context.screen.progress(_("Reading {system}", system=system.name)) as reading, connected:
        request, rows = SourceRequest(kept_maps=maps_folder()), connected.orders(keys, kept)
        source = open_rows(system.name, rows, request, map_=map_, read_at=read_at, progress=reading)
    with source:
        yield source


def _check_answer(system: SystemSettings, source: "FileSource", keys: Mapping[str, str]) -> None:
    """Raise OrderctlError unless the answer is about these orders, and whole."""
    if source.figures.problems:
        raise OrderctlError(
            _("what {system} says of these orders cannot be read; nothing was changed", system=system.name),
            hint=_(
                "look: orderctl pull {system} --check; or reject without asking it: --no-recheck", system=system.name
            ),
        )
    other = next((order for order in source.orders() if order.id not in keys), None)
    if other is not None:
        of_keys = {key: order_id for order_id, key in keys.items()}
        here = of_keys.get(other.reference) or of_keys.get(other.id) or next(iter(keys))
        raise UsageError(
            _(
                "{system} is asked again, and what is {here!r} in this store is {id!r} by the column map {map}",
                system=system.name,
                here=safe(here),
                id=safe(other.id),
                map=source.map_name,
            ),
            hint=_(
                "name the map that its orders were imported with: systems.{name}.map; or do not ask: --no-recheck",
                name=system.name,
            ),
        )


def _sent(
    send: "Callable[[Stopping], Delivered]",
    of: "Callable[[Delivered], DeliveryReport | None]",
    show: Callable[[DeliveryReport | None], object],
    left: str,
) -> DeliveryReport:
    """The report of `send`. The rejection is committed, so an error becomes the report; a stop ends the run."""
    from orderctl.cli.delivery import Stopped, Stopping

    try:
        with Stopping() as stop:
            sent = send(stop)
        stop.check(sent)
    except Exception as error:  # noqa: BLE001
        return DeliveryReport(stopped=error.sentence if isinstance(error, OrderctlError) else reason_of(error))
    except Stopped:
        show(of(sent))
        raise
    except KeyboardInterrupt:
        show(None)
        raise KeyboardInterrupt(left) from None
    return of(sent) or DeliveryReport()


def _hint(codes: ReasonCodes) -> str:
    return _("--reason CODE or 'CODE: words'; the codes: {codes}", codes=codes)


MAX_MESSAGE = 20_000
_OF_LANGUAGE = re.compile(r"\A([a-z]{2,3}(?:[-_][a-z0-9]{2,8})*)=(.+)\Z", re.ASCII | re.IGNORECASE | re.DOTALL)
_COMMENT = N_("# The buyers read what stands above. Save an empty file to send no message.")


def read_hold(text: str | None) -> timedelta | None:
    """The length of time in `--hold 15m`. Raises UsageError."""
    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise UsageError(
            _("--hold {text!r} {problem}", text=text, problem=error), hint=_("for example: --hold 15m")
        ) from None


def read_message(text: str | None, files: Sequence[str], *, edit: bool) -> Wording:
    """The operator's message, and those by language, as plain text; empty if there is none yet.

    A file is `FILE` for all buyers, or `LANGUAGE=FILE` for those of one language. Raises UsageError for two messages
    for the same buyers, and for a file that is not UTF-8 text.
    """
    named = [(found[1], found[2]) for file in files if (found := _OF_LANGUAGE.match(file))]
    for_all = [file for file in files if not _OF_LANGUAGE.match(file)]
    if (text is not None) + len(for_all) + edit > 1:
        raise UsageError(
            _("--message, --message-file and --edit are three ways of one message"),
            hint=_("give one of them, or a message for each language: --message-file de=FILE"),
        )
    tags = Counter(plain_tag(tag) for tag, __ in named)
    if twice := [tag for tag, number in tags.items() if number > 1]:
        raise UsageError(
            _("--message-file gives two messages in {language!r}", language=twice[0]), hint=_("give one of them")
        )
    by_language = {plain_tag(tag): words for tag, file in named if (words := _read_file(file))}
    general = _read_file(for_all[0]) if for_all else _checked(text or "", _("the message"))
    return Wording(for_all=general, by_language=by_language)


def _read_file(file: str) -> str:
    try:
        with Path(file).open("rb") as stream:
            return _checked(stream.read(4 * MAX_MESSAGE + 4).decode("utf-8-sig"), file)
    except OSError as error:
        raise UsageError(
            _("{file} cannot be read: {problem}", file=file, problem=os_reason(error)), hint=_("check the path")
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(
            _("{file} is not UTF-8 text, byte {position}", file=file, position=error.start + 1),
            hint=_("save it as UTF-8"),
        ) from error


def edit_message() -> str:
    """The message that the operator writes in their editor. Raises UsageError if the editor cannot be started."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="orderctl-") as folder:
        path = Path(folder) / "message.txt"
        comment = f"\n{_(_COMMENT)}\n"
        path.write_text(comment, encoding="utf-8")
        try:
            subprocess.run([*shlex.split(editor), str(path)], check=True)  # noqa: S603 - the user's own editor
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            raise UsageError(
                _("the editor {editor!r} failed", editor=editor), hint=_("set EDITOR, or use --message-file")
            ) from error
        return _checked(path.read_text(encoding="utf-8").replace(comment, "\n"), _("the message"))


def _checked(text: str, where: str) -> str:
    message = text.replace("\r\n", "\n").strip()
    if len(message) > MAX_MESSAGE:
        raise UsageError(
            _("{what} is longer than {most:,} characters", what=where, most=MAX_MESSAGE), hint=_("shorten it")
        )
    if "\0" in message:
        raise UsageError(_("{what} holds a NUL character", what=where), hint=_("take it out"))
    return message
