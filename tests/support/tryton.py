"""A server that speaks JSON-RPC as Tryton does, with sales that a test changes, and the command line that knows it."""

import json
import socketserver
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from support.cli import Cli

PASSWORD = "a long pass phrase 7"


def decimal(text):
    return {"__class__": "Decimal", "decimal": text}


def day(year, month, day_):
    return {"__class__": "date", "year": year, "month": month, "day": day_}


def sale(number, state="quotation", **changes):
    """A sale of two lines as `search_read` gives it."""
    party = number % 4
    return {
        "id": number, "number": f"S{number}", "reference": f"REF-{number}", "state": state, "shipment_state": "none",
        "invoice_state": "none", "sale_date": day(2026, 1, 1 + number % 28), "create_date": None, "shipping_date": None,
        "currency.": {"code": "EUR"}, "total_amount": decimal("32.50"), "comment": None, "payment_term.": None,
        "party.": {"id": party, "code": f"B{party}", "name": f"Shop {party}", "email": f"b{party}@b.example"},
        "shipment_address.": {"full_address": "Rue 1\nParis", "country.": {"code": "FR"}}, "invoice_address.": None,
        "lines.": [
            {"type": "line", "quantity": 2.0, "unit_price": decimal("10.0000"), "description": None,
             "product.": {"code": "LN-10", "name": "Shirt"}},
            {"type": "comment", "quantity": None, "unit_price": None, "description": "as agreed", "product.": None},
            {"type": "line", "quantity": 1.0, "unit_price": decimal("12.5000"), "description": "Belt"},
        ],
        **changes,
    }  # fmt: skip


class Tryton:
    """What the server knows. `faults` are what it does to the next requests: "hang up", a status, `(503, "9")`."""

    def __init__(self, number):
        self.sales = {each: sale(each) for each in range(1, number + 1)}
        self.faults, self.asked, self.sessions = [], [], 0
        self.path = "/sales/rpc/"
        self.on_cancel = lambda _number: None

    def ship(self, number):
        """As after `process` there."""
        self.sales[number] |= {"state": "processing", "shipment_state": "waiting"}

    def answer(self, method, params):
        """The result of a method. Raises PermissionError with the words of Tryton's UserError."""
        if method == "common.db.login":
            self.sessions += 1
            return [1, f"session-{self.sessions}", None] if params[1] == {"password": PASSWORD} else None
        if method == "model.res.user.get_preferences":
            return {"company": 1, "language": "en"}
        if method == "model.sale.sale.search_read":
            [[__, operator, wanted]], __, limit, __, __, context = params
            assert context == {"company": 1, "language": "en"}
            found = [
                each for number, each in sorted(self.sales.items())
                if (number > wanted if operator == ">" else number in wanted)
            ]  # fmt: skip
            return found[:limit]
        assert method == "model.sale.sale.cancel", method
        for number in params[0]:
            self.on_cancel(number)
            if self.sales[number]["state"] not in {"draft", "quotation"}:
                raise PermissionError(f'You can not call "cancel" on "S{number}" of "Sale".')
            self.sales[number]["state"] = "cancelled"
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        tryton = self.server.tryton
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        tryton.asked.append(asked["method"].rpartition(".")[2])
        fault = tryton.faults.pop(0) if tryton.faults else None
        if fault == "hang up":
            self.close_connection = True
            return
        if isinstance(fault, int | tuple):
            self._say(*fault) if isinstance(fault, tuple) else self._say(fault)
            return
        if self.path != tryton.path:
            self._say(404)
            return
        if asked["method"] != "common.db.login" and "Session " not in self.headers.get("Authorization", ""):
            self._say(401)
            return
        try:
            result = tryton.answer(asked["method"], asked["params"])
        except PermissionError as error:
            self._say(200, document={"id": 1, "error": ["UserError", [str(error), "", None]]})
            return
        if fault == "hang up after":
            self.close_connection = True
            return
        if asked["method"] == "common.db.login" and result is None:
            self._say(401)
        else:
            self._say(200, document={"id": 1, "result": result})

    def _say(self, status, retry_after="", document=()):
        body = json.dumps(dict(document)).encode()
        self.send_response(status)
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args):
        """Nothing."""


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True


@contextmanager
def tryton_server(number):
    """A server with so many quotations; gives it and its address."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.tryton = Tryton(number)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server.tryton, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def tryton_cli(folder, store_url, address, password=PASSWORD, **settings):
    """The command line whose system `shop` is a Tryton at this address."""
    folder.mkdir(exist_ok=True)
    secret = folder / "password"
    secret.write_text(password + "\n")
    secret.chmod(0o600)
    values = {"kind": "tryton", "url": address, "database": "sales", "user": "orderctl", "timeout": 30} | settings
    config = folder / "config.toml"
    config.write_text(
        f"[profile.default]\nmail.transport = 'maildir'\nmail.maildir = '{folder}/mails'\n"
        f"mail.sender = 'orders@brand.example'\n[profile.default.systems.shop]\nsecret_file = '{secret}'\n"
        + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
    )
    return Cli(store_url, folder / "home", ORDERCTL_CONFIG=str(config))
