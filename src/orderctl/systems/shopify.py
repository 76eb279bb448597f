"""Shopify as a system, over its GraphQL Admin API, version 2026-07.

The contract is that of these pages below shopify.dev/docs: api/admin-graphql/2026-07/mutations/orderCancel
(asynchronous: it returns a job) and .../2026-07/input-objects/OrderCancelRefundMethodInput, read for that version;
queries/Job, enums/OrderCancelReason and enums/OrderCancelUserErrorCode as they were from 2025-10 to 2026-04;
queries/orders (sortKey ID, the filter `id:>=`), objects/Order and objects/LineItem as of 2025-01;
apps/build/apis/graphql-admin/rate-limits (what is THROTTLED was not done; a query costs 1,000 points at most),
api/usage/limits (pages go no deeper than 25,000) and api/usage/response-codes, which have no version.

Orders are read as the shop's own export has them, so that the same column map reads both.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from orderctl.errors import ServerSetupError, ServerUnavailableError
from orderctl.files.cells import Cell
from orderctl.language import _
from orderctl.systems.http import Http, NoAnswerError
from orderctl.systems.pages import Page
from orderctl.systems.remote import RemoteSystem, Seen, choice, needed_secret
from orderctl.systems.systems import Cancellation, Found, SystemSettings, patiently

VERSION = "2026-07"
_PATH = f"/admin/api/{VERSION}/graphql.json"
_GID = "gid://shopify/Order/"
_REASONS = ("CUSTOMER", "DECLINED", "FRAUD", "INVENTORY", "OTHER", "STAFF")
_LONGEST_NOTE = 255
_IDS_AT_ONCE, _NAMES_AT_ONCE = 50, 10
_AN_ID = re.compile("[0-9]{1,19}", re.ASCII)
_SHIPPED = frozenset({"FULFILLED", "PARTIALLY_FULFILLED"})
_TRIES, _FIRST_PAUSE_S, _LONGEST_PAUSE_S = 4, 0.1, 5.0

_ORDER = "id name cancelledAt displayFulfillmentStatus currencyCode"
_BY_ID = "query Orders($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on Order {{ {fields} }} }} }}"
# At most so many orders a page with so many lines each, for what a query may cost; more lines are asked for apart.
_PAGE, _LINES, _MORE_LINES = 10, 25, 250
_DEEPEST = 20_000
_MOST_PAGES_OF_LINES = 40
_ADDRESS = "company name address1 address2 zip city provinceCode countryCodeV2"
_OF_LINES = (
    "pageInfo { hasNextPage endCursor }"
    " nodes { name quantity sku vendor originalUnitPriceSet { shopMoney { amount } } }"
)
_WHOLE = (
    f"{_ORDER} legacyResourceId createdAt email phone note tags displayFinancialStatus"
    f" totalPriceSet {{ shopMoney {{ amount }} }} paymentTerms {{ paymentTermsName }}"
    f" billingAddress {{ {_ADDRESS} }} shippingAddress {{ {_ADDRESS} }}"
    f" lineItems(first: {_LINES}) {{ {_OF_LINES} }}"
)
_PAGES = (
    "query Page($after: String, $query: String) {"
    f" orders(first: {_PAGE}, after: $after, query: $query, sortKey: ID) {{"
    f" pageInfo {{ hasNextPage endCursor }} nodes {{ {_WHOLE} }} }} }}"
)
_LINES_LEFT = (
    "query Lines($id: ID!, $after: String) {"
    f" order(id: $id) {{ lineItems(first: {_MORE_LINES}, after: $after) {{ {_OF_LINES} }} }} }}"
)
# The columns of the shop's own export, by where a node has their values.
_OF_ORDERS = {
    "Name": "name",
    "Id": "legacyResourceId",
    "Email": "email",
    "Phone": "phone",
    "Financial Status": "displayFinancialStatus",
    "Fulfillment Status": "displayFulfillmentStatus",
    "Cancelled at": "cancelledAt",
    "Created at": "createdAt",
    "Currency": "currencyCode",
    "Total": "totalPriceSet.shopMoney.amount",
    "Notes": "note",
    "Tags": "tags",
    "Payment Terms Name": "paymentTerms.paymentTermsName",
    **{
        f"{kind} {column}": f"{kind.lower()}Address.{name}"
        for kind in ("Billing", "Shipping")
        for column, name in {
            "Company": "company",
            "Name": "name",
            "Address1": "address1",
            "Address2": "address2",
            "Zip": "zip",
            "City": "city",
            "Province": "provinceCode",
            "Country": "countryCodeV2",
        }.items()
    },
}
_OF_ITEMS = {
    "Lineitem name": "name",
    "Lineitem quantity": "quantity",
    "Lineitem price": "originalUnitPriceSet.shopMoney.amount",
    "Lineitem sku": "sku",
    "Vendor": "vendor",
}
_JOB = "query Job($id: ID!) { job(id: $id) { id done } }"
_CANCEL = """
mutation Cancel($id: ID!, $reason: OrderCancelReason!, $refund: OrderCancelRefundMethodInput!, $restock: Boolean!,
                $note: String) {
  orderCancel(orderId: $id, reason: $reason, refundMethod: $refund, restock: $restock, notifyCustomer: false,
              staffNote: $note) {
    job { id done }
    orderCancelUserErrors { code message }
    userErrors { message }
  }
}
"""


class ShopifySystem(RemoteSystem):
    """One shop. What happens to money and goods is said in the settings; there is no default. Nobody is mailed."""

    map_name = "shopify"
    header = (*_OF_ORDERS, *_OF_ITEMS)

    def __init__(self, settings: SystemSettings) -> None:
        """Raises UsageError for settings that cannot be used."""
        self._reason = choice(
            settings,
            "reason",
            {each.lower(): each for each in _REASONS},
            _("say what Shopify is told: one of {known}", known=", ".join(_REASONS).lower()),
        )
        self._refund = choice(
            settings,
            "refund",
            {"original": True, "none": False},
            _("say what happens to money paid: original pays it back as it came, none leaves it with you"),
        )
        self._restock = choice(
            settings,
            "restock",
            {"yes": True, "no": False},
            _("say whether the goods go back into stock: yes or no"),
        )
        token = needed_secret(settings)
        super().__init__(settings, Http(settings, headers={"X-Shopify-Access-Token": token}, secrets=[token]))
        self._timeout_s = settings.number("timeout")

    def see(self, keys: Sequence[str]) -> Mapping[str, Seen]:
        """How orders stand, by number, by `gid://shopify/Order/…`, or by name such as `#1001`."""
        return {key: _seen(nodes) for key, nodes in self._nodes(keys).items()}

    def pages(self, after: str) -> Iterator[Page]:
        """By ascending id, which is the position. Shopify's cursors do not reach far: a new walk begins after an id."""
        told: dict[str, str] = {}
        walked = 0
        while True:
            if after and not told:
                told["query"] = f"id:>={int(after) + 1}"
            found = _dict(patiently(partial(self._ask, _PAGES, told)).get("orders"))
            nodes, info = _dicts(found.get("nodes")), _dict(found.get("pageInfo"))
            ids = [str(node.get("legacyResourceId")) for node in nodes]
            if not isinstance(found.get("nodes"), list) or not all(_AN_ID.fullmatch(each) for each in ids):
                raise self.http.strange()
            if nodes:
                after, walked = ids[-1], walked + len(nodes)
                yield Page(orders=[self._with_lines(node) for node in nodes], after=after)
            if not (nodes and info.get("hasNextPage")):
                return
            told["after"] = str(info.get("endCursor"))
            if walked >= _DEEPEST:
                told, walked = {}, 0

    def pages_of(self, keys: Sequence[str]) -> Iterator[Page]:
        """By what they are called there; of several of one name all."""
        known = patiently(partial(self._nodes, keys))
        ids = dict.fromkeys(str(node.get("id")) for nodes in known.values() for node in nodes)
        for wanted in _in_parts(list(ids), _PAGE):
            nodes = patiently(partial(self._by_id, wanted, _WHOLE))
            yield Page(orders=[self._with_lines(node) for node in nodes])

    def rows(self, order: Mapping[str, Any]) -> Iterator[Sequence[Cell]]:
        """A row for each line; the fields of the order stand on each."""
        own = [_cell(column, _at(order, path)) for column, path in _OF_ORDERS.items()]
        for line in order["lineItems"]["nodes"] or [{}]:
            yield [*own, *(_cell(column, _at(line, path)) for column, path in _OF_ITEMS.items())]

    def act(self, ref: str, cancellation: Cancellation) -> str:
        """Cancel it, and follow the job to its end."""
        told = {
            "id": ref,
            "reason": self._reason,
            "refund": {"originalPaymentMethodsRefund": self._refund},
            "restock": self._restock,
            "note": self.note_on(cancellation)[:_LONGEST_NOTE] or None,
        }
        payload = _dict(self._ask(_CANCEL, told, acts=True).get("orderCancel"))
        errors = [*_dicts(payload.get("orderCancelUserErrors")), *_dicts(payload.get("userErrors"))]
        # Shopify says the same in both lists.
        words = self.http.shown(", ".join(dict.fromkeys(str(each.get("message", "")) for each in errors)))
        if any(each.get("code") == "INTERNAL_ERROR" for each in errors):
            raise NoAnswerError(words)
        if errors:
            return words or _("it does not say why")
        self._follow(_dict(payload.get("job")))
        return ""

    def tell_staff(self, _ref: str, _note: str) -> None:
        """Nothing: the cancellation carries the note."""

    def _follow(self, job: Mapping[str, Any]) -> None:
        """Wait until the job has ended. Raises NoAnswerError if it does not, or if that cannot be found out."""
        until, pause_s = time.monotonic() + self._timeout_s, _FIRST_PAUSE_S
        while job.get("done") is not True:
            if not isinstance(job.get("id"), str):
                raise NoAnswerError(_("it names no job"))
            if time.monotonic() + pause_s > until:
                raise NoAnswerError(_("its job has not ended within {number} s", number=self._timeout_s))
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            try:
                job = _dict(self._ask(_JOB, {"id": job["id"]}).get("job"))
            except ServerUnavailableError as error:
                raise NoAnswerError(error.message) from error

    def _nodes(self, keys: Sequence[str]) -> dict[str, list[Mapping[str, Any]]]:
        """The orders of each key, in short: one, or none; several of one name."""
        ids = {
            key: f"{_GID}{key.removeprefix(_GID)}" for key in keys if re.fullmatch(f"({_GID})?[0-9]+", key, re.ASCII)
        }
        found: dict[str, Mapping[str, Any]] = {}
        for wanted in _in_parts(list(dict.fromkeys(ids.values())), _IDS_AT_ONCE):
            found |= {str(node.get("id")): node for node in self._by_id(wanted, _ORDER)}
        by_id = {key: [found[gid]] if gid in found else [] for key, gid in ids.items()}
        return {**by_id, **self._by_name([key for key in keys if key not in ids])}

    def _by_id(self, ids: Sequence[str], fields: str) -> list[Mapping[str, Any]]:
        nodes = self._ask(_BY_ID.format(fields=fields), {"ids": ids}).get("nodes")
        if not isinstance(nodes, list):
            raise self.http.strange()
        return _dicts(nodes)

    def _by_name(self, names: Sequence[str]) -> dict[str, list[Mapping[str, Any]]]:
        """A search finds what is like it too; only an order of exactly that name counts."""
        found = {}
        for wanted in _in_parts(names, _NAMES_AT_ONCE):
            variables = {f"n{number}": f"name:{_quoted(name)}" for number, name in enumerate(wanted)}
            declared = ", ".join(f"${each}: String!" for each in variables)
            searches = " ".join(
                f"{each}: orders(first: 10, query: ${each}) {{ nodes {{ {_ORDER} }} }}" for each in variables
            )
            data = self._ask(f"query Names({declared}) {{ {searches} }}", variables)
            for each, name in zip(variables, wanted, strict=True):
                nodes = _dict(data.get(each)).get("nodes")
                if not isinstance(nodes, list):
                    raise self.http.strange()
                found[name] = [node for node in _dicts(nodes) if node.get("name") == name]
        return found

    def _with_lines(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """The order with all of its lines."""
        lines, told = _dict(node.get("lineItems")), {"id": node.get("id")}
        items = _dicts(lines.get("nodes"))
        pages = 0
        while _dict(lines.get("pageInfo")).get("hasNextPage"):
            pages += 1
            told["after"] = lines["pageInfo"].get("endCursor")
            found = patiently(partial(self._ask, _LINES_LEFT, told)).get("order")
            lines = _dict(_dict(found).get("lineItems"))
            more = _dicts(lines.get("nodes"))
            if not more or pages > _MOST_PAGES_OF_LINES:
                raise self.http.strange()
            items += more
        return {**node, "lineItems": {"nodes": items}}

    def _ask(self, query: str, variables: Mapping[str, Any], *, acts: bool = False) -> Mapping[str, Any]:
        """The data of a query or mutation. What is throttled was not done: it is asked again after a pause."""
        for _try in range(_TRIES):
            answer = self.http.ask("POST", _PATH, body={"query": query, "variables": variables}, acts=acts)
            document = self.http.document(answer, dict, acts=acts)
            said = document.get("errors")  # a text, where the request itself is wrong
            errors = [{"message": said}] if isinstance(said, str) and said else _dicts(said)
            if not errors and isinstance(document.get("data"), dict):
                return _dict(document["data"])
            codes = {str(_dict(each.get("extensions")).get("code")) for each in errors}
            words = self.http.shown(", ".join(str(each.get("message", "")) for each in errors))
            if "THROTTLED" not in codes:
                raise self._error(codes, words or _("it does not say why"), acts=acts)
            pause_s = _restored_in_s(document)
            if pause_s > self._timeout_s:
                break
            time.sleep(pause_s)
        raise self.http.not_now(words, pause_s)

    def _error(self, codes: set[str], words: str, *, acts: bool) -> Exception:
        """What an error of the whole query means."""
        if "ACCESS_DENIED" in codes:
            return self.http.login_refused(words)
        if acts:
            return NoAnswerError(words)
        if "INTERNAL_SERVER_ERROR" in codes:
            return self.http.not_now(words)
        return ServerSetupError(
            _("{system} does not take what it is asked: {why}", system=self.name, why=words),
            hint=_("it has to offer version {version} of the Admin API", version=VERSION),
        )


def _seen(nodes: Sequence[Mapping[str, Any]]) -> Seen:
    """How the order stands that these nodes are; there should be one."""
    if not nodes:
        return Seen(found=Found.MISSING)
    if len(nodes) > 1:
        return Seen(found=Found.CLOSED, why=_("several orders there have that name"))
    [node] = nodes
    seen = Seen(found=Found.OPEN, ref=str(node.get("id")), currency=str(node.get("currencyCode") or ""))
    if node.get("cancelledAt"):
        return replace(seen, found=Found.CANCELLED)
    if node.get("displayFulfillmentStatus") in _SHIPPED:
        return replace(seen, found=Found.CLOSED, why=_("it was shipped, at least in part"))
    return seen


def _restored_in_s(document: Mapping[str, Any]) -> float:
    """Seconds until the bucket holds what the query costs."""
    cost = _dict(_dict(document.get("extensions")).get("cost"))
    status = _dict(cost.get("throttleStatus"))
    try:
        missing = float(cost["requestedQueryCost"]) - float(status["currentlyAvailable"])
        return max(_FIRST_PAUSE_S, missing / float(status["restoreRate"]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return 1.0


def _at(node: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - as Shopify says it
    """A value inside a node, by the names that lead to it; None where one of them is not there."""
    *above, name = path.split(".")
    for each in above:
        node = _dict(node.get(each))
    return node.get(name)


def _cell(column: str, value: Any) -> Cell:  # noqa: ANN401 - as Shopify says it
    """A value as the export has it: words of a status in small letters, tags in one text."""
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if column in {"Total", "Lineitem price"}:
        return Decimal(value)
    if column == "Created at":
        return datetime.fromisoformat(value)
    return str(value).lower() if column.endswith("Status") else str(value)


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _in_parts(items: Sequence[str], most: int) -> list[Sequence[str]]:
    return [items[start : start + most] for start in range(0, len(items), most)]


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
