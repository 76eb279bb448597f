"""A TCP proxy before PostgreSQL that cuts connections at a word of the conversation."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

HOST = "127.0.0.1"
_CHUNK = 65_536
_LATE_S = 0.4


@dataclass
class Cut:
    """When to cut, once: at the first message that holds `at` after one that held `after`, and how.

    `before`: the server never hears of it. `answer`: the server's answer is kept back. `late`: the client is cut
    off at once, and the server hears of it a little later. `silent`: everything stays open, and nobody hears of
    anything any more; `forgotten`: the same, of this connection alone. `refuse` then turns every new connection away.
    """

    at: bytes = b""
    after: bytes = b""
    how: str = "before"
    refuse: bool = False
    armed: bool = field(default=False, init=False)
    made: bool = field(default=False, init=False)

    def due(self, said: bytes) -> bool:
        if self.made or not self.at:
            return False
        self.armed = self.armed or self.after in said
        self.made = self.armed and self.at in said
        return self.made


class Proxy:
    """A listening proxy; `url` is the store's URL through it."""

    def __init__(self, store_url: str, cut: Cut) -> None:
        parts = urlsplit(store_url)
        self._server = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"
        self._cut = cut
        self._listening = socket.create_server((HOST, 0))
        self._open: list[socket.socket] = []
        self._muted: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        port = self._listening.getsockname()[1]
        self.url = f"postgresql://postgres@{HOST}:{port}{parts.path}?sslmode=disable&gssencmode=disable"

    def serve(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            if self._cut.made and self._cut.refuse:
                client.close()
                continue
            if self._cut.made and self._cut.how == "silent":
                self._open.append(client)
                continue
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            self._open += [client, server]
            for pump in (self._forth, self._back):
                thread = threading.Thread(target=pump, args=(client, server))
                thread.start()
                self._threads.append(thread)

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in self._open:
            _hang_up(each)
        for thread in self._threads:
            thread.join()
        for each in self._open:
            each.close()

    def _forth(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while said := client.recv(_CHUNK):
                if client in self._muted:
                    continue
                if self._cut.due(said):
                    self._muted.add(client)
                    if self._cut.how in ("silent", "forgotten"):
                        continue
                    self._make_cut(said, client, server)
                    return
                server.sendall(said)
        _hang_up(server)

    def _make_cut(self, said: bytes, client: socket.socket, server: socket.socket) -> None:
        if self._cut.how == "late":
            _hang_up(client)
            time.sleep(_LATE_S)
        if self._cut.how != "before":
            server.sendall(said)
            time.sleep(_LATE_S)
        _hang_up(client)
        _hang_up(server)

    def _back(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while said := server.recv(_CHUNK):
                if client not in self._muted:
                    client.sendall(said)
        _hang_up(client)


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxied(store_url: str, cut: Cut) -> Iterator[str]:
    """The store's URL through a proxy."""
    proxy = Proxy(store_url, cut)
    serving = threading.Thread(target=proxy.serve)
    serving.start()
    try:
        yield proxy.url
    finally:
        proxy.close()
        serving.join()
