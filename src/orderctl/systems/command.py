"""A program of the user's own as a system: it reads a cancellation as a JSON line, and answers with one."""

import json
import shlex
import shutil
import subprocess
import threading
from typing import IO, Self

from orderctl.core.text import safe
from orderctl.delivery.outbox import DeliveryState, Item, Outcome
from orderctl.delivery.workers import Begin
from orderctl.errors import ServerSetupError, ServerUnavailableError, UsageError, os_reason
from orderctl.language import _
from orderctl.systems.systems import (
    CANCELLED_THERE,
    CONFLICT,
    NO_ANSWER,
    NOT_NOW,
    UNREACHABLE,
    WAS_CANCELLED,
    Cancellation,
    SystemSettings,
    cancellation_document,
)

_LONGEST_REPLY, _LONGEST_REASON = 65_536, 300


class CommandSystem:
    """Starts the program when it is first needed, and gives it one order at a time.

    It reads one JSON object a line, and answers each with one: `{"id": …, "outcome": "cancelled"}`, or `"already"`,
    `"refused"`, `"later"`, with a `detail`. An answer that does not come in time is unknown.
    """

    def __init__(self, settings: SystemSettings) -> None:
        """Raises UsageError if no program is named."""
        try:
            self._call = shlex.split(settings.needed("command", _("such as: command = 'python3 /opt/cancel.py'")))
        except ValueError as error:
            raise UsageError(
                _("systems.{name}.command cannot be read: {error}", name=settings.name, error=error),
                hint=_("check the quotes"),
            ) from None
        self._name = settings.name
        self._timeout_s = settings.number("timeout")
        self._process: subprocess.Popen[str] | None = None

    def check(self) -> None:
        """Raise UsageError if there is no such program."""
        if not self._call or shutil.which(self._call[0]) is None:
            raise UsageError(
                _(
                    "systems.{name}.command: there is no program {program}",
                    name=self._name,
                    program=safe(self._call[0] if self._call else ""),
                ),
                hint=_("check the path, and that you may run it"),
            )

    def __enter__(self) -> Self:
        """Start the program. Raises ServerSetupError."""
        self.connect()
        return self

    def __exit__(self, *exc: object) -> None:
        """End of its input; it is given some time to end."""
        process, self._process = self._process, None
        if process is None:
            return
        with process:
            try:
                if process.stdin:
                    process.stdin.close()
                process.wait(self._timeout_s)
            except (OSError, subprocess.TimeoutExpired):
                process.kill()

    @property
    def connected(self) -> bool:
        """Whether the program runs."""
        return self._process is not None and self._process.poll() is None

    def connect(self) -> None:
        """Start the program unless it runs. Raises ServerSetupError."""
        if self.connected:
            return
        self.__exit__()  # the pipes of one that ended
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the user's own program
                self._call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", bufsize=1
            )
        except OSError as error:
            raise ServerSetupError(
                _(UNREACHABLE, system=self._name, why=os_reason(error)),
                hint=_("check systems.{name}.command", name=self._name),
            ) from error

    def send(self, _item: Item, cancellation: Cancellation, begin: Begin) -> Outcome | None:
        """Give the program one order and read its answer. Raises ServerUnavailableError if it does not run."""
        process = self._process
        if process is None or process.poll() is not None or process.stdin is None or process.stdout is None:
            raise ServerUnavailableError(
                _(UNREACHABLE, system=self._name, why=_("the program ended")),
                hint=_("check systems.{name}.command", name=self._name),
            )
        if not begin():
            return None
        try:
            process.stdin.write(json.dumps(cancellation_document(cancellation)) + "\n")
            process.stdin.flush()
            reply = self._reply(process.stdout)
        except OSError as error:
            return self._unknown(os_reason(error))
        if reply is None:
            process.kill()
            return self._unknown(_("no line within {number} s", number=self._timeout_s))
        if not reply.endswith("\n"):
            return self._unknown(_("the program ended"))
        return self._outcome(cancellation, reply)

    def _reply(self, stdout: IO[str]) -> str | None:
        """The next line; empty at the end, None if there was none in time."""
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.append(stdout.readline(_LONGEST_REPLY)), daemon=True)
        reader.start()
        reader.join(self._timeout_s)
        return lines[0] if lines else None

    def _outcome(self, cancellation: Cancellation, reply: str) -> Outcome:
        try:
            answer = json.loads(reply)
            said, detail, answers = str(answer["outcome"]), str(answer.get("detail", "")), answer.get("id")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return self._unknown(_("its answer is not a JSON object with an outcome"))
        if answers not in (None, cancellation.id):
            return self._unknown(_("it answered about another order"))
        why = safe(detail)[:_LONGEST_REASON] or said
        known = {
            "cancelled": (DeliveryState.SENT, _(CANCELLED_THERE, system=self._name)),
            "already": (DeliveryState.SENT, _(WAS_CANCELLED, system=self._name)),
            "refused": (DeliveryState.REFUSED, _(CONFLICT, system=self._name, why=why)),
            "later": (DeliveryState.RETRY, _(NOT_NOW, system=self._name, why=why)),
        }
        if said not in known:
            return self._unknown(_("its outcome is {said!r}", said=safe(said)[:_LONGEST_REASON]))
        state, words = known[said]
        return Outcome(state=state, detail=words)

    def _unknown(self, why: str) -> Outcome:
        return Outcome(state=DeliveryState.UNKNOWN, detail=_(NO_ANSWER, system=self._name, why=why))
