"""Shopify as a system, over its GraphQL Admin API, version 2026-07.

The contract is that of these pages below shopify.dev/docs: api/admin-graphql/2026-07/mutations/orderCancel
(asynchronous: it returns a job) and .../2026-07/input-objects/OrderCancelRefundMethodInput, read for that version;
queries/Job, enums/OrderCancelReason and enums/OrderCancelUserErrorCode as they were from 2025-10 to 2026-04;
apps/build/apis/graphql-admin/rate-limits (what is THROTTLED was not done) and api/usage/response-codes, which have no
version.
"""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from orderctl.errors import ServerSetupError, ServerUnavailableError
from orderctl.language import _
from orderctl.systems.http import Http, NoAnswerError
from orderctl.systems.remote import RemoteSystem, Seen, choice, needed_secret
from orderctl.systems.systems import Cancellation, Found, SystemSettings

VERSION = "2026-07"
_PATH = f"/admin/api/{VERSION}/graphql.json"
_GID = "gid://shopify/Order/"
_REASONS = ("CUSTOMER", "DECLINED", "FRAUD", "INVENTORY", "OTHER", "STAFF")
_LONGEST_NOTE = 255
_IDS_AT_ONCE, _NAMES_AT_ONCE = 50, 10
_SHIPPED = frozenset({"FULFILLED", "PARTIALLY_FULFILLED"})
_TRIES, _FIRST_PAUSE_S, _LONGEST_PAUSE_S = 4, 0.1, 5.0

_ORDER = "id name cancelledAt displayFulfillmentStatus"
_BY_ID = f"query Orders($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on Order {{ {_ORDER} }} }} }}"
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
        ids = {
            key: f"{_GID}{key.removeprefix(_GID)}" for key in keys if re.fullmatch(f"({_GID})?[0-9]+", key, re.ASCII)
        }
        names = [key for key in keys if key not in ids]
        return {**self._by_id(ids), **self._by_name(names)}

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

    def _by_id(self, ids: Mapping[str, str]) -> dict[str, Seen]:
        found: dict[str, Mapping[str, Any]] = {}
        for wanted in _in_parts(list(dict.fromkeys(ids.values())), _IDS_AT_ONCE):
            nodes = self._ask(_BY_ID, {"ids": wanted}).get("nodes")
            if not isinstance(nodes, list):
                raise self.http.strange()
            found |= {str(node.get("id")): node for node in _dicts(nodes)}
        return {key: _seen([found[gid]] if gid in found else []) for key, gid in ids.items()}

    def _by_name(self, names: Sequence[str]) -> dict[str, Seen]:
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
                found[name] = _seen([node for node in _dicts(nodes) if node.get("name") == name])
        return found

    def _ask(self, query: str, variables: Mapping[str, Any], *, acts: bool = False) -> Mapping[str, Any]:
        """The data of a query or mutation. What is throttled was not done: it is asked again after a pause."""
        for _try in range(_TRIES):
            answer = self.http.ask("POST", _PATH, body={"query": query, "variables": variables}, acts=acts)
            document = self.http.document(answer, dict, acts=acts)
            errors = _dicts(document.get("errors"))
            if not errors and isinstance(document.get("data"), dict):
                return _dict(document["data"])
            codes = {_dict(each.get("extensions")).get("code") for each in errors}
            words = self.http.shown(", ".join(str(each.get("message", "")) for each in errors))
            if "THROTTLED" not in codes:
                raise self._error(codes, words or _("it does not say why"), acts=acts)
            pause_s = _restored_in_s(document)
            if pause_s > self._timeout_s:
                break
            time.sleep(pause_s)
        raise self.http.not_now(words)

    def _error(self, codes: set[Any], words: str, *, acts: bool) -> Exception:
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
    ref = str(node.get("id"))
    if node.get("cancelledAt"):
        return Seen(found=Found.CANCELLED, ref=ref)
    if node.get("displayFulfillmentStatus") in _SHIPPED:
        return Seen(found=Found.CLOSED, ref=ref, why=_("it was shipped, at least in part"))
    return Seen(found=Found.OPEN, ref=ref)


def _restored_in_s(document: Mapping[str, Any]) -> float:
    """Seconds until the bucket holds what the query costs."""
    cost = _dict(_dict(document.get("extensions")).get("cost"))
    status = _dict(cost.get("throttleStatus"))
    try:
        missing = float(cost["requestedQueryCost"]) - float(status["currentlyAvailable"])
        return max(_FIRST_PAUSE_S, missing / float(status["restoreRate"]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return 1.0


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _in_parts(items: Sequence[str], most: int) -> list[Sequence[str]]:
    return [items[start : start + most] for start in range(0, len(items), most)]


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
