"""Sends mails over SMTP, one connection for many, and tells apart how each attempt ended.

yagmail connects and logs in. It does not send: its `send` tries again after a lost connection also when
the server had taken the message, and it attaches files that a text names. The commands of each mail are
spoken here, so that what is certain is told from what nobody can know.
"""

import ipaddress
import smtplib
import socket
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

import yagmail

from orderctl.domain.errors import MailUnavailableError, UsageError
from orderctl.domain.outbox import Letter, Mail, MailState, Outcome
from orderctl.domain.text import safe
from orderctl.mail.addresses import UnsendableError, ascii_address, check_own_addresses, own_address
from orderctl.mail.message import build_message

SECURITIES = ("starttls", "tls", "none")
# RFC 5321: the first digit of a reply.
_YES, _GO_AHEAD, _NOT_NOW, _NEVER = 2, 3, 4, 5
_CLOSING = 421
_LOGIN_WANTED = frozenset({530, 534, 535, 538})
_LONGEST_DETAIL = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpSettings:
    """A mail server and how to log in. Making one raises UsageError if it could not be used."""

    host: str
    port: int
    security: str
    user: str | None
    password: str | None = field(repr=False)
    sender: str
    reply_to: str | None
    timeout_s: float = 30
    max_per_connection: int = 100
    ca_file: str | None = None

    def __post_init__(self) -> None:
        if not self.host:
            raise UsageError("mail is not set up: mail.host is not set", hint="name your mail server")
        if self.security not in SECURITIES:
            raise UsageError(f"mail.security is {self.security!r}", hint=f"one of {', '.join(SECURITIES)}")
        if self.security == "none" and not _is_loopback(self.host):
            raise UsageError(
                f"mail.security = none would send mails to {self.host} for everyone in between to read",
                hint="use starttls or tls; none is for a server on this computer",
            )
        if self.user and not self.password:
            raise UsageError(
                f"there is no password for {self.user} at {self.host}",
                hint="set ORDERCTL_MAIL_PASSWORD, mail.password_file or mail.keyring",
            )
        check_own_addresses(self.sender, self.reply_to)


class SmtpMailer:
    """One SMTP server as the way out; see `ports.Mailer`."""

    def __init__(self, settings: SmtpSettings) -> None:
        self._settings = settings
        self._connection: smtplib.SMTP | None = None
        self._used = 0

    def __enter__(self) -> Self:
        """Connect and log in. Raises MailUnavailableError."""
        self._connected()
        return self

    def __exit__(self, *exc: object) -> None:
        """Say goodbye; after an error just hang up: the server may be in the middle of something."""
        if exc[0] is None:
            self._leave()
        self._drop()

    def send(self, mail: Mail, letter: Letter) -> Outcome:
        """Hand one mail over. Raises MailUnavailableError if no server can be spoken to; then it was not taken."""
        settings = self._settings
        try:
            recipient = ascii_address(mail.recipient)
            message = build_message(
                mail, letter, sender=settings.sender, reply_to=settings.reply_to, date=datetime.now(UTC)
            )
        except UnsendableError as error:
            return Outcome(state=MailState.REFUSED, detail=safe(str(error)))
        if self._used >= settings.max_per_connection:
            self._leave()
        idle = self._used > 0
        try:
            return self._attempt(recipient, message)
        except _Lost as lost:
            self._drop()
            if not (idle and lost.step == "MAIL"):
                return lost.outcome
        # Servers hang up on a connection that was idle: that says nothing about this mail.
        try:
            return self._attempt(recipient, message)
        except _Lost as lost:
            self._drop()
            return lost.outcome

    def _attempt(self, recipient: str, message: bytes) -> Outcome:
        connection = self._connected()
        self._used += 1
        sender = own_address(self._settings.sender, "mail.sender").addr_spec
        outcome = _hand_over(connection, sender, recipient, message)
        if outcome.state is MailState.UNKNOWN:
            self._drop()
        elif outcome.state is not MailState.SENT:
            self._reset(connection)
        return outcome

    def _reset(self, connection: smtplib.SMTP) -> None:
        """Make the server forget the mail that it did not take."""
        try:
            connection.rset()
        except OSError:
            self._drop()

    def _connected(self) -> smtplib.SMTP:
        if self._connection is None:
            self._connection = _log_in(self._settings)
            self._used = 0
        return self._connection

    def _leave(self) -> None:
        if self._connection is not None:
            try:
                self._connection.quit()
            except OSError:
                pass
            finally:
                self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self._used = 0


class _Lost(Exception):  # noqa: N818 - not an error yet: what it means depends on the step
    """The connection ended at this step."""

    def __init__(self, step: str, outcome: Outcome) -> None:
        super().__init__(step)
        self.step = step
        self.outcome = outcome


def _hand_over(connection: smtplib.SMTP, sender: str, recipient: str, message: bytes) -> Outcome:
    """Speak the commands of one mail. Until the final dot is sent the server cannot have taken it."""
    for step, command, good in (
        ("MAIL", f"MAIL FROM:{smtplib.quoteaddr(sender)}", _YES),
        ("RCPT", f"RCPT TO:{smtplib.quoteaddr(recipient)}", _YES),
        ("DATA", "DATA", _GO_AHEAD),
    ):
        code, text = _ask(connection, step, command)
        if code // 100 != good:
            return _refusal(step, code, text, otherwise=MailState.RETRY)
    try:
        connection.send(_stuffed(message))
    except OSError as error:
        raise _Lost("content", _no_answer(MailState.RETRY, "content", error)) from error
    try:
        connection.send(b".\r\n")
        code, reply = connection.getreply()
    except OSError as error:
        raise _Lost("end of data", _no_answer(MailState.UNKNOWN, "end of data", error)) from error
    text = _shown(reply)
    if code // 100 == _YES:
        return Outcome(state=MailState.SENT, detail=f"{code} {text}".strip())
    return _refusal("end of data", code, text, otherwise=MailState.UNKNOWN)


