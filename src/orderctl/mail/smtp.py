"""Sends mails over SMTP, one connection for many, and tells apart how each attempt ended.

yagmail connects and logs in. It does not send: its `send` tries again after a lost connection also when
the server had taken the message, and it attaches files that a text names. The commands of each mail are
spoken here, so that what is certain is told from what nobody can know.
"""

import ipaddress
import smtplib
import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import Self

import yagmail

from orderctl.core.addresses import ascii_address, check_own_addresses, own_address
from orderctl.core.text import safe
from orderctl.errors import MailSetupError, MailUnavailableError, UsageError, os_reason
from orderctl.language import _
from orderctl.mail.message import build_message
from orderctl.mail.outbox import (
    LOGIN_REFUSED,
    LOGIN_WANTED,
    NO_ENCRYPTION,
    NO_LOGIN,
    NO_STARTTLS,
    NOT_TAKEN,
    PERHAPS_TAKEN,
    TURNED_AWAY,
    UNREACHABLE,
    UNTRUSTED,
    Letter,
    Mail,
    MailState,
    Outcome,
)
from orderctl.mail.transports import Begin

SECURITIES = ("starttls", "tls", "none")
# RFC 5321: the first digit of a reply.
_YES, _GO_AHEAD, _NOT_NOW, _NEVER = 2, 3, 4, 5
_CLOSING = 421
_NO_REPLY = -1  # what smtplib makes of a line that is no reply
_LOGIN_WANTED = frozenset({530, 534, 535, 538})
_LONGEST_DETAIL = 500
# No reply of a server that means well is longer.
_MOST_LINES, _MOST_BYTES, _AT_ONCE = 100, 64 * 1024, 4096


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
            raise UsageError(_("mail is not set up: mail.host is not set"), hint=_("name your mail server"))
        if not _can_be_asked_for(self.host):
            raise UsageError(
                _("mail.host: {host!r} is no name of a server", host=self.host), hint=_("name your mail server")
            )
        if self.security not in SECURITIES:
            raise UsageError(
                _("mail.security is {security!r}", security=self.security),
                hint=_("one of {known}", known=", ".join(SECURITIES)),
            )
        if self.security == "none" and not _is_loopback(self.host):
            raise UsageError(
                _("mail.security = none would send mails to {host} for everyone in between to read", host=self.host),
                hint=_("use starttls or tls; none is for a server on this computer"),
            )
        if self.user and not self.password:
            raise UsageError(
                _("there is no password for {user} at {host}", user=self.user, host=self.host),
                hint=_("set ORDERCTL_MAIL_PASSWORD, mail.password_file or mail.keyring"),
            )
        if not f"{self.user or ''}{self.password or ''}".isascii():
            raise UsageError(
                _("the login of {user} at {host} is not in ASCII", user=self.user, host=self.host),
                hint=_("check mail.user and the password"),
            )
        if self.ca_file:
            _tls(self)
        check_own_addresses(self.sender, self.reply_to)


class _Replies:
    """A server's lines, read in place of the file that smtplib reads: a reply has a longest size and a deadline.

    smtplib bounds neither, and a socket's timeout begins anew with each byte.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._unread = b""
        self._deadline = 0.0
        self._lines = self._bytes = 0

    def begin(self, timeout_s: float) -> None:
        """The next reply is to be complete within this time."""
        self._deadline = time.monotonic() + timeout_s
        self._lines = self._bytes = 0

    def readline(self, most: int) -> bytes:
        """A line, or as much of it as is wanted; empty at the end. Raises OSError for a reply that is too much."""
        while b"\n" not in self._unread and len(self._unread) < most:
            _wait_until(self._sock, self._deadline)
            received = self._sock.recv(_AT_ONCE)
            if not received:
                break
            self._unread += received
        end = min(self._unread.find(b"\n") + 1 or len(self._unread), most)
        line, self._unread = self._unread[:end], self._unread[end:]
        self._lines += 1
        self._bytes += len(line)
        if self._lines > _MOST_LINES or self._bytes > _MOST_BYTES:
            raise OSError("its reply has no end")
        return line

    def close(self) -> None:
        """The socket is closed by its owner."""


class _Bounded(smtplib.SMTP):
    """A connection on which each reply, and each write, has its time and its size."""

    timeout: float
    file: _Replies | None

    def getreply(self) -> tuple[int, bytes]:
        """See `smtplib`."""
        if self.file is None and self.sock is not None:
            self.file = _Replies(self.sock)
        if self.file is not None:
            self.file.begin(self.timeout)
        return super().getreply()

    def send(self, s: bytes | str) -> None:  # type: ignore[override]
        """See `smtplib`. All of it is sent within the time of one step."""
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("not connected")
        left = memoryview(s.encode(self.command_encoding) if isinstance(s, str) else s)
        deadline = time.monotonic() + self.timeout
        try:
            while left:
                _wait_until(self.sock, deadline)
                left = left[self.sock.send(left) :]
        except OSError as error:
            self.close()
            raise smtplib.SMTPServerDisconnected(str(error)) from error


class _BoundedTls(_Bounded, smtplib.SMTP_SSL):
    """The same, encrypted from its first byte."""


class _Client(yagmail.SMTP):  # type: ignore[misc]
    """yagmail's client over our connections."""

    @property
    def connection(self) -> type[smtplib.SMTP]:
        """See `yagmail`."""
        return _BoundedTls if self.ssl else _Bounded


