"""Mail servers for the tests: a real one with TLS and login, and one that misbehaves as told, step by step."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from functools import cache
from pathlib import Path

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

HOST = "127.0.0.1"
USER, PASSWORD = "orders@brand.example", "correct horse"
DROP, HANG, SLOW, ENDLESS, DRIP = "drop", "hang", "slow: ", "endless", "drip"
_BYTE_EVERY_S = 0.02


@cache
def authority() -> trustme.CA:
    return trustme.CA()


@cache
def server_context(name: str, valid_until: datetime | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority().issue_cert(name, not_after=valid_until).configure_cert(context)
    return context


def ca_file(folder: Path) -> str:
    path = folder / "ca.pem"
    authority().cert_pem.write_to_path(path)
    return str(path)


def read(message: bytes) -> EmailMessage:
    return message_from_bytes(message, policy=SMTP)


def body(mail: EmailMessage, kind: str = "plain") -> str:
    return mail.get_body((kind,)).get_content().replace("\r\n", "\n")


@dataclass
class Inbox:
    """What a server took."""

    port: int = 0
    messages: list[bytes] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    connections: int = 0

    def settle(self) -> None:
        """Wait until the scripted server is done with every connection so far: it serves them one after the other."""
        with socket.create_connection((HOST, self.port), timeout=30) as last, last.makefile("rb") as lines:
            lines.readline()
            last.sendall(b"QUIT\r\n")
            lines.readline()

    @property
    def mails(self) -> list[EmailMessage]:
        return [read(message) for message in self.messages]


class _Handler:
    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox

    async def handle_DATA(self, server, session, envelope):  # noqa: ARG002, N802 - as aiosmtpd calls it
        self.inbox.messages.append(envelope.content)
        self.inbox.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        return "250 2.0.0 Ok: queued as 4F2A"


class _BusyHandler(_Handler):
    """Takes each mail, and answers after a while."""

    def __init__(self, inbox: Inbox, delay_s: float) -> None:
        super().__init__(inbox)
        self.delay_s = delay_s

    async def handle_EHLO(self, server, session, envelope, hostname, responses):  # noqa: ARG002, N802
        self.inbox.connections += 1
        session.host_name = hostname
        return responses

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        reply = await super().handle_DATA(server, session, envelope)
        await asyncio.sleep(self.delay_s)
        return reply


@contextmanager
def busy_server(delay_s: float = 0) -> Iterator[Inbox]:
    """A real server without TLS that serves many connections at once, and takes its time with each mail."""
    inbox = Inbox(port=free_port())
    controller = Controller(_BusyHandler(inbox, delay_s), hostname=HOST, port=inbox.port)
    controller.start()
    try:
        yield inbox
    finally:
        controller.stop()


def _login(_server, _session, _envelope, _mechanism, login):
    good = (login.login, login.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=False)


@contextmanager
def real_server(security: str, certificate_for: str = HOST, *, valid_until: datetime | None = None) -> Iterator[Inbox]:
    """A server that wants TLS (`starttls` or `tls`) and a login."""
    inbox = Inbox(port=free_port())
    context = server_context(certificate_for, valid_until)
    controller = Controller(
        _Handler(inbox),
        hostname=HOST,
        port=inbox.port,
        authenticator=_login,
        auth_required=True,
        auth_require_tls=security == "starttls",
        **({"ssl_context": context} if security == "tls" else {"tls_context": context, "require_starttls": True}),
    )
    controller.start()
    try:
        yield inbox
    finally:
        controller.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


_USUAL = {
    "connect": "220 hello",
    "EHLO": "250 brand.example",
    "MAIL": "250 ok",
    "RCPT": "250 ok",
    "DATA": "354 go on",
    "end": "250 taken",
    "RSET": "250 forgotten",
    "QUIT": "221 bye",
}


class _Script:
    """The replies of a scripted server: the n-th time a step comes, the n-th of its replies; then the usual one."""

    def __init__(self, replies: Mapping[str, str | list[str]]) -> None:
        self._left = {step: [given] if isinstance(given, str) else list(given) for step, given in replies.items()}

    def next(self, step: str) -> str:
        left = self._left.get(step)
        return left.pop(0) if left else _USUAL.get(step, "500 what?")


@contextmanager
def scripted_server(replies: Mapping[str, str | list[str]] = {}) -> Iterator[Inbox]:
    """A server without TLS that answers a step as told: with a reply, or `DROP` or `HANG`, or without end."""
    script, over = _Script(replies), threading.Event()
    with socket.create_server((HOST, 0)) as listening:
        inbox = Inbox(port=listening.getsockname()[1])
        listening.settimeout(0.05)
        serving = threading.Thread(target=_serve, args=(listening, script, inbox, over))
        serving.start()
        try:
            yield inbox
        finally:
            over.set()
            serving.join()


def _serve(listening: socket.socket, script: _Script, inbox: Inbox, over: threading.Event) -> None:
    while not over.is_set():
        try:
            connection, _ = listening.accept()
        except TimeoutError:
            continue
        inbox.connections += 1
        connection.settimeout(30)
        with connection, connection.makefile("rb") as lines:
            try:
                _talk(connection, lines, script, inbox)
            except OSError:
                continue


def _talk(connection, lines, script: _Script, inbox: Inbox) -> None:
    def said(step: str) -> str:
        """The reply that was sent; an empty one if the connection is to end."""
        reply = script.next(step)
        if reply == HANG:
            while lines.readline():  # until the client has had enough
                pass
        while reply == ENDLESS:
            connection.sendall(b"250-and so on\r\n" * 100)
        while reply == DRIP:
            connection.sendall(b"2")
            time.sleep(_BYTE_EVERY_S)
        if reply in (DROP, HANG):
            return ""
        _say(connection, reply)
        return "" if reply.startswith("421") else reply.removeprefix(SLOW)

    going = said("connect")
    while going:
        step = lines.readline()[:4].decode("ascii", "replace").upper()
        going = said(step) if step else ""
        if step == "QUIT":
            return
        if step == "DATA" and going.startswith("354"):
            content = _content(lines)
            if content is None:
                return
            inbox.messages.append(content)
            going = said("end")


def _say(connection: socket.socket, reply: str) -> None:
    """Send a reply; one that begins with `SLOW` a byte at a time."""
    line = f"{reply.removeprefix(SLOW)}\r\n".encode()
    if not reply.startswith(SLOW):
        connection.sendall(line)
        return
    for byte in line:
        connection.sendall(bytes([byte]))
        time.sleep(_BYTE_EVERY_S)


def _content(lines) -> bytes | None:
    """The message up to the final dot; None if the client went away before it: then nothing was taken."""
    content = []
    while (line := lines.readline()) != b".\r\n":
        if not line:
            return None
        content.append(line.removeprefix(b"."))
    return b"".join(content)
