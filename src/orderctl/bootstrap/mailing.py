"""Mail put together from the settings: what composes letters, and how they leave."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from orderctl.bootstrap.secrets import secret
from orderctl.domain.errors import UnsendableError, UsageError
from orderctl.language import say
from orderctl.settings import Settings

if TYPE_CHECKING:
    from orderctl.mail.letters import JinjaComposer
    from orderctl.ports import Mailer
    from orderctl.services.pacing import Pace

_NO_DOMAIN = "orderctl.invalid"


class Mailing:
    """The mail of one profile."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._composer: JinjaComposer | None = None

    def composer(self) -> "JinjaComposer":
        """What turns facts into letters: one for a run, so that no template is compiled twice."""
        if self._composer is None:
            from orderctl.mail.letters import JinjaComposer

            self._composer = JinjaComposer(self._settings.path("mail.templates"), self._settings.text("mail.language"))
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

    def pace(self, rate: str | None = None) -> "Pace":
        """How fast mails leave: as said, or as set. Raises UsageError."""
        from orderctl.services.pacing import Pace

        given = self._settings.text("mail.rate") if rate is None else rate
        return Pace.parse(given, where="mail.rate" if rate is None else "--rate")

    @staticmethod
    def address(text: str, where: str) -> str:
        """Exactly one e-mail address. Raises UsageError naming where it was given."""
        from orderctl.mail.addresses import ascii_address

        try:
            return ascii_address(text)
        except UnsendableError as error:
            raise UsageError(f"{where}: {error}", hint=say("write it as name@brand.example")) from None

    def mailer_factory(self) -> "Callable[[], Mailer]":
        """How to open the mail transport; checked now, opened later. Raises UsageError if it is not set up."""
        settings = self._settings
        transport, sender = settings.text("mail.transport"), settings.text("mail.sender")
        if not transport or not sender:
            missing = "mail.sender" if transport else "mail.transport"
            raise UsageError(
                say("mail is not set up: {missing} is not set", missing=missing),
                hint=say("see orderctl help mail-set-up"),
            )
        if transport == "maildir":
            return self._maildir(sender)
        return self._smtp(sender)

    def _maildir(self, sender: str) -> "Callable[[], Mailer]":
        from orderctl.mail.maildir import MaildirMailer

        folder = self._settings.path("mail.maildir")
        if folder is None:
            raise UsageError(say("mail is not set up: mail.maildir is not set"), hint=say("name a folder"))
        return lambda: MaildirMailer(folder, sender=sender, reply_to=self._settings.text("mail.reply_to"))

    def _smtp(self, sender: str) -> "Callable[[], Mailer]":
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
        from orderctl.mail.addresses import domain_of

        return domain_of(sender) or _NO_DOMAIN

    def _password(self) -> str | None:
        """The password of the mail server: as set, from a private file, or from the keyring."""
        settings = self._settings
        return settings.text("mail.password") or secret(
            settings, file="mail.password_file", keyring="mail.keyring", user=settings.text("mail.user")
        )
