"""WooCommerce as a system, over its REST API, version wc/v3.

The contract is that of the page woocommerce.github.io/woocommerce-rest-api-docs, for v3: *Authentication*, *Pagination*
(an offset, and never the address that a `Link` names), *List all orders*, *Update an order* and *Create an order note*.

Orders are read as the extension "Customer / Order / Coupon Export" has them, so that the same column map reads both.
"""

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from orderctl.core.text import safe
from orderctl.files.cells import Cell
from orderctl.language import _
from orderctl.systems.http import Http, basic
from orderctl.systems.pages import Page
from orderctl.systems.remote import RemoteSystem, Seen, choice, needed_secret
from orderctl.systems.systems import Cancellation, Found, SystemSettings, patiently

_ORDERS = "/wp-json/wc/v3/orders"
_FIELDS = "id,status,date_paid_gmt,currency"
_AT_ONCE = 100  # the most of one page
_PAGE = 50  # whole orders of a page: an answer is held whole
# The columns of the export, by where an order has their values.
_OF_ORDERS = {
    "order_id": "id",
    "order_number": "number",
    "status": "status",
    "order_date": "date_created_gmt",
    "order_currency": "currency",
    "order_total": "total",
    "customer_note": "customer_note",
    "customer_id": "customer_id",
    "payment_method": "payment_method",
    "payment_method_title": "payment_method_title",
    **{
        f"{kind}_{name}": f"{kind}.{name}"
        for kind in ("billing", "shipping")
        for name in (
            *("first_name", "last_name", "company", "email", "phone"),
            *("address_1", "address_2", "postcode", "city", "state", "country"),
        )
    },
}
_FULL_NAMES = {"billing_full_name": "billing", "shipping_full_name": "shipping"}
_OF_LINES = {
    "item_name": "name",
    "item_sku": "sku",
    "item_product_id": "product_id",
    "item_quantity": "quantity",
    "item_price": "price",
}
_WHOLE = ",".join(dict.fromkeys([*(path.partition(".")[0] for path in _OF_ORDERS.values()), "line_items"]))
# Where the order keeps which write-back cancelled it.
_META = "_orderctl_writeback"
_PAID, _UNPAID = "processing", frozenset({"pending", "on-hold"})
# What is wrong with the order, and not with the call.
_OF_THE_ORDER = frozenset({400, 404, 409, 422})


