"""Sends mails over SMTP, many over one connection, and tells how each attempt ended.

yagmail connects and logs in, but does not send: its `send` retries after a lost connection even if the server took the
message, and attaches files that are named in the text. The commands are sent here, to tell a certain outcome from an
unknown one.
"""

import smtplib
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import yagmail

from orderctl.core.addresses import ascii_address, check_own_addresses, own_address
from orderctl.core.text import safe
from orderctl.core.tls import is_loopback, trusting
from orderctl.delivery.outbox import NOT_TAKEN, PERHAPS_TAKEN, DeliveryState, Outcome
from orderctl.delivery.workers import Begin
from orderctl.errors import ServerSetupError, ServerUnavailableError, UsageError, os_reason
from orderctl.language import _
from orderctl.mail.message import build_message, copies_of
from orderctl.mail.outbox import (
    COPIES_MISSED,
    LOGIN_REFUSED,
    LOGIN_WANTED,
    NO_ENCRYPTION,
    NO_LOGIN,
    NO_STARTTLS,
    TURNED_AWAY,
    UNREACHABLE,
    UNTRUSTED,
    Letter,
    Mail,
)

SECURITIES = ("starttls", "tls", "none")
# RFC 5321: the first digit of a reply.
_YES, _GO_AHEAD, _NOT_NOW, _NEVER = 2, 3, 4, 5
_CLOSING = 421
_NO_REPLY = -1  # smtplib's code for a line that is no reply
_LOGIN_WANTED = frozenset({530, 534, 535, 538})
_LONGEST_DETAIL = 500
# No honest server sends a longer reply.
_MOST_LINES, _MOST_BYTES, _AT_ONCE = 100, 64 * 1024, 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpSettings:
    """A mail server and its login. The constructor raises UsageError for values that cannot be used."""

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
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()

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
        if self.security == "none" and not is_loopback(self.host):
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
            trusting(self.ca_file, "mail.ca_file")
        check_own_addresses(self.sender, self.reply_to)


class _Replies:
    """Reads a server's lines in place of smtplib's file, and limits the size and time of a reply.

    smtplib limits neither, and the timeout of a socket begins again with each byte.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._unread = b""
        self._deadline = 0.0
        self._lines = self._bytes = 0

    def begin(self, timeout_s: float) -> None:
        """The next reply must be complete within this time."""
        self._deadline = time.monotonic() + timeout_s
        self._lines = self._bytes = 0

    def readline(self, most: int) -> bytes:
        """Up to `most` bytes of a line; empty at the end. Raises OSError if the reply is too large or slow."""
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
    """A connection on which each reply and each write has a limit of time and size."""

    timeout: float
    file: _Replies | None

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = _Replies(self.sock)
        if self.file is not None:
            self.file.begin(self.timeout)
        return super().getreply()

    def send(self, s: bytes | str) -> None:  # type: ignore[override]
        """Send all of it within the timeout of one step."""
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
    """The same over TLS from the first byte."""


class _Client(yagmail.SMTP):  # type: ignore[misc]
    """yagmail's client over these connections."""

    @property
    def connection(self) -> type[smtplib.SMTP]:
        return _BoundedTls if self.ssl else _Bounded


def _wait_until(sock: socket.socket, deadline: float) -> None:
    """Let the socket wait until `deadline`. Raises TimeoutError if it has passed."""
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("timed out")
    sock.settimeout(left_s)


