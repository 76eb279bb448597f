"""Against a real Tryton, which this test installs a database for and starts: `make test-systems`."""

import json
import os
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections import Counter
from contextlib import closing
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest

from support import tryton_database
from support.tryton import tryton_cli
from support.tryton_database import DATABASE, OF_JANUARY, PASSWORD, USER

pytestmark = pytest.mark.system
SALES = 200


def asked(url, body, headers):
    """The status and the body of the answer to a request."""
    parts = urlsplit(url)
    with closing(HTTPConnection(parts.hostname, parts.port, timeout=60)) as connection:
        connection.request("POST", parts.path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


class Tryton:
    """The running server, asked without our own program. `before` is called with the ids that are to be cancelled."""

    def __init__(self, address):
        self.address, self.session = address, ""
        self.before, self.hang_up = (lambda _ids: None), False

    def call(self, method, *params):
        body = json.dumps({"id": 1, "method": method, "params": params}).encode()
        headers = {"Content-Type": "application/json"} | ({"Authorization": self.session} if self.session else {})
        status, said = asked(f"{self.address}/{DATABASE}/rpc/", body, headers)
        assert status == 200, said
        found = json.loads(said)
        assert "error" not in found, found
        return found["result"]

    def log_in(self):
        number, token, *__ = self.call("common.db.login", USER, {"password": PASSWORD})
        self.session = f"Session {b64encode(f'{USER}:{number}:{token}'.encode()).decode()}"
        self.context = self.call("model.res.user.get_preferences", True, {})

    def ship(self, number):
        """Confirm a sale and process it: from then on there is a shipment."""
        self.call("model.sale.sale.confirm", [number], self.context)
        self.call("model.sale.sale.process", [number], self.context)
        [found] = self.call("model.sale.sale.read", [number], ["shipment_state"], self.context)
        assert found["shipment_state"] == "waiting"

    def states(self):
        found = self.call("model.sale.sale.search_read", [], 0, None, None, ["state"], self.context)
        return {str(each["id"]): each["state"] for each in found}


class Between(BaseHTTPRequestHandler):
    """Hands on each request, after `before` was called; hangs up after a cancellation if it is to."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        tryton = self.server.tryton
        body = self.rfile.read(int(self.headers["Content-Length"]))
        wanted = json.loads(body)
        cancels = wanted["method"] == "model.sale.sale.cancel"
        if cancels:
            tryton.before(wanted["params"][0])
        headers = {name: self.headers[name] for name in ("Content-Type", "Authorization") if name in self.headers}
        status, said = asked(tryton.address + self.path, body, headers)
        if cancels and tryton.hang_up:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_args):
        """Nothing."""


@pytest.fixture(scope="module")
def tryton(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tryton")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "trytond.conf"
    config.write_text(f"[database]\nuri = sqlite://\npath = {folder}\n[web]\nlisten = 127.0.0.1:{port}\n")
    subprocess.run([sys.executable, tryton_database.__file__, config, str(SALES)], check=True, timeout=400)
    program = Path(sys.executable).with_name("trytond")
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([program, "-c", config, "-d", DATABASE], stderr=log, env=os.environ | {"LANG": "C"}) as server,
    ):
        try:
            yield _started(Tryton(f"http://127.0.0.1:{port}"), server)
        finally:
            server.terminate()


def _started(tryton, server):
    until = time.monotonic() + 120
    while time.monotonic() < until and server.poll() is None:
        try:
            tryton.log_in()
        except OSError:
            time.sleep(0.2)
        else:
            return tryton
    raise AssertionError("trytond did not start")


@pytest.fixture
def cli(tryton, tmp_path, sqlite_url):
    with ThreadingHTTPServer(("127.0.0.1", 0), Between) as between:
        between.tryton = tryton
        Thread(target=between.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield tryton_cli(tmp_path / "shop", sqlite_url, f"http://127.0.0.1:{between.server_address[1]}", PASSWORD)
        between.shutdown()
    tryton.before, tryton.hang_up = (lambda _ids: None), False


def test_sales_are_pulled_rejected_and_cancelled_there(cli, tryton):
    pulled = cli("pull", "shop", "--format", "json")
    assert pulled.code == 0, pulled.err
    assert pulled.json["created"] == SALES

    ran = cli("reject", "--filter", "ordered:2026-01-01..2026-01-31", "--expect", str(OF_JANUARY), "--notify", "--yes")
    assert ran.code == 0, ran.err
    assert Counter(tryton.states().values()) == {"cancelled": OF_JANUARY, "quotation": SALES - OF_JANUARY}
    again = cli("pull", "shop", "--complete", "--format", "json")
    assert (again.code, again.json["rejected_left_alone"], again.json["updated"]) == (0, OF_JANUARY, 0)
    assert cli("reconcile").code == 0

    shipped, *open_ = [number for number, state in tryton.states().items() if state == "quotation"][:4]
    tryton.ship(int(shipped))
    ran = cli("reject", shipped, open_[0], "--yes", "--format", "json")
    assert (ran.code, [each["id"] for each in ran.json["left_out"]]) == (6, [shipped])
    assert (tryton.states()[shipped], tryton.states()[open_[0]]) == ("processing", "cancelled")

    tryton.before = lambda ids: tryton.ship(ids[0])
    ran = cli("reject", open_[1], "--notify", "--yes")
    assert (ran.code, "1 in conflict" in ran.out) == (5, True), ran.out
    assert tryton.states()[open_[1]] == "processing"
    [mail] = cli("mail", "list", "--state", "held", "--format", "json").json
    assert mail["attempts"] == 0
    [conflict] = cli("writeback", "list", "--state", "refused", "--format", "json").json
    assert (conflict["order_id"], "can not call" in conflict["last_error"]) == (open_[1], True)
    assert [each["id"] for each in cli("reconcile", "--format", "json").json] == [open_[1]]

    tryton.before, tryton.hang_up = (lambda _ids: None), True
    assert cli("reject", open_[2], "--yes").code == 5
    assert [each["order_id"] for each in cli("writeback", "list", "--state", "unknown", "--format", "json").json] == [
        open_[2]
    ]
    cli("writeback", "send")
    assert cli("writeback", "list", "--state", "unknown", "--format", "json").json == []
    assert tryton.states()[open_[2]] == "cancelled"
