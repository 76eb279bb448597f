"""Writes mails into a Maildir instead of sending them: for trials, and for a mail system that reads one."""

import mailbox
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from orderctl.domain.errors import MailUnavailableError
from orderctl.domain.outbox import Letter, Mail, MailState, Outcome
from orderctl.mail.message import UnsendableError, build_message

_PRIVATE = 0o700


class MaildirMailer:
    """A Maildir as the way out; see `ports.Mailer`. What it makes, only its owner can read."""

    def __init__(self, path: Path, *, sender: str, reply_to: str | None) -> None:
        self._path = path
        self._sender = sender
        self._reply_to = reply_to

    def __enter__(self) -> Self:
        """Make the folder if it is not there. Raises MailUnavailableError."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            for folder in (self._path, *(self._path / name for name in ("tmp", "new", "cur"))):
                folder.mkdir(mode=_PRIVATE, exist_ok=True)
        except OSError as error:
            raise self._unavailable(error) from error
        return self

    def __exit__(self, *exc: object) -> None:
        """Nothing is held open."""

    def send(self, mail: Mail, letter: Letter) -> Outcome:
        """Write one message, whole or not at all. Raises MailUnavailableError."""
        try:
            message = build_message(mail, letter, sender=self._sender, reply_to=self._reply_to, date=datetime.now(UTC))
            name = mailbox.Maildir(self._path, create=False).add(message)
        except UnsendableError as error:
            return Outcome(state=MailState.REFUSED, detail=str(error))
        except OSError as error:
            raise self._unavailable(error) from error
        return Outcome(state=MailState.SENT, detail=f"written to {self._path / 'new' / name}")

    def _unavailable(self, error: OSError) -> MailUnavailableError:
        return MailUnavailableError(
            f"the Maildir {self._path} cannot be written: {error.strerror or error}", hint="see mail.maildir"
        )