def _wait_until(sock: socket.socket, deadline: float) -> None:
    """Let the socket wait until then, and no longer. Raises TimeoutError if it has passed."""
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("timed out")
    sock.settimeout(left_s)


class SmtpMailer:
    """One connection to an SMTP server as the way out; see `Mailer`."""

    def __init__(self, settings: SmtpSettings) -> None:
        self._settings = settings
        self._connection: smtplib.SMTP | None = None
        self._used = 0

    def __enter__(self) -> Self:
        """Connect and log in. Raises MailUnavailableError."""
        self.connect()
        return self

    def __exit__(self, *exc: object) -> None:
        """Say goodbye; after an error just hang up: the server may be in the middle of something."""
        if exc[0] is None:
            self._leave()
        self._drop()

    @property
    def connected(self) -> bool:
        """Whether the next mail can go over the connection as it is."""
        return self._connection is not None and self._used < self._settings.max_per_connection

    def connect(self) -> None:
        """Connect anew if the connection ended or has carried enough. Raises MailUnavailableError."""
        if not self.connected:
            self._leave()
            self._connection = _log_in(self._settings)
            self._used = 0

    def write(self, mail: Mail, letter: Letter) -> bytes:
        """See `ports.Mailer`."""
        return build_message(mail, letter, sender=self._settings.sender, reply_to=self._settings.reply_to)

    def send(self, mail: Mail, message: bytes, begin: Begin) -> Outcome | None:
        """Hand one mail over; see `Mailer`."""
        recipient = ascii_address(mail.recipient)
        idle = self._used > 0
        try:
            return self._attempt(recipient, message, begin)
        except _Lost as lost:
            self._drop()
            if not (idle and lost.step == "MAIL"):
                return lost.outcome
        # Servers hang up on a connection that was idle: that says nothing about this mail.
        try:
            return self._attempt(recipient, message, begin)
        except _Lost as lost:
            self._drop()
            return lost.outcome

    def _attempt(self, recipient: str, message: bytes, begin: Begin) -> Outcome | None:
        self.connect()
        connection = self._connection
        assert connection is not None  # noqa: S101 - for the type checker: `connect` made it
        self._used += 1
        try:
            sender = own_address(self._settings.sender, "mail.sender").addr_spec
            refused = _address(connection, sender, recipient)
            if refused is None and not begin():
                # The server waits for the content: only hanging up tells it that there is none.
                self._drop()
                return None
            outcome = refused or _hand_over(connection, message)
        except Exception:
            # The server may be in the middle of something.
            self._drop()
            raise
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


def _address(connection: smtplib.SMTP, sender: str, recipient: str) -> Outcome | None:
    """Speak the commands before the content; None if the server waits for it, else why not.

    Where the server offers PIPELINING (RFC 2920) they go out in one write, and are answered in one go;
    the first refusal counts, as it does one by one.
    """
    steps = (
        ("MAIL", f"MAIL FROM:<{sender}>", _YES),
        ("RCPT", f"RCPT TO:<{recipient}>", _YES),
        ("DATA", "DATA", _GO_AHEAD),
    )
    at_once = connection.has_extn("pipelining")
    if at_once:
        _speak(connection, "MAIL", "\r\n".join(command for _step, command, _good in steps))
    refused = None
    for step, command, good in steps:
        if not at_once:
            _speak(connection, step, command)
        try:
            code, text = _reply(connection, step)
            if refused and code // 100 == _GO_AHEAD:
                # Nobody is to get anything: an empty content ends it.
                _speak(connection, step, ".")
                _reply(connection, step)
        except _Lost as lost:
            raise _Lost(step, refused or lost.outcome) from lost
        if code // 100 != good:
            refused = refused or _refusal(step, code, text, otherwise=MailState.RETRY)
            if not at_once:
                break
    return refused


