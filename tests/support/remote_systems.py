"""Shopify, WooCommerce and Odoo as their documentation has them: each speaks its contract over `http_server`."""

from base64 import b64encode
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import ClassVar

from orderctl.core.money import Money
from orderctl.settings import read_settings
from orderctl.systems.systems import Cancellation, system_named
from support.cli import Cli
from support.http_server import Answer, http_server

SECRET = "very-secret"
OPEN, CANCELLED, SHIPPED, PAID = "open", "cancelled", "shipped", "paid"


@dataclass
class Fault:
    """What goes wrong at one step, once: another answer, or a change of the right one. `done`: it did as asked."""

    answer: Answer | None = None
    change: dict = field(default_factory=dict)
    done: bool = True


class Remote:
    """A system with orders: `orders` by key. `asked` counts the requests of each step."""

    settings: ClassVar[dict[str, str]] = {}
    keys: ClassVar[dict[str, str]] = {}
    currency = "EUR"
    polls = 0  # how often a job is asked for until it is done

    def __init__(self):
        self.orders = {key: state for state, key in self.keys.items()}
        self.asked = Counter()
        self.cancelled = []
        self.notes = []
        self.last = {}
        self.faults = defaultdict(list)

    def fail(self, step, answer=None, *, done=False, times=1, **change):
        """Let this step go wrong; `done` if it does what was asked all the same."""
        self.faults[step] += [Fault(answer, change, done or answer is None)] * times

    def __call__(self, request):
        step = self.step(request)
        self.asked[step] += 1
        self.last[step] = request
        if not self.knows(request):
            return self.stranger()
        fault = self.faults[step].pop(0) if self.faults[step] else Fault()
        answer = self.answer(step, request) if fault.done else None
        return replace(fault.answer or answer, **fault.change)

    def stranger(self):
        return Answer(status=401, body={"message": f"no such key: {SECRET}"})

    def there(self):
        """The keys of the orders that are there, by ascending id, with their numbers."""
        found = {int(key.lstrip("S")): key for key, state in self.orders.items() if state != "missing"}
        return dict(sorted(found.items()))

    def add(self, number):
        """So many more open orders."""
        first = max(int(key.lstrip("S")) for key in self.orders) + 1
        for each in range(first, first + number):
            self.orders[self.keys[OPEN][0].strip("0123456789") + f"{each:0{len(self.keys[OPEN].lstrip('S'))}}"] = OPEN

    def cancel(self, key):
        self.cancelled.append(key)
        self.orders[key] = CANCELLED


