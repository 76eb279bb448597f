"""Writes mails into a Maildir instead of sending them, for trials and for mail systems that read one."""

import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message
from errno import ENOTDIR
from pathlib import Path
from typing import Self

from orderctl.core.addresses import check_own_addresses
from orderctl.delivery.outbox import DeliveryState, Outcome
from orderctl.delivery.workers import Begin
from orderctl.errors import ServerUnavailableError, UsageError, os_reason
from orderctl.language import _
from orderctl.mail.message import build_message
from orderctl.mail.outbox import NO_MAILDIR, WRITTEN, Letter, Mail

_PRIVATE = 0o700


class MaildirMailer:
    """A `Mailer` that writes to a Maildir. Only the owner can read what it creates."""

    def __init__(self, path: Path, *, sender: str, reply_to: str | None, cc: tuple[str, ...] = ()) -> None:
        """Raises UsageError if an address is not valid."""
        check_own_addresses(sender, reply_to)
        self._path = path
        self._sender = sender
        self._reply_to = reply_to
        self._cc = cc

    def __enter__(self) -> Self:
        """Create the folder if it is missing. Raises ServerUnavailableError."""
        self.connect()
        return self

    def __exit__(self, *exc: object) -> None:
        """Nothing is held open."""

    @property
    def connected(self) -> bool:
        """Always true."""
        return True

    def connect(self) -> None:
        """Create the folder if it is missing. Raises ServerUnavailableError."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            for folder in (self._path, *(self._path / name for name in ("tmp", "new", "cur"))):
                folder.mkdir(mode=_PRIVATE, exist_ok=True)
                if folder is not self._path and folder.is_symlink():
                    # A link would let somebody else decide where our mails go.
                    raise NotADirectoryError(ENOTDIR, _("it holds a link instead of a folder"), str(folder))
        except OSError as error:
            raise self._unavailable(error) from error

    def write(self, mail: Mail, letter: Letter) -> bytes:
        """The message as bytes. Raises UnsendableError."""
        return build_message(mail, letter, sender=self._sender, reply_to=self._reply_to, cc=self._cc)

    def send(self, mail: Mail, message: bytes, begin: Begin) -> Outcome | None:  # noqa: ARG002 - it names its recipient
        """Write one message, whole or not at all. Raises ServerUnavailableError."""
        if not begin():
            return None
        try:
            written = self._write(message.replace(b"\r\n", b"\n"))
        except OSError as error:
            raise self._unavailable(error) from error
        return Outcome(state=DeliveryState.SENT, detail=_(WRITTEN, path=written))

    def _write(self, message: bytes) -> Path:
        """Write to `tmp`, then move to `new` once all of it is on the disk, as Maildir requires."""
        name = f"{int(datetime.now(UTC).timestamp())}.{secrets.token_hex(16)}.orderctl"
        unfinished, finished = self._path / "tmp" / name, self._path / "new" / name
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(message)
            file.flush()
            os.fsync(file.fileno())
        return unfinished.rename(finished)

    def _unavailable(self, error: OSError) -> ServerUnavailableError:
        return ServerUnavailableError(
            _(NO_MAILDIR, path=self._path, why=os_reason(error)),
            hint=_("see mail.maildir"),
        )


def read_maildir(path: Path, *, most_bytes: int) -> Iterator[Message]:
    """The messages of a Maildir, none larger than `most_bytes`. Nothing is changed. Raises UsageError."""
    folders = [path / name for name in ("new", "cur")]
    if not all(folder.is_dir() for folder in folders):
        raise UsageError(
            _("{path} is not a Maildir: it has no folders new and cur", path=path), hint=_("check the path")
        )
    try:
        names = sorted(each for folder in folders for each in folder.iterdir() if not each.name.startswith("."))
    except OSError as error:
        raise UsageError(
            _("the Maildir {path} cannot be read: {why}", path=path, why=os_reason(error)), hint=_("check the path")
        ) from None
    for name in names:
        try:
            if name.is_file() and name.stat().st_size <= most_bytes:
                yield message_from_bytes(name.read_bytes())
        except FileNotFoundError:
            pass  # a mail program moved it; the next run finds it
        except OSError as error:
            raise UsageError(
                _("{path} cannot be read: {why}", path=name, why=os_reason(error)),
                hint=_("let this user read the Maildir"),
            ) from None