def _ask(connection: smtplib.SMTP, step: str, command: str) -> tuple[int, str]:
    try:
        connection.putcmd(command)
        code, reply = connection.getreply()
    except OSError as error:
        raise _Lost(step, _no_answer(MailState.RETRY, step, error)) from error
    if code == _CLOSING:
        raise _Lost(step, _refusal(step, code, _shown(reply), otherwise=MailState.RETRY))
    if code in _LOGIN_WANTED:
        raise MailUnavailableError(
            f"the mail server wants a login before it takes mails: {code} {_shown(reply)}",
            hint="check mail.user and the password",
        )
    return code, _shown(reply)


def _refusal(step: str, code: int, text: str, *, otherwise: MailState) -> Outcome:
    """What a reply other than yes means; `otherwise` is for one that is no SMTP reply."""
    detail = f"{step}: {code} {text}".strip()
    states = {_NOT_NOW: MailState.RETRY, _NEVER: MailState.REFUSED}
    return Outcome(state=states.get(code // 100, otherwise), detail=detail)


def _no_answer(state: MailState, step: str, error: OSError) -> Outcome:
    fate = "the server may have taken it" if state is MailState.UNKNOWN else "the server did not take it"
    return Outcome(state=state, detail=f"{step}: the connection was lost ({safe(str(error))}); {fate}")


def _shown(reply: bytes) -> str:
    return safe(" ".join(reply.decode("utf-8", "replace").split()))[:_LONGEST_DETAIL]


def _stuffed(message: bytes) -> bytes:
    """The message with a dot doubled where a line begins with one, and ended by a line break (RFC 5321, 4.5.2)."""
    lines = message.removesuffix(b"\r\n").split(b"\r\n")
    return b"".join((b"." + line if line.startswith(b".") else line) + b"\r\n" for line in lines)


def _log_in(settings: SmtpSettings) -> smtplib.SMTP:
    """A connection that is encrypted, checked and logged in. Raises MailUnavailableError."""
    client = _client(settings)
    try:
        client.login()
        connection: smtplib.SMTP = client.smtp
        connection.ehlo_or_helo_if_needed()
        # The final dot goes out by itself, and must not wait for the acknowledgement of the rest.
        if connection.sock is not None:
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        if client.smtp is not None:
            client.smtp.close()
        raise _unavailable(settings, error) from None
    else:
        return connection
    finally:
        # The connection is ours from here: the client's destructor would say goodbye on it.
        client.is_closed = True


def _client(settings: SmtpSettings) -> yagmail.SMTP:
    """The yagmail client, every default of which that asks, guesses or trusts is set."""
    context = _tls(settings)
    return yagmail.SMTP(
        # As a mapping: a bare name would get "@gmail.com" appended.
        user={settings.user or "": settings.user or ""},
        password=settings.password,
        host=settings.host,
        port=settings.port,
        smtp_ssl=settings.security == "tls",
        smtp_starttls={"context": context} if settings.security == "starttls" else False,
        smtp_skip_login=not settings.user,
        soft_email_validation=False,
        timeout=settings.timeout_s,
        **({"context": context} if settings.security == "tls" else {}),
    )


def _tls(settings: SmtpSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:
        raise UsageError(
            f"mail.ca_file: {settings.ca_file} cannot be used: {error.strerror or error}",
            hint="name a file with certificates in PEM form",
        ) from None


def _unavailable(settings: SmtpSettings, error: OSError) -> MailUnavailableError:
    """Why no connection came about, in one sentence, without anything that was sent to log in."""
    where = f"the mail server {settings.host}:{settings.port}"
    match error:
        case ssl.SSLCertVerificationError():
            return MailUnavailableError(
                f"{where} showed a certificate that is not trusted: {error.verify_message}",
                hint="check mail.host; a private authority's certificate goes into mail.ca_file",
            )
        case ssl.SSLError():
            return MailUnavailableError(
                f"{where} did not agree on encryption", hint="check mail.security and mail.port (587 starttls, 465 tls)"
            )
        case smtplib.SMTPAuthenticationError():
            return MailUnavailableError(
                f"{where} refused the login of {settings.user} ({error.smtp_code})",
                hint="check mail.user and the password",
            )
        case smtplib.SMTPNotSupportedError():
            lacking = "starttls" if settings.security == "starttls" else "a login that we know"
            return MailUnavailableError(f"{where} does not offer {lacking}", hint="check mail.security and mail.port")
        case smtplib.SMTPResponseException():
            return MailUnavailableError(f"{where} turned us away ({error.smtp_code})", hint="try again later")
        case TimeoutError():
            why = f"no answer within {settings.timeout_s:g} s"
        case _:
            why = safe(error.strerror or str(error))
    return MailUnavailableError(f"{where} cannot be reached: {why}", hint="check mail.host and mail.port, or try later")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