class WooCommerceSystem(RemoteSystem):
    """One shop. An order that was paid for is a conflict, unless the settings say that the money stays (`none`)."""

    map_name = "woocommerce"
    header = (*_OF_ORDERS, *_FULL_NAMES, *_OF_LINES)

    def __init__(self, settings: SystemSettings) -> None:
        """Raises UsageError for settings that cannot be used."""
        self._paid_too = choice(
            settings,
            "refund",
            {"": False, "none": True},
            _("none cancels paid orders too, and you pay the money back; without it they are conflicts"),
        )
        choice(settings, "restock", {"": True, "yes": True}, _("WooCommerce itself puts the goods back into stock"))
        user = settings.needed("user", _("the consumer key: ck_…"))
        secret = needed_secret(settings)
        login = basic(user, secret)
        super().__init__(settings, Http(settings, headers={"Authorization": login}, secrets=[secret, login[6:]]))

    def see(self, keys: Sequence[str]) -> Mapping[str, Seen]:
        """How orders stand, by their ids there. What lies in the bin is not there."""
        found: dict[str, Seen] = {}
        for wanted in _numbers(keys, _AT_ONCE):
            rows = self._listed({"include": wanted, "per_page": str(_AT_ONCE), "_fields": _FIELDS})
            found |= {str(row.get("id")): self._seen(row) for row in rows}
        return {key: found.get(key, Seen(found=Found.MISSING)) for key in keys}

    def pages(self, after: str) -> Iterator[Page]:
        """By ascending id. The position is the last id, and how many orders came before the end of its page.

        Each page begins with the last order of the one before: if another one stands there, some were deleted before
        it, what follows has moved up, and it goes back a page.
        """
        last, offset = map(int, after.split(":")) if after else (0, 0)
        before: list[int] = []
        while True:
            start = max(0, offset - 1)
            rows = patiently(partial(self._listed, self._asked_page(start)))
            ids = [row["id"] for row in rows]
            if ids and ids == before:
                raise self.http.strange()
            before = ids
            if start and (not ids or ids[0] > last):
                offset = max(0, start - _PAGE)
                continue
            offset = start + len(rows)
            if new := [row for row, number in zip(rows, ids, strict=True) if number > last]:
                last = ids[-1]
                yield Page(orders=new, after=f"{last}:{offset}")
            if len(rows) < _PAGE:
                return

    def pages_of(self, keys: Sequence[str]) -> Iterator[Page]:
        """By their ids there."""
        for wanted in _numbers(keys, _PAGE):
            asked = {"include": wanted, "per_page": str(_PAGE), "_fields": _WHOLE}
            yield Page(orders=patiently(partial(self._listed, asked)))

    def rows(self, order: Mapping[str, Any]) -> Iterator[Sequence[Cell]]:
        """A row for each line; the fields of the order stand on each."""
        own = [_cell(column, order, path) for column, path in _OF_ORDERS.items()]
        own += [_full_name(order[kind]) for kind in _FULL_NAMES.values()]
        for line in order["line_items"] or [{}]:
            yield [*own, *(_cell(column, line, path) for column, path in _OF_LINES.items())]

    def _asked_page(self, start: int) -> dict[str, str]:
        return {
            "orderby": "id", "order": "asc", "offset": str(start), "per_page": str(_PAGE), "_fields": _WHOLE,
        }  # fmt: skip

    def _listed(self, asked: Mapping[str, str]) -> list[dict[str, Any]]:
        rows = self.http.document(self.http.ask("GET", _ORDERS, params={**asked, "status": "any"}), list)
        if not all(isinstance(row, dict) and isinstance(row.get("id"), int) for row in rows):
            raise self.http.strange()
        return list(rows)

    def act(self, ref: str, cancellation: Cancellation) -> str:
        """Cancel it. There is no condition on what it was: someone else may have changed it since the look."""
        told = {"status": "cancelled", "meta_data": [{"key": _META, "value": cancellation.id}]}
        answer = self.http.ask("PUT", f"{_ORDERS}/{ref}", body=told, acts=True)
        if answer.status in _OF_THE_ORDER and isinstance(answer.document(), dict):
            return self.http.words(answer)
        self.http.document(answer, dict, acts=True)
        return ""

    def tell_staff(self, ref: str, note: str) -> None:
        """A private note, which WordPress reads as HTML."""
        told = {"note": html.escape(note, quote=False), "customer_note": False}
        self.http.ask("POST", f"{_ORDERS}/{ref}/notes", body=told, acts=True)

    def _seen(self, row: Mapping[str, Any]) -> Seen:
        status = str(row.get("status"))
        seen = Seen(found=Found.OPEN, ref=str(row.get("id")), currency=str(row.get("currency") or ""))
        if status == "cancelled":
            return replace(seen, found=Found.CANCELLED)
        if status not in {_PAID, *_UNPAID}:
            return replace(seen, found=Found.CLOSED, why=_("it is {status!r}", status=safe(status)))
        if (status == _PAID or row.get("date_paid_gmt")) and not self._paid_too:
            return replace(seen, found=Found.CLOSED, why=_("it was paid for"))
        return seen


def _numbers(keys: Sequence[str], most: int) -> Iterator[str]:
    """The ids among the keys, so many at a time, as a list in a parameter."""
    wanted = list(dict.fromkeys(key for key in keys if key.isascii() and key.isdigit()))
    return (",".join(wanted[start : start + most]) for start in range(0, len(wanted), most))


def _full_name(address: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (address.get("first_name"), address.get("last_name"))))


def _cell(column: str, found: Mapping[str, Any], path: str) -> Cell:
    """A value as the export has it; times are in UTC."""
    above, dot, name = path.rpartition(".")
    value = (found[above] if dot else found).get(name)
    if column == "order_date" and value:
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    if column in {"order_total", "item_price"} and value is not None:
        return Decimal(str(value))
    return value if value is None or isinstance(value, int) else str(value)
