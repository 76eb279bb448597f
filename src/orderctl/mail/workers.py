"""Lanes: a connection each, in a thread of its own, that hands over the mails it is given.

A worker never touches the store. It holds one mail at a time, and asks before the moment from which the server
could take it (`Job.begin`); whoever runs the workers answers when the store knows.
"""

import re
import threading
import time
from dataclasses import dataclass, field
from queue import SimpleQueue

from orderctl.core.text import safe
from orderctl.errors import MailUnavailableError, OrderctlError, UnsendableError, UsageError
from orderctl.language import _
from orderctl.mail.outbox import INTERRUPTED, NO_MESSAGE, Letter, Mail, MailState, Outcome
from orderctl.mail.transports import Mailer

# A server that puts mails off is given time: this much after the first, doubled with each one in a row.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 30.0
_LONGEST_REASON = 500
_TROUBLE = frozenset({MailState.RETRY, MailState.UNKNOWN})


@dataclass(slots=True, kw_only=True)
class Job:
    """One mail as it goes to a worker."""

    mail: Mail
    letter: Letter
    message: bytes
    answer: SimpleQueue[bool] = field(default_factory=SimpleQueue)
    begun: bool | None = None

    def begin(self) -> bool:
        """Whether the mail may be sent: waits for the answer at the first call."""
        if self.begun is None:
            self.begun = self.answer.get()
        return self.begun


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a worker reports: a job's end, that it is free for the next, or that it has ended, perhaps by an error."""

    worker: "Worker"
    job: Job | None = None
    outcome: Outcome | None = None
    free: bool = False
    ended: bool = False
    error: BaseException | None = None


class Worker:
    """One connection and its thread. `notices` is where it reports, shared by all workers."""

    def __init__(self, mailer: Mailer, notices: SimpleQueue[Notice]) -> None:
        self._mailer = mailer
        self._notices = notices
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._closing = threading.Event()
        self._in_a_row = 0
        self.job: Job | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def troubles(self) -> int:
        """How many mails in a row the server put off."""
        return self._in_a_row

    @property
    def alive(self) -> bool:
        """Whether its thread runs; one that does not has reported all that it will."""
        return self._thread.is_alive()

    def give(self, job: Job) -> None:
        """Let the worker send this mail; only when it said that it is free."""
        self.job = job
        self._jobs.put(job)

    def close(self) -> None:
        """Let the worker end when its mail is done."""
        self._closing.set()
        self._jobs.put(None)

    def join(self, timeout_s: float) -> None:
        """Wait for the worker to say goodbye to its server."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        job = None
        try:
            with self._mailer as mailer:
                self._notices.put(Notice(worker=self, free=True))
                while (job := self._jobs.get()) is not None:
                    outcome = self._attempt(mailer, job)
                    self._in_a_row = self._in_a_row + 1 if outcome and outcome.state in _TROUBLE else 0
                    free = mailer.connected and not self._in_a_row
                    self._notices.put(Notice(worker=self, job=job, outcome=outcome, free=free))
                    job = None
                    if not free:
                        self._recover(mailer)
                        self._notices.put(Notice(worker=self, free=True))
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - goes on to who runs the workers
            self._notices.put(Notice(worker=self, job=job, ended=True, error=error))
        else:
            self._notices.put(Notice(worker=self, ended=True))

    def _attempt(self, mailer: Mailer, job: Job) -> Outcome | None:
        """Send one mail. What nobody foresaw says nothing about the mails after it."""
        try:
            return mailer.send(job.mail, job.message, job.begin)
        except MailUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - settles this mail
            if job.begun:
                return Outcome(state=MailState.UNKNOWN, detail=INTERRUPTED)
            return unsendable(error)

    def _recover(self, mailer: Mailer) -> None:
        """Give the server time after trouble, then connect anew if need be."""
        if self._in_a_row:
            self._closing.wait(min(_FIRST_PAUSE_S * 2 ** (self._in_a_row - 1), _LONGEST_PAUSE_S))
        if not self._closing.is_set():
            mailer.connect()


def unsendable(error: Exception) -> Outcome:
    """What becomes of a mail that did not get as far as a server.

    What the computer lacks at this moment, a file or memory, is not the mail's fault: it is tried again.
    """
    known = error if isinstance(error, OrderctlError) else None
    why = known or UnsendableError(_(NO_MESSAGE, why=safe(f"{type(error).__name__}: {error}")[:_LONGEST_REASON]))
    lacking = isinstance(error, OSError | MemoryError)
    return Outcome(state=MailState.RETRY if lacking else MailState.REFUSED, detail=why.english)


_SECONDS = {"s": 1, "m": 60, "h": 3600}
_RATE = re.compile(r"([1-9][0-9]{0,8})/([smh])", re.ASCII)


@dataclass(slots=True)
class Pace:
    """A distance in time between two mails; none lets them go as they come."""

    interval_s: float = 0.0
    _next_s: float = 0.0

    @classmethod
    def parse(cls, text: str, *, where: str) -> "Pace":
        """A rate as `30/m`: per second, minute or hour; empty is no limit. Raises UsageError naming `where`."""
        if not text:
            return cls()
        found = _RATE.fullmatch(text)
        if found is None:
            raise UsageError(
                _("{where}: {text!r} is not a rate", where=where, text=text), hint=_("write 5/s, 30/m or 1000/h")
            )
        return cls(_SECONDS[found[2]] / int(found[1]))

    def wait_s(self) -> float:
        """How long until the next mail may go; 0 for now."""
        return max(0.0, self._next_s - time.monotonic()) if self.interval_s else 0.0

    def count(self) -> None:
        """A mail goes now."""
        self._next_s = time.monotonic() + self.interval_s