class SmtpMailer:
    """A `Mailer` over one connection to an SMTP server."""

    def __init__(self, settings: SmtpSettings) -> None:
        self._settings = settings
        self._connection: smtplib.SMTP | None = None
        self._used = 0

    def __enter__(self) -> Self:
        """Connect and log in. Raises ServerUnavailableError."""
        self.connect()
        return self

    def __exit__(self, *exc: object) -> None:
        """Say goodbye; after an error just hang up, because a command may be unfinished."""
        if exc[0] is None:
            self._leave()
        self._drop()

    @property
    def connected(self) -> bool:
        """Whether the next mail can use the connection."""
        return self._connection is not None and self._used < self._settings.max_per_connection

    def connect(self) -> None:
        """Connect again if the connection ended or carried enough mails. Raises ServerUnavailableError."""
        if not self.connected:
            self._leave()
            self._connection = _log_in(self._settings)
            self._used = 0

    def write(self, mail: Mail, letter: Letter) -> bytes:
        """The message as bytes. Raises UnsendableError."""
        return build_message(
            mail, letter, sender=self._settings.sender, reply_to=self._settings.reply_to, cc=self._settings.cc
        )

    def send(self, mail: Mail, message: bytes, begin: Begin) -> Outcome | None:
        """Hand one mail to the server; None if `begin` refused. Raises ServerUnavailableError."""
        recipient = ascii_address(mail.recipient)
        copies = copies_of(mail, self._settings.cc, mail.cc, self._settings.bcc, mail.bcc)
        idle = self._used > 0
        try:
            return self._attempt(recipient, copies, message, begin)
        except _Lost as lost:
            self._drop()
            if not (idle and lost.step == "MAIL"):
                return lost.outcome
        # Servers close idle connections. That says nothing about this mail, so try once more.
        try:
            return self._attempt(recipient, copies, message, begin)
        except _Lost as lost:
            self._drop()
            return lost.outcome

    def _attempt(self, recipient: str, copies: Sequence[str], message: bytes, begin: Begin) -> Outcome | None:
        self.connect()
        connection = self._connection
        assert connection is not None  # noqa: S101 - for the type checker: `connect` made it
        self._used += 1
        try:
            sender = own_address(self._settings.sender, "mail.sender").addr_spec
            refused, missed = _address(connection, sender, recipient, copies)
            if refused is None and not begin():
                # The server waits for the content. Hanging up is the only way to send none.
                self._drop()
                return None
            outcome = refused or _with_missed(_hand_over(connection, message), missed)
        except Exception:
            # A command may be unfinished.
            self._drop()
            raise
        if outcome.state is DeliveryState.UNKNOWN:
            self._drop()
        elif outcome.state is not DeliveryState.SENT:
            self._reset(connection)
        return outcome

    def _reset(self, connection: smtplib.SMTP) -> None:
        """Discard the mail that the server did not accept."""
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


def _address(
    connection: smtplib.SMTP, sender: str, recipient: str, copies: Sequence[str]
) -> tuple[Outcome | None, list[str]]:
    """Send the commands before the content: None if the server waits for it, else why not; and the copies it refused.

    With PIPELINING (RFC 2920) they are sent in one write and answered together; the first refusal counts. Not so with
    copies: a server that refuses the buyer and takes a copy would wait for content, and send the copy alone.
    """
    steps = [
        ("MAIL", f"MAIL FROM:<{sender}>", _YES),
        ("RCPT", f"RCPT TO:<{recipient}>", _YES),
        *(("copy", f"RCPT TO:<{copy}>", _YES) for copy in copies),
        ("DATA", "DATA", _GO_AHEAD),
    ]
    at_once = connection.has_extn("pipelining") and not copies
    if at_once:
        _speak(connection, "MAIL", "\r\n".join(command for _step, command, _good in steps))
    refused, missed = None, []
    for step, command, good in steps:
        if not at_once:
            _speak(connection, step, command)
        try:
            code, text = _reply(connection, step)
            if refused and code // 100 == _GO_AHEAD:
                # The mail was refused, but the server waits for content: empty content ends the command.
                _speak(connection, step, ".")
                _reply(connection, step)
        except _Lost as lost:
            raise _Lost(step, refused or lost.outcome) from lost
        if code // 100 != good and step == "copy":
            missed.append(f"{command.removeprefix('RCPT TO:')} {code} {text}".strip())
        elif code // 100 != good:
            refused = refused or _refusal(step, code, text, otherwise=DeliveryState.RETRY)
            if not at_once:
                break
    return refused, missed


def _with_missed(outcome: Outcome, missed: Sequence[str]) -> Outcome:
    """The outcome for the buyer, who gets the mail whether or not the server took the copies."""
    if not missed:
        return outcome
    return replace(outcome, detail=_(COPIES_MISSED, words=outcome.detail, copies=", ".join(missed)))


def _hand_over(connection: smtplib.SMTP, message: bytes) -> Outcome:
    """Send the content. The server cannot accept the mail before the final dot."""
    try:
        connection.send(_stuffed(message))
    except OSError as error:
        raise _Lost("content", _no_answer(DeliveryState.RETRY, "content", error)) from error
    try:
        connection.send(b".\r\n")
        code, reply = connection.getreply()
    except OSError as error:
        raise _Lost("end of data", _no_answer(DeliveryState.UNKNOWN, "end of data", error)) from error
    text = _shown(reply)
    if code // 100 == _YES:
        return Outcome(state=DeliveryState.SENT, detail=f"{code} {text}".strip())
    return _refusal("end of data", code, text, otherwise=DeliveryState.UNKNOWN)


def _speak(connection: smtplib.SMTP, step: str, command: str) -> None:
    try:
        connection.send(f"{command}\r\n".encode("ascii"))
    except OSError as error:
        raise _Lost(step, _no_answer(DeliveryState.RETRY, step, error)) from error


