"""An HTTP server on the loopback for the tests: it answers as told, cuts an answer off, or takes its time with it."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import parse_headers, responses
from urllib.parse import parse_qs, urlsplit

from support.smtp_server import HOST, server_context

_LOOK_S = 0.02


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request as it came; `headers` has lower-case names."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The last value of each parameter."""
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def json(self):
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the server says. A body that is no bytes is sent as JSON.

    `cut`: the connection ends after so many bytes of the answer, its head included; 0: without a word. `every_s`: it
    comes a byte at a time, with this pause between two. `after_s`: the answer begins this much later. `endless`: the
    body is sent again and again. `chunk`: the body comes in chunks of so many bytes.
    """

    status: int = 200
    body: object = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    every_s: float = 0
    after_s: float = 0
    endless: bool = False
    chunk: int = 0

    def encoded(self) -> tuple[bytes, bytes]:
        """Head and body as they are sent."""
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        kind = {} if isinstance(self.body, bytes) else {"Content-Type": "application/json"}
        length = {} if self.endless else {"Content-Length": str(len(body))}
        if self.chunk:
            parts = [body[start : start + self.chunk] for start in range(0, len(body), self.chunk)]
            length = {"Transfer-Encoding": "chunked"}
            body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in [*parts, b""])
        headers = {**kind, **length, "Connection": "close", **self.headers}
        lines = [f"HTTP/1.1 {self.status} {responses.get(self.status, '')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode(), body


# A script is a list of answers, the last of which is repeated; or a function that answers each request.
Script = list[Answer] | Callable[[Request], Answer]


@dataclass
class HttpServer:
    """A server that runs. `script` can be replaced at any time; `requests` are those that came, in order."""

    url: str
    script: Script
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, *answers: Answer) -> None:
        """What it says from now on."""
        self.script = list(answers)

    def next(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(request)
            if callable(self.script):
                return self.script(request)
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]


@contextmanager
def http_server(
    script: Script | None = None, *, tls: bool = False, certificate_for: str = HOST
) -> Iterator[HttpServer]:
    """A server on a free port of the loopback; with `tls` its certificate is of `support.smtp_server.authority`."""
    context = server_context(certificate_for, None) if tls else None
    with socket.create_server((HOST, 0)) as listening:
        url = f"{'https' if tls else 'http'}://{HOST}:{listening.getsockname()[1]}"
        server = HttpServer(url=url, script=script or [Answer()])
        listening.settimeout(_LOOK_S)
        accepting = threading.Thread(target=_accept, args=(listening, server, context))
        accepting.start()
        try:
            yield server
        finally:
            server.over.set()
            accepting.join()


def _accept(listening: socket.socket, server: HttpServer, context: ssl.SSLContext | None) -> None:
    talks = []
    while not server.over.is_set():
        try:
            connection, _ = listening.accept()
        except TimeoutError:
            continue
        server.connections += 1
        talks.append(threading.Thread(target=_talk, args=(connection, server, context)))
        talks[-1].start()
    for talk in talks:
        talk.join()


def _talk(connection: socket.socket, server: HttpServer, context: ssl.SSLContext | None) -> None:
    connection.settimeout(10)
    with suppress(OSError), context.wrap_socket(connection, server_side=True) if context else connection as wire:
        with wire.makefile("rb") as lines:
            request = _request(lines)
        if request is not None:
            _say(wire, server.next(request), server.over)
    connection.close()


def _request(lines) -> Request | None:
    words = lines.readline().decode("latin-1").split()
    if len(words) < 2:
        return None
    headers = {name.lower(): value for name, value in parse_headers(lines).items()}
    body = lines.read(int(headers.get("content-length", 0)))
    return Request(method=words[0], target=words[1], headers=headers, body=body)


def _say(wire: socket.socket, answer: Answer, over: threading.Event) -> None:
    if over.wait(answer.after_s):
        return
    head, body = answer.encoded()
    sent = (head + body)[: answer.cut]
    if not answer.every_s:
        wire.sendall(sent)
    for byte in sent if answer.every_s else b"":
        wire.sendall(bytes([byte]))
        if over.wait(answer.every_s):
            return
    while answer.endless and not over.is_set():
        wire.sendall(body)
