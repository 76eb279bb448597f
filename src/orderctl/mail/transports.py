"""The ways in which mails leave: what a `Mailer` does, and the mail settings of a profile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from orderctl.delivery.workers import Sender
from orderctl.errors import UnsendableError, UsageError
from orderctl.language import _
from orderctl.settings import Settings

if TYPE_CHECKING:
    from datetime import date
    from email.message import Message

    from orderctl.delivery.workers import Pace
    from orderctl.mail.letters import Composer
    from orderctl.mail.outbox import Letter, Mail


class Mailer(Sender["Mail", bytes], Protocol):
    """One connection that sends mails, and writes them as messages."""

    def write(self, mail: Mail, letter: Letter) -> bytes:
        """The mail as an internet message. Needs no connection. Raises UnsendableError."""


_NO_DOMAIN = "orderctl.invalid"
# A report is larger only with what was returned, and our letters are small.
_MOST_BYTES = 5_000_000


class Mailing:
    """The mail settings of one profile."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._composer: Composer | None = None

    def composer(self) -> Composer:
        """The composer of letters. There is one in a run, so that no template is compiled twice."""
        if self._composer is None:
            from orderctl.mail.letters import Composer

            self._composer = Composer(self._settings.path("mail.templates"), self._settings.text("mail.language"))
        return self._composer

    def check(self) -> None:
        """Raise UsageError unless mail is set up. Nothing is connected to."""
        self.mailer_factory()()
        self.pace()
        self.composer()

    def pace(self, rate: str | None = None) -> Pace:
        """How fast mails are sent: by `rate`, else by the settings. Raises UsageError."""
        from orderctl.delivery.workers import Pace

        given = self._settings.text("mail.rate") if rate is None else rate
        return Pace.parse(given, where="mail.rate" if rate is None else "--rate")

    @staticmethod
    def address(text: str, where: str) -> str:
        """Exactly one e-mail address. Raises UsageError that names `where` it was given."""
        from orderctl.core.addresses import ascii_address

        try:
            return ascii_address(text)
        except UnsendableError as error:
            raise UsageError(f"{where}: {error}", hint=_("write it as name@brand.example")) from None

    def mailer_factory(self, *, copies: bool = True) -> Callable[[], Mailer]:
        """A function that makes the mailer. The settings are checked now. Raises UsageError.

        Without `copies` nobody but the recipient gets a mail.
        """
        settings = self._settings
        transport, sender = settings.text("mail.transport"), settings.text("mail.sender")
        if not transport or not sender:
            missing = "mail.sender" if transport else "mail.transport"
            raise UsageError(
                _("mail is not set up: {missing} is not set", missing=missing),
                hint=_("see orderctl help mail-set-up"),
            )
        if transport == "maildir":
            return self._maildir(sender, copies=copies)
        return self._smtp(sender, copies=copies)

    @property
    def copies(self) -> tuple[str, ...]:
        """The addresses that get a copy of each mail by the settings, each once. Raises UsageError."""
        return tuple(dict.fromkeys(each for key in ("mail.cc", "mail.bcc") for each in self._copies(key)))

    def _copies(self, key: str) -> tuple[str, ...]:
        return tuple(self.address(text, key) for text in self._settings.texts(key))

    def _maildir(self, sender: str, *, copies: bool) -> Callable[[], Mailer]:
        from orderctl.mail.maildir import MaildirMailer

        folder = self._settings.path("mail.maildir")
        if folder is None:
            raise UsageError(_("mail is not set up: mail.maildir is not set"), hint=_("name a folder"))
        reply_to, cc = self._settings.text("mail.reply_to"), self._copies("mail.cc") if copies else ()
        return lambda: MaildirMailer(folder, sender=sender, reply_to=reply_to, cc=cc)

    def _smtp(self, sender: str, *, copies: bool) -> Callable[[], Mailer]:
        from orderctl.mail.smtp import SmtpMailer, SmtpSettings

        text, number = self._settings.text, self._settings.number
        security, ca_file = text("mail.security"), self._settings.path("mail.ca_file")
        smtp = SmtpSettings(
            host=text("mail.host"),
            port=number("mail.port") or (465 if security == "tls" else 587),
            security=security,
            user=text("mail.user") or None,
            password=self._password(),
            sender=sender,
            reply_to=text("mail.reply_to") or None,
            timeout_s=number("mail.timeout") or 30,
            ca_file=str(ca_file) if ca_file else None,
            cc=self._copies("mail.cc") if copies else (),
            bcc=self._copies("mail.bcc") if copies else (),
        )
        return lambda: SmtpMailer(smtp)

    @property
    def message_domain(self) -> str:
        """The domain of Message-IDs: that of the sender."""
        sender = self._settings.text("mail.sender")
        if not sender:
            return _NO_DOMAIN
        from orderctl.core.addresses import domain_of

        return domain_of(sender) or _NO_DOMAIN

    def bounce_messages(self, place: str | None, *, since: date) -> Iterator[Message]:
        """The messages of the mailbox that reports go to: a Maildir, or by the settings perhaps an IMAP folder.

        `since`: an IMAP server is asked for no older ones. Raises UsageError and ServerUnavailableError.
        """
        set_ = self._settings.text("mail.bounces")
        if not (place or set_):
            raise UsageError(
                _("where do reports of mails that came back arrive? mail.bounces is not set"),
                hint=_("name a Maildir, or set mail.bounces: orderctl help mail-set-up"),
            )
        if place or "://" not in set_:
            from orderctl.mail.maildir import read_maildir

            return read_maildir(
                Path(place) if place else self._settings.path("mail.bounces") or Path(), most_bytes=_MOST_BYTES
            )
        from dataclasses import replace

        from orderctl.mail.imap import ImapFolder

        folder, ca_file = ImapFolder.parse(set_, where="mail.bounces"), self._settings.path("mail.ca_file")
        folder = replace(
            folder,
            password=self._bounces_password(folder.user),
            ca_file=str(ca_file) if ca_file else None,
            timeout_s=self._settings.number("mail.timeout") or 30,
        )
        if not folder.password:
            raise UsageError(
                _("there is no password for {user} at {host}", user=folder.user, host=folder.host),
                hint=_("set mail.bounces_password_file or mail.keyring"),
            )
        return folder.messages(since=since, most_bytes=_MOST_BYTES)

    def _bounces_password(self, user: str) -> str | None:
        """The password of the mailbox: its own, or that of the mail server if the login is the same."""
        if self._settings.text("mail.bounces_password_file") or user != self._settings.text("mail.user"):
            return self._settings.secret(file="mail.bounces_password_file", keyring="mail.keyring", user=user)
        return self._password()

    def _password(self) -> str | None:
        """The password of the mail server, from the settings, a private file or the keyring."""
        settings = self._settings
        return settings.text("mail.password") or settings.secret(
            file="mail.password_file", keyring="mail.keyring", user=settings.text("mail.user")
        )