class Shopify(Remote):
    kind = "shopify"
    settings: ClassVar = {"reason": "inventory", "refund": "none", "restock": "yes", "note": "dropped: {reason}"}
    keys: ClassVar = {OPEN: "1001", CANCELLED: "1002", SHIPPED: "1003", "missing": "1999"}
    refusal = "Cannot cancel: a return is in progress"

    def __init__(self):
        super().__init__()
        self.polls = 2
        self.works = True
        self.cancelling = None
        self.names = {key: f"#{key}" for key in self.orders}

    def step(self, request):
        query = request.json["query"]
        steps = {
            "orderCancel": "act",
            "job(": "job",
            "sortKey: ID": "page",
            "query Lines": "lines",
            "lineItems": "whole",
        }
        return next((step for word, step in steps.items() if word in query), "read")

    def knows(self, request):
        assert request.path == "/admin/api/2026-07/graphql.json"
        return request.headers.get("x-shopify-access-token") == SECRET

    def node(self, key):
        state = self.orders.get(key)
        return state and {
            "id": f"gid://shopify/Order/{key}",
            "name": self.names.get(key, f"#{key}"),
            "cancelledAt": "2026-01-01T00:00:00Z" if state == CANCELLED else None,
            "displayFulfillmentStatus": "FULFILLED" if state == SHIPPED else "UNFULFILLED",
            "currencyCode": self.currency,
        }

    def answer(self, step, request):
        return Answer(body={"data": getattr(self, step)(request.json["variables"])})

    def order(self, key):
        """The order as a pull asks for it; its lines in pages of two."""
        node = self.node(key)
        return node and {
            **node, "legacyResourceId": key, "createdAt": "2026-01-02T03:04:05Z", "email": f"b{key}@b.example",
            "phone": None, "note": "", "tags": ["b2b", "linen"],
            "displayFinancialStatus": "PAID" if self.orders[key] == PAID else "PENDING",
            "totalPriceSet": {"shopMoney": {"amount": "32.5"}}, "paymentTerms": None, "shippingAddress": None,
            "billingAddress": {"company": f"Shop {key}", "name": "Ann Bo", "city": "Paris", "countryCodeV2": "FR"},
            "lineItems": self.items(0),
        }  # fmt: skip

    def items(self, start):
        items = [("LN-10", 2, "10.0"), ("BELT", 1, "6.25"), ("HAT", 1, "6.25")]
        nodes = [
            {"name": sku.title(), "sku": sku, "quantity": number, "vendor": "Nord",
             "originalUnitPriceSet": {"shopMoney": {"amount": price}}}
            for sku, number, price in items[start : start + 2]
        ]  # fmt: skip
        return {"pageInfo": {"hasNextPage": start + 2 < len(items), "endCursor": str(start + 2)}, "nodes": nodes}

    def page(self, told):
        """Ten orders; a cursor is the number of orders before."""
        first = int(told.get("query", "id:>=0").removeprefix("id:>="))
        keys = [key for number, key in self.there().items() if number >= first]
        start = int(told.get("after") or 0)
        info = {"hasNextPage": start + 10 < len(keys), "endCursor": str(start + 10)}
        return {"orders": {"pageInfo": info, "nodes": [self.order(key) for key in keys[start : start + 10]]}}

    def whole(self, told):
        return {"nodes": [self.order(each.removeprefix("gid://shopify/Order/")) for each in told["ids"]]}

    def lines(self, told):
        return {"order": {"lineItems": self.items(int(told["after"]))}}

    def read(self, told):
        if "ids" in told:
            return {"nodes": [self.node(each.removeprefix("gid://shopify/Order/")) for each in told["ids"]]}
        searched = {alias: query.removeprefix('name:"').removesuffix('"') for alias, query in told.items()}
        # A search finds what begins like it, too.
        return {
            alias: {"nodes": [self.node(key) for key, each in self.names.items() if each.startswith(name)]}
            for alias, name in searched.items()
        }

    def act(self, told):
        self.told = told
        self.cancelling = told["id"].removeprefix("gid://shopify/Order/")
        self.left = self.polls
        return {"orderCancel": {"job": self.job({}, 0)["job"], "orderCancelUserErrors": [], "userErrors": []}}

    def job(self, _told, polled=1):
        self.left -= polled
        if self.left <= 0 and self.works and self.cancelling:
            self.cancel(self.cancelling)
            self.cancelling = None
        return {"job": {"id": "gid://shopify/Job/1", "done": self.left <= 0}}

    def refuse(self):
        said = [{"code": "INVALID", "message": self.refusal, "field": ["orderId"]}]
        payload = {"job": None, "orderCancelUserErrors": said, "userErrors": said}
        self.fail("act", Answer(body={"data": {"orderCancel": payload}}))


class Woo(Remote):
    kind = "woocommerce"
    settings: ClassVar = {"user": "ck_1", "note": "dropped <{reason}>"}
    keys: ClassVar = {OPEN: "11", CANCELLED: "12", SHIPPED: "13", "missing": "99"}
    refusal = "Invalid parameter(s): status"
    statuses: ClassVar = {OPEN: "on-hold", CANCELLED: "cancelled", SHIPPED: "completed", PAID: "processing"}

    def step(self, request):
        if "line_items" in request.query.get("_fields", ""):
            return "page" if "offset" in request.query else "whole"
        return {"GET": "read", "PUT": "act", "POST": "note"}[request.method]

    def knows(self, request):
        login = b64encode(f"ck_1:{SECRET}".encode()).decode()
        return request.headers.get("authorization") == f"Basic {login}"

    def row(self, key):
        status = self.statuses[self.orders[key]]
        return {"id": int(key), "status": status, "date_paid_gmt": None, "currency": self.currency}

    def order(self, key):
        address = {"first_name": "Ann", "last_name": "Bo", "company": f"Shop {key}", "address_1": "Rue 1",
                   "city": "Paris", "country": "FR", "email": f"b{key}@b.example"}  # fmt: skip
        lines = [("LN-10", 2, 10.0000001), ("BELT", 1, 12.5)]
        return {
            **self.row(key), "number": key, "date_created_gmt": "2026-01-02T03:04:05",
            "total": "32.50", "customer_note": "", "customer_id": 0, "payment_method": "bacs",
            "payment_method_title": "Transfer", "billing": address, "shipping": {**address, "email": None},
            "line_items": [{"name": sku.title(), "sku": sku, "product_id": 1, "quantity": number, "price": price}
                           for sku, number, price in lines],
        }  # fmt: skip

    def answer(self, step, request):
        path = request.path.removeprefix("/wp-json/wc/v3/orders")
        if step == "page":
            assert (request.query["orderby"], request.query["order"]) == ("id", "asc")
            start = int(request.query["offset"])
            keys = list(self.there().values())[start : start + int(request.query["per_page"])]
            return Answer(body=[self.order(key) for key in keys])
        if step == "whole":
            keys = self.there().values()
            return Answer(body=[self.order(key) for key in request.query["include"].split(",") if key in keys])
        if step == "read":
            wanted = request.query["include"].split(",")
            return Answer(body=[self.row(key) for key in wanted if key in self.orders and key != self.keys["missing"]])
        key = path.split("/")[1]
        if step == "note":
            self.notes.append(request.json)
            return Answer(status=201, body={"id": 1})
        assert request.json["status"] == "cancelled"
        self.cancel(key)
        return Answer(body=self.row(key))

    def refuse(self):
        said = {"code": "rest_invalid_param", "message": self.refusal, "data": {"status": 400}}
        self.fail("act", Answer(status=400, body=said))


