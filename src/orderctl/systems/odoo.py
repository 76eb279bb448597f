"""Odoo as a system: the External JSON-2 API of Odoo 19 on, and JSON-RPC before it.

The contract is that of the pages *External JSON-2 API* and *External RPC API* of odoo.com/documentation/19.0/developer/
reference. Each call is a transaction of its own, which an error rolls back. `action_cancel` is what the button of an
order calls; its context leaves out the question, which would write a mail. The method behind it (`_action_cancel`) is
private, so no API calls it, and a `write` of the state would leave deliveries and draft invoices as they are.

Orders are read by `search_read`, with the names of fields that an import-compatible export has, so that the same column
map reads both. The fields are those of addons/sale/models/sale_order.py and sale_order_line.py of Odoo 19.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from orderctl.errors import ServerSetupError, UsageError
from orderctl.files.cells import Cell
from orderctl.language import _
from orderctl.systems.http import Answer, Http, NoAnswerError
from orderctl.systems.pages import Page
from orderctl.systems.remote import RemoteSystem, Seen, choice, needed_secret
from orderctl.systems.systems import Cancellation, Found, SystemSettings, patiently

_ORDER, _INVOICE = "sale.order", "account.move"
_LINE, _PARTNER, _PRODUCT = "sale.order.line", "res.partner", "product.product"
_PAGE = 50
# Not every version, and not without its stock application, has all of them.
_FIELDS = ("name", "state", "locked", "effective_date", "delivery_status", "invoice_ids", "currency_id")
_OF_ORDERS = (
    *("name", "state", "date_order", "create_date", "currency_id", "amount_total", "client_order_ref"),
    *("payment_term_id", "commitment_date", "delivery_status", "effective_date", "invoice_status", "invoice_ids"),
    *("partner_id", "partner_shipping_id", "partner_invoice_id"),
)
_OF_LINES = (*("display_type", "product_id", "name", "product_uom_qty", "price_unit", "qty_delivered", "qty_invoiced"),)
_OF_PARTNERS = {"name": "name", "email": "email", "country_code": "country_id"}
_TIMES = frozenset({"date_order", "create_date", "commitment_date", "effective_date"})
_DELIVERED = frozenset({"partial", "full"})
# Errors that are an answer to the request, by the last part of their names.
_REFUSALS = frozenset({"UserError", "ValidationError", "AccessError", "MissingError", "RedirectWarning"})
_LOGIN = frozenset({"AccessDenied", "SessionExpiredException", "Unauthorized", "Forbidden"})
_UNAUTHORIZED, _FORBIDDEN, _WRONG, _BROKEN = 401, 403, 400, 500


class _RefusedError(Exception):
    """Odoo will not do that for this record or this user."""


class OdooSystem(RemoteSystem):
    """One database. What was delivered, locked or invoiced there is a conflict."""

    map_name = "odoo-technical"
    header = (
        *_OF_ORDERS,
        *(f"partner_id/{column}" for column in _OF_PARTNERS.values()),
        *(f"order_line/{name}" for name in _OF_LINES),
        "order_line/product_id/default_code",
    )

    def __init__(self, settings: SystemSettings) -> None:
        """Raises UsageError for settings that cannot be used."""
        hint = _("Odoo moves no money when it cancels, and frees what was reserved: leave this out")
        choice(settings, "refund", {"": None, "none": None}, hint)
        choice(settings, "restock", {"": None, "yes": None}, hint)
        formats = {"": False, "json-2": False, "json-rpc": True}
        self._rpc = choice(settings, "format", formats, _("json-2 from Odoo 19 on, json-rpc before"))
        self._secret, self._database = needed_secret(settings), settings.text("database")
        self._user = settings.text("user")
        if self._rpc and not (self._user and self._database):
            raise UsageError(
                _("systems.{name} lacks its user or its database", name=settings.name),
                hint=_("json-rpc needs both: systems.{name}.user and systems.{name}.database", name=settings.name),
            )
        headers = {} if self._rpc else {"Authorization": f"bearer {self._secret}"}
        if self._database and not self._rpc:
            headers["X-Odoo-Database"] = self._database
        # 403 may be about one record.
        http = Http(settings, headers=headers, secrets=[self._secret], login_refused=frozenset({_UNAUTHORIZED}))
        super().__init__(settings, http)
        self._uid: int | None = None
        self._fields: dict[str, list[str]] = {}

    def see(self, keys: Sequence[str]) -> Mapping[str, Seen]:
        """How orders stand, by their names there (`S00042`) or ids."""
        found = self._read(_ORDER, _called(keys), _FIELDS)
        invoices = sorted({each for row in found for each in _list(row.get("invoice_ids"))})
        posted = self._posted(invoices) if invoices else frozenset()
        return {key: _seen([row for row in found if key in _names(row)], posted) for key in keys}

    def pages(self, after: str) -> Iterator[Page]:
        """By ascending id, which is the position."""
        while found := patiently(partial(self._whole, [["id", ">", int(after or 0)]], _PAGE)):
            after = str(found[-1]["id"])
            yield Page(orders=found, after=after)

    def pages_of(self, keys: Sequence[str]) -> Iterator[Page]:
        """By their names there or ids."""
        for start in range(0, len(keys), _PAGE):
            yield Page(orders=patiently(partial(self._whole, _called(keys[start : start + _PAGE]))))

    def rows(self, order: Mapping[str, Any]) -> Iterator[Sequence[Cell]]:
        """A row for each line; the fields of the order stand on each."""
        own = [_cell(name, order.get(name)) for name in _OF_ORDERS]
        own += [_cell(name, order["partner"].get(name)) for name in _OF_PARTNERS]
        for line in order["lines"] or [{}]:
            yield [*own, *(_cell(name, line.get(name)) for name in (*_OF_LINES, "default_code"))]

    def act(self, ref: str, _cancellation: Cancellation) -> str:
        """Cancel it as its button does. What that returns is not looked at: the order is read again."""
        try:
            told = {"context": {"disable_cancel_warning": True}}
            self._call(_ORDER, "action_cancel", told, ids=[int(ref)], acts=True)
        except _RefusedError as error:
            return str(error)
        return ""

    def tell_staff(self, ref: str, note: str) -> None:
        """An internal note in the history of the order, of which nobody is mailed."""
        try:
            told = {"body": note, "subtype_xmlid": "mail.mt_note"}
            self._call(_ORDER, "message_post", told, ids=[int(ref)], acts=True)
        except _RefusedError as error:
            raise NoAnswerError(str(error)) from error

    def _whole(self, domain: object, limit: int = 0) -> list[dict[str, Any]]:
        """Orders with their lines and partners, by ascending id."""
        found = self._read(_ORDER, domain, _OF_ORDERS, limit=limit)
        if not found:
            return []
        ids = [row["id"] for row in found]
        lines = self._read(_LINE, [["order_id", "in", ids]], ("order_id", *_OF_LINES))
        partners = self._by_id(_PARTNER, [row.get("partner_id") for row in found], tuple(_OF_PARTNERS))
        products = self._by_id(_PRODUCT, [line.get("product_id") for line in lines], ("default_code",))
        mine: dict[int, list[dict[str, Any]]] = {number: [] for number in ids}
        for line in lines:
            code = products.get(_id(line.get("product_id")), {}).get("default_code")
            mine.get(_id(line.get("order_id")), []).append({**line, "default_code": code})
        return [
            {**row, "lines": mine[row["id"]], "partner": partners.get(_id(row.get("partner_id")), {})} for row in found
        ]

    def _by_id(self, model: str, referred: Sequence[object], names: Sequence[str]) -> dict[int, dict[str, Any]]:
        """The records that others refer to. What we may not read, has nothing to say."""
        ids = sorted({_id(each) for each in referred} - {0})
        found = self._read(model, [["id", "in", ids]], names) if ids else []
        return {row["id"]: row for row in found}

    def _read(self, model: str, domain: object, names: Sequence[str], *, limit: int = 0) -> list[dict[str, Any]]:
        """Records by ascending id, with those of the fields that there are. Raises ServerUnavailableError."""
        told = {"domain": domain, "fields": self._known_fields(model, names), "order": "id asc"}
        told |= {"limit": limit} if limit else {}
        found = self._readable(model, "search_read", {**told, "context": {"active_test": False}})
        if not isinstance(found, list) or not all(isinstance(row, dict) and _id(row.get("id")) for row in found):
            raise self.http.strange()
        return found

    def _known_fields(self, model: str, names: Sequence[str]) -> list[str]:
        """Those of the fields that there are; asked once for each model."""
        if model not in self._fields:
            wanted = {_ORDER: (*_FIELDS, *_OF_ORDERS), _LINE: ("order_id", *_OF_LINES)}.get(model, names)
            asked = {"allfields": list(dict.fromkeys(wanted)), "attributes": ["type"]}
            found = self._readable(model, "fields_get", asked)
            if not isinstance(found, dict) or (model == _ORDER and not {"name", "state"} <= set(found)):
                raise self.http.strange()
            self._fields[model] = [field for field in asked["allfields"] if field in found]
        return [name for name in names if name in self._fields[model]]

    def _posted(self, invoices: Sequence[int]) -> frozenset[int]:
        """Those of the invoices that were posted; all, if we may not read them."""
        domain = [["id", "in", invoices], ["state", "=", "posted"]]
        try:
            found = self._call(_INVOICE, "search_read", {"domain": domain, "fields": ["state"]})
        except _RefusedError:
            return frozenset(invoices)
        return frozenset(row["id"] for row in _list(found) if isinstance(row, dict) and isinstance(row.get("id"), int))

    def _readable(self, model: str, method: str, params: Mapping[str, object]) -> Any:  # noqa: ANN401
        """What a reading method returns. Raises ServerSetupError if we may not read."""
        try:
            return self._call(model, method, params)
        except _RefusedError as error:
            raise self.http.login_refused(str(error)) from error

    def _call(
        self, model: str, method: str, params: Mapping[str, object], *, ids: Sequence[int] = (), acts: bool = False
    ) -> Any:  # noqa: ANN401
        """What a method returns. Raises _RefusedError, and what `Http.ask` raises."""
        if self._rpc:
            uid = self._uid = self._uid or self._log_in()
            args = [self._database, uid, self._secret, model, method, [list(ids)] if ids else [], params]
            return self._rpc_call("object", "execute_kw", args, acts=acts)
        body = {**({"ids": list(ids)} if ids else {}), **params}
        answer = self.http.ask("POST", f"/json/2/{model}/{method}", body=body, acts=acts)
        if answer.good:
            return _value(answer, self.http, acts=acts)
        said = answer.document()
        if not isinstance(said, dict) or not isinstance(said.get("name"), str):
            if answer.status == _FORBIDDEN:
                raise self.http.login_refused(self.http.words(answer))
            self.http.unexpected(answer, acts=acts)
        raise self._error(said, wrong_call=_WRONG <= answer.status < _BROKEN)

    def _log_in(self) -> int:
        """The number of the user, of JSON-RPC. Raises ServerSetupError."""
        args: list[object] = [self._database, self._user, self._secret, {}]
        try:
            found = self._rpc_call("common", "authenticate", args, acts=False)
        except _RefusedError as error:
            raise self.http.login_refused(str(error)) from error
        if isinstance(found, int) and found:
            return found
        raise self.http.login_refused(_("it does not know the user, or the password or key is another"))

    def _rpc_call(self, service: str, method: str, args: list[object], *, acts: bool) -> Any:  # noqa: ANN401
        told = {
            "jsonrpc": "2.0",
            "method": "call",
            "id": 1,
            "params": {"service": service, "method": method, "args": args},
        }
        answer = self.http.ask("POST", "/jsonrpc", body=told, acts=acts)
        said = self.http.document(answer, dict, acts=acts)
        if error := said.get("error"):
            raise self._error(error.get("data") or error if isinstance(error, dict) else {}, wrong_call=False)
        return said.get("result")

    def _error(self, said: Mapping[str, Any], *, wrong_call: bool) -> Exception:
        """What an error means. It was rolled back, whatever was asked."""
        name = str(said.get("name", "")).rpartition(".")[2]
        words = self.http.shown(str(said.get("message") or name or _("it does not say why")))
        if name in _REFUSALS:
            return _RefusedError(words)
        if name in _LOGIN:
            return self.http.login_refused(words)
        if wrong_call:
            return ServerSetupError(
                _("{system} does not take what it is asked: {why}", system=self.name, why=words),
                hint=_("check systems.{name}.database, and that Sales is installed there", name=self.name),
            )
        return self.http.not_now(words)


def _value(answer: Answer, http: Http, *, acts: bool) -> Any:  # noqa: ANN401 - what the method returns
    """The JSON value of a good answer, which may be `null`."""
    if answer.body.strip() == b"null":
        return None
    found = answer.document()
    return http.document(answer, dict, acts=acts) if found is None else found


def _seen(rows: Sequence[Mapping[str, Any]], posted: frozenset[int]) -> Seen:
    """How the order stands that these rows are; there should be one."""
    if not rows:
        return Seen(found=Found.MISSING)
    if len(rows) > 1:
        return Seen(found=Found.CLOSED, why=_("several orders there have that name"))
    [row] = rows
    seen = Seen(found=Found.OPEN, ref=str(row["id"]), currency=_name_of(row.get("currency_id")))
    if row.get("state") == "cancel":
        return replace(seen, found=Found.CANCELLED)
    why = ""
    if row.get("effective_date") or row.get("delivery_status") in _DELIVERED:
        why = _("it was shipped, at least in part")
    elif posted.intersection(_list(row.get("invoice_ids"))):
        why = _("it was invoiced")
    elif row.get("locked") or row.get("state") == "done":
        why = _("it is locked there")
    return replace(seen, found=Found.CLOSED, why=why) if why else seen


def _called(keys: Sequence[str]) -> list[object]:
    """The condition for orders of these names or ids."""
    ids = [int(key) for key in keys if key.isascii() and key.isdigit()]
    return ["|", ["name", "in", list(keys)], ["id", "in", ids]]


def _id(value: object) -> int:
    """The id of a record, or of the one that a field refers to as `[id, name]`; 0 if there is none."""
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, int) else 0


def _name_of(value: object) -> str:
    """The name of the record that a field refers to as `[id, name]`; empty if there is none."""
    return str(value[1]) if isinstance(value, list) and len(value) > 1 else ""


def _cell(name: str, value: Any) -> Cell:  # noqa: ANN401 - as Odoo says it
    """A value as an export has it: of a reference its name, of several how many; `false` is empty. Times are in UTC."""
    if value is False or value is None:
        return None
    if name == "invoice_ids":
        return len(value)
    if isinstance(value, list):
        return str(value[1])
    if name in _TIMES:
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    return value if isinstance(value, int | float) else str(value)


def _names(row: Mapping[str, Any]) -> set[str]:
    return {str(row.get("name")), str(row.get("id"))}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
