"""WooCommerce as a system, over its REST API, version wc/v3.

The contract is that of the page woocommerce.github.io/woocommerce-rest-api-docs, for v3: *Authentication*, *List all
orders*, *Update an order* and *Create an order note*.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from orderctl.core.text import safe
from orderctl.language import _
from orderctl.systems.http import Http, basic
from orderctl.systems.remote import RemoteSystem, Seen, choice, needed_secret
from orderctl.systems.systems import Cancellation, Found, SystemSettings

_ORDERS = "/wp-json/wc/v3/orders"
_FIELDS = "id,status,date_paid_gmt"
_AT_ONCE = 100  # the most of one page
# Where the order keeps which write-back cancelled it.
_META = "_orderctl_writeback"
_PAID, _UNPAID = "processing", frozenset({"pending", "on-hold"})
# What is wrong with the order, and not with the call.
_OF_THE_ORDER = frozenset({400, 404, 409, 422})


class WooCommerceSystem(RemoteSystem):
    """One shop. An order that was paid for is a conflict, unless the settings say that the money stays (`none`)."""

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
        wanted = list(dict.fromkeys(key for key in keys if key.isascii() and key.isdigit()))
        for start in range(0, len(wanted), _AT_ONCE):
            asked = {
                "include": ",".join(wanted[start : start + _AT_ONCE]),
                "per_page": str(_AT_ONCE),
                "status": "any",
                "_fields": _FIELDS,
            }
            rows = self.http.document(self.http.ask("GET", _ORDERS, params=asked), list)
            found |= {str(row.get("id")): self._seen(row) for row in rows if isinstance(row, dict)}
        return {key: found.get(key, Seen(found=Found.MISSING)) for key in keys}

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
        ref, status = str(row.get("id")), str(row.get("status"))
        if status == "cancelled":
            return Seen(found=Found.CANCELLED, ref=ref)
        if status not in {_PAID, *_UNPAID}:
            return Seen(found=Found.CLOSED, ref=ref, why=_("it is {status!r}", status=safe(status)))
        if (status == _PAID or row.get("date_paid_gmt")) and not self._paid_too:
            return Seen(found=Found.CLOSED, ref=ref, why=_("it was paid for"))
        return Seen(found=Found.OPEN, ref=ref)