class Odoo(Remote):
    kind = "odoo"
    settings: ClassVar = {"database": "brand", "note": "dropped: {reason}"}
    keys: ClassVar = {OPEN: "S00001", CANCELLED: "S00002", SHIPPED: "S00003", "missing": "S00099"}
    refusal = "You cannot cancel a locked order. Please unlock it first."

    def __init__(self):
        super().__init__()
        self.fields = ["name", "state", "locked", "effective_date", "delivery_status", "invoice_ids", "currency_id"]
        self.extra = {}
        self.posted = []
        self.wizard = False

    def call(self, request):
        assert request.headers["x-odoo-database"] == "brand"
        _, _, _, model, method = request.path.split("/")
        params = request.json
        return model, method, params.pop("ids", []), params

    def step(self, request):
        model, method, _, params = self.call(request)
        steps = {"fields_get": "fields", "action_cancel": "act", "message_post": "note"}
        if model == "account.move":
            return "invoices"
        if method == "search_read" and model != "sale.order":
            return model
        if method == "search_read" and "partner_id" in params["fields"]:
            return "page" if "limit" in params else "whole"
        return steps.get(method, "read")

    def knows(self, request):
        return request.headers.get("authorization") == f"bearer {SECRET}"

    def row(self, number, key):
        state = {CANCELLED: "cancel"}.get(self.orders[key], "sale")
        shipped = self.orders[key] == SHIPPED
        whole = {"state": state, "locked": False, "effective_date": "2026-01-01 10:00:00" if shipped else False}
        whole |= {
            "name": key,
            "delivery_status": "full" if shipped else "pending",
            "invoice_ids": [],
            "currency_id": [1, self.currency],
        }
        return {"id": number} | {name: (whole | self.extra.get(key, {}))[name] for name in self.fields}

    def order(self, number, key, params):
        """The order as a pull asks for it: empty fields are false, a reference is its id and name."""
        whole = {
            **self.row(number, key), "date_order": "2026-01-02 03:04:05", "create_date": "2026-01-02 03:04:05",
            "amount_total": 32.5, "client_order_ref": False,
            "payment_term_id": [2, "30 days"],
            "commitment_date": False, "invoice_status": "no", "partner_id": [7, "Acme"],
            "partner_shipping_id": [7, "Acme"], "partner_invoice_id": [7, "Acme"],
        }  # fmt: skip
        whole["state"] = {OPEN: "sent", CANCELLED: "cancel"}.get(self.orders[key], "sale")
        return {"id": number, **{name: whole[name] for name in params["fields"]}}

    def lines(self, order):
        line = {"display_type": False, "name": "Shirt", "qty_delivered": 0.0, "qty_invoiced": 0.0}
        return [
            {**line, "id": 1, "order_id": [order, "S"], "product_id": [3, "[LN-10] Shirt"], "product_uom_qty": 2.0,
             "price_unit": 10.0},
            {**line, "id": 2, "order_id": [order, "S"], "product_id": False, "display_type": "line_note",
             "name": "as agreed", "product_uom_qty": 0.0, "price_unit": 0.0},
            {**line, "id": 3, "order_id": [order, "S"], "product_id": [4, "Belt"], "product_uom_qty": 1.0,
             "price_unit": 12.5},
        ]  # fmt: skip

    def value(self, step, request):
        _, _, ids, params = self.call(request)
        known = {number: key for number, key in enumerate(self.orders, 1) if key != self.keys["missing"]}
        if step in {"read", "page", "whole"}:
            return self.found(step, params, known)
        if step == "act":
            assert params["context"] == {"disable_cancel_warning": True}
            if self.wizard:
                return {"type": "ir.actions.act_window", "res_model": "sale.order.cancel"}
            self.cancel(known[ids[0]])
            return True
        if step == "note":
            self.notes.append(params)
            return 1
        return self.about(step, params)

    def found(self, step, params, known):
        """Orders, in short or whole."""
        assert params["order"] == "id asc"
        if step == "page":
            [[_, _, last]] = params["domain"]
            return [self.order(each, known[each], params) for each in known if each > last][: params["limit"]]
        _, (_, _, names), (_, _, numbers) = params["domain"]
        keys = {number: key for number, key in known.items() if key in names or number in numbers}
        if step == "whole":
            return [self.order(number, key, params) for number, key in keys.items()]
        assert set(params["fields"]) == set(self.fields)
        return [self.row(number, key) for number, key in keys.items()]

    def about(self, step, params):
        """Records beside the orders, and the fields of all."""
        if step == "fields":
            lacking = {"locked", "effective_date", "delivery_status"} - set(self.fields)
            return {name: {"type": "char"} for name in params["allfields"] if name not in lacking}
        wanted = params["domain"][0][2]
        return {
            "invoices": [{"id": each, "state": "posted"} for each in self.posted if each in wanted],
            "sale.order.line": [line for order in wanted for line in self.lines(order)],
            "res.partner": [{"id": 7, "name": "Acme", "email": "acme@b.example", "country_code": "FR"}],
            "product.product": [{"id": 3, "default_code": "LN-10"}],
        }[step]

    def answer(self, step, request):
        return Answer(body=self.value(step, request))

    def error(self, name, message, status=422):
        return Answer(status=status, body={"name": name, "message": message, "arguments": [message], "debug": "…"})

    def refuse(self):
        self.fail("act", self.error("odoo.exceptions.UserError", self.refusal))


