"""What the services ask of the outside world. Adapters fulfil these; `bootstrap` puts them together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, Self

from orderctl.errors import UnsendableError, UsageError
from orderctl.language import _
from orderctl.settings import Settings

if TYPE_CHECKING:
    from orderctl.mail.letters import Composer
    from orderctl.mail.outbox import Letter, Mail, Outcome
    from orderctl.mail.workers import Pace

# Asked once a mail, just before its server could take it: whether the store knows of it and it is still ours.
Begin = Callable[[], bool]


class Mailer(Protocol):
    """One connection over which mails leave, as a context manager that opens and closes it.

    `connect` and `send` may raise MailUnavailableError: then nothing was handed over.
    """

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...

    @property
    def connected(self) -> bool:
        """Whether the next mail can go over the connection as it is."""

    def connect(self) -> None:
        """Connect anew if that is needed."""

    def write(self, mail: Mail, letter: Letter) -> bytes:
        """The message that a mail is; no connection is needed. Raises UnsendableError."""

    def send(self, mail: Mail, message: bytes, begin: Begin) -> Outcome | None:
        """Hand one mail over and say how that ended; None if `begin` said no, and so nothing was sent."""


_NO_DOMAIN = "orderctl.invalid"


class Mailing:
    """The mail of one profile."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._composer: Composer | None = None

    def composer(self) -> Composer:
        """What turns facts into letters: one for a run, so that no template is compiled twice."""
        if self._composer is None:
            from orderctl.mail.letters import Composer

            self._composer = Composer(self._settings.path("mail.templates"), self._settings.text("mail.language"))
        return self._composer

    def load(self) -> None:
        """Import what composing and sending takes, which is long; nothing is checked."""
        from orderctl.mail import letters  # noqa: F401

        if self._settings.text("mail.transport") != "maildir":
            from orderctl.mail import smtp  # noqa: F401

    def check(self) -> None:
        """Raise UsageError unless mails could leave; nothing is connected to."""
        self.mailer_factory()()
        self.pace()
        self.composer()

    def pace(self, rate: str | None = None) -> Pace:
        """How fast mails leave: as said, or as set. Raises UsageError."""
        from orderctl.mail.workers import Pace

        given = self._settings.text("mail.rate") if rate is None else rate
        return Pace.parse(given, where="mail.rate" if rate is None else "--rate")

    @staticmethod
    def address(text: str, where: str) -> str:
        """Exactly one e-mail address. Raises UsageError naming where it was given."""
        from orderctl.core.addresses import ascii_address

        try:
            return ascii_address(text)
        except UnsendableError as error:
            raise UsageError(f"{where}: {error}", hint=_("write it as name@brand.example")) from None

    def mailer_factory(self) -> Callable[[], Mailer]:
        """How to open the mail transport; checked now, opened later. Raises UsageError if it is not set up."""
        settings = self._settings
        transport, sender = settings.text("mail.transport"), settings.text("mail.sender")
        if not transport or not sender:
            missing = "mail.sender" if transport else "mail.transport"
            raise UsageError(
                _("mail is not set up: {missing} is not set", missing=missing),
                hint=_("see orderctl help mail-set-up"),
            )
        if transport == "maildir":
            return self._maildir(sender)
        return self._smtp(sender)

    def _maildir(self, sender: str) -> Callable[[], Mailer]:
        from orderctl.mail.maildir import MaildirMailer

        folder = self._settings.path("mail.maildir")
        if folder is None:
            raise UsageError(_("mail is not set up: mail.maildir is not set"), hint=_("name a folder"))
        return lambda: MaildirMailer(folder, sender=sender, reply_to=self._settings.text("mail.reply_to"))

    def _smtp(self, sender: str) -> Callable[[], Mailer]:
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
        )
        return lambda: SmtpMailer(smtp)

    @property
    def message_domain(self) -> str:
        """The domain of our Message-IDs: that of the sender."""
        sender = self._settings.text("mail.sender")
        if not sender:
            return _NO_DOMAIN
        from orderctl.core.addresses import domain_of

        return domain_of(sender) or _NO_DOMAIN

    def _password(self) -> str | None:
        """The password of the mail server: as set, from a private file, or from the keyring."""
        settings = self._settings
        return settings.text("mail.password") or secret(
            settings, file="mail.password_file", keyring="mail.keyring", user=settings.text("mail.user")
        )


def secret(settings: Settings, *, file: str, keyring: str, user: str) -> str | None:
    """A secret from the place that the settings name; None if they name none. Raises UsageError."""
    from orderctl.core.secrets import from_keyring, private_text

    if path := settings.path(file):
        return private_text(path, file)
    return from_keyring(user, keyring) if settings.flag(keyring) else None