def _reply(connection: smtplib.SMTP, step: str) -> tuple[int, str]:
    try:
        code, reply = connection.getreply()
    except OSError as error:
        raise _Lost(step, _no_answer(DeliveryState.RETRY, step, error)) from error
    text = _shown(reply)
    if code in (_CLOSING, _NO_REPLY):
        raise _Lost(step, _refusal(step, code, text, otherwise=DeliveryState.RETRY))
    if code in _LOGIN_WANTED:
        raise ServerSetupError(
            _(LOGIN_WANTED, reply=f"{code} {text}"),
            hint=_("check mail.user and the password"),
        )
    return code, text


def _refusal(step: str, code: int, text: str, *, otherwise: DeliveryState) -> Outcome:
    """The outcome of a reply other than yes; `otherwise` is for one that is no SMTP reply."""
    detail = f"{step}: {code} {text}".strip()
    states = {_NOT_NOW: DeliveryState.RETRY, _NEVER: DeliveryState.REFUSED}
    return Outcome(state=states.get(code // 100, otherwise), detail=detail)


def _no_answer(state: DeliveryState, step: str, error: OSError) -> Outcome:
    detail = PERHAPS_TAKEN if state is DeliveryState.UNKNOWN else NOT_TAKEN
    return Outcome(state=state, detail=_(detail, step=step, why=safe(str(error))))


def _shown(reply: bytes) -> str:
    return safe(" ".join(reply.decode("utf-8", "replace").split()))[:_LONGEST_DETAIL]


def _stuffed(message: bytes) -> bytes:
    """The message with a second dot where a line begins with one, ended by a line break (RFC 5321, 4.5.2)."""
    dotted = message.removesuffix(b"\r\n").replace(b"\r\n.", b"\r\n..") + b"\r\n"
    return b"." + dotted if dotted.startswith(b".") else dotted


def _log_in(settings: SmtpSettings) -> smtplib.SMTP:
    """A connection that is encrypted, verified and logged in. Raises ServerUnavailableError."""
    client = _client(settings)
    try:
        client.login()
        connection: smtplib.SMTP = client.smtp
        connection.ehlo_or_helo_if_needed()
        # The final dot is sent on its own, and must not wait until the rest is acknowledged.
        if connection.sock is not None:
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        if client.smtp is not None:
            client.smtp.close()
        raise _unavailable(settings, error) from None
    else:
        return connection
    finally:
        # The connection is ours now: the client's destructor would send QUIT on it.
        client.is_closed = True


def _client(settings: SmtpSettings) -> _Client:
    """The yagmail client. Every default that asks, guesses or trusts is set."""
    # Loading the certificates takes longer than sending a mail, so skip it where TLS is off.
    context = trusting(settings.ca_file, "mail.ca_file") if settings.security != "none" or settings.ca_file else None
    return _Client(
        # A mapping, because yagmail appends "@gmail.com" to a bare name.
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


def _unavailable(settings: SmtpSettings, error: OSError) -> ServerUnavailableError:
    """Why the connection failed, in one sentence, without anything that was sent to log in."""
    where = {"host": settings.host, "port": settings.port}
    match error:
        case ssl.SSLCertVerificationError():
            return ServerSetupError(
                _(UNTRUSTED, **where, why=error.verify_message),
                hint=_("check mail.host; a private authority's certificate goes into mail.ca_file"),
            )
        case ssl.SSLError():
            return ServerSetupError(
                _(NO_ENCRYPTION, **where),
                hint=_("check mail.security and mail.port (587 starttls, 465 tls)"),
            )
        case smtplib.SMTPAuthenticationError() if error.smtp_code // 100 == _NEVER:
            return ServerSetupError(
                _(LOGIN_REFUSED, **where, user=settings.user, code=error.smtp_code),
                hint=_("check mail.user and the password"),
            )
        case smtplib.SMTPNotSupportedError():
            lacking = NO_STARTTLS if settings.security == "starttls" else NO_LOGIN
            return ServerSetupError(
                _(lacking, **where),
                hint=_("check mail.security and mail.port"),
            )
        case smtplib.SMTPResponseException():
            return ServerUnavailableError(
                _(TURNED_AWAY, **where, code=error.smtp_code),
                hint=_("try again later"),
            )
        case TimeoutError():
            why = _("no answer within {seconds:g} s", seconds=settings.timeout_s)
        case _:
            why = os_reason(error)
    return ServerUnavailableError(
        _(UNREACHABLE, **where, why=why),
        hint=_("check mail.host and mail.port, or try later"),
    )


def _can_be_asked_for(host: str) -> bool:
    """Whether the host is a valid name: no label is empty or too long."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return host.isprintable() and not any(letter.isspace() for letter in host)