class OdooRpc(Odoo):
    settings: ClassVar = {**Odoo.settings, "user": "bot", "format": "json-rpc"}

    def call(self, request):
        assert request.path == "/jsonrpc"
        told = request.json["params"]
        if told["service"] == "common":
            return "", "authenticate", [], {}
        database, uid, _, model, method, args, params = told["args"]
        assert (database, uid) == ("brand", 7)
        return model, method, *([args[0], params] if args else [[], params])

    def step(self, request):
        return "login" if request.json["params"]["service"] == "common" else super().step(request)

    def knows(self, request):
        args = request.json["params"]["args"]
        return args[:3] == ["brand", "bot", SECRET] or args[2] == SECRET

    def stranger(self):
        return Answer(body={"jsonrpc": "2.0", "id": 1, "result": False})

    def answer(self, step, request):
        value = 7 if step == "login" else self.value(step, request)
        return Answer(body={"jsonrpc": "2.0", "id": 1, "result": value})

    def error(self, name, message, status=200):
        data = {"name": name, "message": message, "debug": "…"}
        assert status
        return Answer(body={"jsonrpc": "2.0", "id": 1, "error": {"code": 200, "message": "Odoo", "data": data}})


REMOTES = {"shopify": Shopify, "woocommerce": Woo, "odoo json-2": Odoo, "odoo json-rpc": OdooRpc}


def config_of(remote, url, folder, /, **changed):
    """The settings file of a system `shop` of that kind."""
    folder.mkdir(exist_ok=True)
    secret = folder / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    told = {"kind": remote.kind, "url": url, "secret_file": str(secret), "timeout": 1, **remote.settings, **changed}
    lines = [f"{name} = {value!r}" for name, value in told.items() if value != ""]
    file = folder / "config.toml"
    file.write_text("\n".join(["[profile.default.systems.shop]", *lines, ""]))
    file.chmod(0o600)
    return file


def settings_of(remote, url, folder, /, **changed):
    return system_named(read_settings(config_of(remote, url, folder, **changed), {}, {}), "shop")


@contextmanager
def remote_cli(remote, store_url, folder, /, **changed):
    """The command line whose system `shop` is that one, which runs."""
    with http_server(remote) as server:
        config = config_of(remote, server.url, folder / "shop", **{"timeout": 10, **changed})
        config.write_text(
            "[profile.default]\nmail.transport = 'maildir'\nmail.sender = 'orders@brand.example'\n"
            f"mail.maildir = '{folder}/mails'\n{config.read_text()}"
        )
        yield Cli(store_url, folder / "home", ORDERCTL_CONFIG=str(config))


@dataclass
class Talk:
    """A connection to a system that runs."""

    remote: Remote
    server: object
    system: object
    begun: int = 0

    def send(self, key, *, begins=True):
        """The outcome of a cancellation under that key."""

        def begin():
            self.begun += 1
            return begins

        return self.system.send(None, cancellation(key), begin)


def cancellation(key, reason="style & co"):
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Cancellation(
        id="w-1", order_id="A", key=key, batch_id="b-1", reason=reason, reason_code="", amount=Money("EUR", 1000),
        rejected_at=at,
    )  # fmt: skip


@contextmanager
def talk_to(remote, folder, **changed):
    """The connection of the program to that system."""
    with http_server(remote) as server, settings_of(remote, server.url, folder, **changed).connect() as system:
        yield Talk(remote, server, system)
