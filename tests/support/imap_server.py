"""An IMAP server on loopback, with TLS and a login, that serves one folder and notes what it was asked."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from support.smtp_server import HOST, PASSWORD, USER, server_context


@dataclass
class ImapBox:
    """The folder, and the commands in their order without what is secret."""

    folder: str
    messages: list[bytes]
    port: int = 0
    commands: list[str] = field(default_factory=list)


@contextmanager
def imap_server(messages: list[bytes], *, folder: str = "Bounces", certificate_for: str = HOST) -> Iterator[ImapBox]:
    over = threading.Event()
    context = server_context(certificate_for)
    with socket.create_server((HOST, 0)) as listening:
        listening.settimeout(0.05)
        box = ImapBox(folder, messages, listening.getsockname()[1])

        def serve() -> None:
            while not over.is_set():
                with suppress(TimeoutError, OSError):
                    plain, _ = listening.accept()
                    plain.settimeout(30)
                    with context.wrap_socket(plain, server_side=True) as connection, connection.makefile("rb") as lines:
                        _talk(connection, lines, box)

        serving = threading.Thread(target=serve)
        serving.start()
        try:
            yield box
        finally:
            over.set()
            serving.join()


def _talk(connection, lines, box: ImapBox) -> None:
    def say(text: bytes) -> None:
        connection.sendall(text + b"\r\n")

    logged_in = False
    say(b"* OK IMAP4rev1 here")
    while line := lines.readline():
        tag, _, command = line.decode().rstrip("\r\n").partition(" ")
        name = command.split()[0].upper()
        box.commands.append("LOGIN" if name == "LOGIN" else command)
        good = True
        if name == "CAPABILITY":
            say(b"* CAPABILITY IMAP4rev1")
        elif name == "LOGIN":
            logged_in = good = command == f'LOGIN "{USER}" "{PASSWORD}"'
        elif name in ("SELECT", "EXAMINE"):
            good = logged_in and command.split()[1].strip('"') == box.folder
            if good:
                say(b"* %d EXISTS" % len(box.messages))
        elif command.upper().startswith("UID SEARCH"):
            say(b"* SEARCH " + b" ".join(b"%d" % (number + 1) for number in range(len(box.messages))))
        elif command.upper().startswith("UID FETCH"):
            for number in map(int, re.findall(r"\d+", command.split()[2])):
                message = box.messages[number - 1]
                size = len(message)
                say(b"* %d FETCH (UID %d FLAGS () RFC822.SIZE %d BODY[] {%d}" % (number, number, size, size))
                say(message + b")")
        elif name == "LOGOUT":
            say(b"* BYE")
            say(f"{tag} OK".encode())
            return
        say(f"{tag} {'OK' if good else 'NO'} {name} done".encode())