def _hand_over(connection: smtplib.SMTP, message: bytes) -> Outcome:
    """Send the content. Until the final dot is sent the server cannot have taken it."""
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


def _speak(connection: smtplib.SMTP, step: str, command: str) -> None:
    try:
        connection.send(f"{command}\r\n".encode("ascii"))
    except OSError as error:
        raise _Lost(step, _no_answer(MailState.RETRY, step, error)) from error


def _reply(connection: smtplib.SMTP, step: str) -> tuple[int, str]:
    try:
        code, reply = connection.getreply()
    except OSError as error:
        raise _Lost(step, _no_answer(MailState.RETRY, step, error)) from error
    text = _shown(reply)
    if code in (_CLOSING, _NO_REPLY):
        raise _Lost(step, _refusal(step, code, text, otherwise=MailState.RETRY))
    if code in _LOGIN_WANTED:
        raise MailSetupError(
            _(LOGIN_WANTED, reply=f"{code} {text}"),
            hint=_("check mail.user and the password"),
        )
    return code, text


def _refusal(step: str, code: int, text: str, *, otherwise: MailState) -> Outcome:
    """What a reply other than yes means; `otherwise` is for one that is no SMTP reply."""
    detail = f"{step}: {code} {text}".strip()
    states = {_NOT_NOW: MailState.RETRY, _NEVER: MailState.REFUSED}
    return Outcome(state=states.get(code // 100, otherwise), detail=detail)


def _no_answer(state: MailState, step: str, error: OSError) -> Outcome:
    detail = PERHAPS_TAKEN if state is MailState.UNKNOWN else NOT_TAKEN
    return Outcome(state=state, detail=detail.format(step=step, why=safe(str(error))))


def _shown(reply: bytes) -> str:
    return safe(" ".join(reply.decode("utf-8", "replace").split()))[:_LONGEST_DETAIL]


def _stuffed(message: bytes) -> bytes:
    """The message with a dot doubled where a line begins with one, and ended by a line break (RFC 5321, 4.5.2)."""
    dotted = message.removesuffix(b"\r\n").replace(b"\r\n.", b"\r\n..") + b"\r\n"
    return b"." + dotted if dotted.startswith(b".") else dotted


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


def _client(settings: SmtpSettings) -> _Client:
    """The yagmail client, every default of which that asks, guesses or trusts is set."""
    # Reading the authorities takes longer than a mail: not where there is nothing to check.
    context = _tls(settings) if settings.security != "none" or settings.ca_file else None
    return _Client(
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
            _("mail.ca_file: {ca_file} cannot be used: {why}", ca_file=settings.ca_file, why=os_reason(error)),
            hint=_("name a file with certificates in PEM form"),
        ) from None


def _unavailable(settings: SmtpSettings, error: OSError) -> MailUnavailableError:
    """Why no connection came about, in one sentence, without anything that was sent to log in."""
    where = {"host": settings.host, "port": settings.port}
    match error:
        case ssl.SSLCertVerificationError():
            return MailSetupError(
                _(UNTRUSTED, **where, why=error.verify_message),
                hint=_("check mail.host; a private authority's certificate goes into mail.ca_file"),
            )
        case ssl.SSLError():
            return MailSetupError(
                _(NO_ENCRYPTION, **where),
                hint=_("check mail.security and mail.port (587 starttls, 465 tls)"),
            )
        case smtplib.SMTPAuthenticationError() if error.smtp_code // 100 == _NEVER:
            return MailSetupError(
                _(LOGIN_REFUSED, **where, user=settings.user, code=error.smtp_code),
                hint=_("check mail.user and the password"),
            )
        case smtplib.SMTPNotSupportedError():
            lacking = NO_STARTTLS if settings.security == "starttls" else NO_LOGIN
            return MailSetupError(
                _(lacking, **where),
                hint=_("check mail.security and mail.port"),
            )
        case smtplib.SMTPResponseException():
            return MailUnavailableError(
                _(TURNED_AWAY, **where, code=error.smtp_code),
                hint=_("try again later"),
            )
        case TimeoutError():
            why = _("no answer within {seconds:g} s", seconds=settings.timeout_s)
        case _:
            why = os_reason(error)
    return MailUnavailableError(
        _(UNREACHABLE, **where, why=why),
        hint=_("check mail.host and mail.port, or try later"),
    )


def _can_be_asked_for(host: str) -> bool:
    """Whether a server can be looked up by that name: none of its labels is empty or too long."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return host.isprintable() and not any(letter.isspace() for letter in host)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
