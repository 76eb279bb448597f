"""Odoo as a system: the External JSON-2 API of Odoo 19 on, and JSON-RPC before it.

The contract is that of the pages *External JSON-2 API* and *External RPC API* of odoo.com/documentation/19.0/developer/
reference. Each call is a transaction of its own, which an error rolls back. `action_cancel` is what the button of an
order calls; its context leaves out the question, which would write a mail. The method behind it (`_action_cancel`) is
private, so no API calls it, and a `write` of the state would leave deliveries and draft invoices as they are.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from orderctl.errors import ServerSetupError, UsageError
from orderctl.language import _
from orderctl.systems.http import Answer, Http, NoAnswerError
from orderctl.systems.remote import RemoteSystem, Seen, choice, needed_secret
from orderctl.systems.systems import Cancellation, Found, SystemSettings

_ORDER, _INVOICE = "sale.order", "account.move"
# Not every version, and not without its stock application, has all of them.
_FIELDS = ("name", "state", "locked", "effective_date", "delivery_status", "invoice_ids")
_DELIVERED = frozenset({"partial", "full"})
# Errors that are an answer to the request, by the last part of their names.
_REFUSALS = frozenset({"UserError", "ValidationError", "AccessError", "MissingError", "RedirectWarning"})
_LOGIN = frozenset({"AccessDenied", "SessionExpiredException", "Unauthorized", "Forbidden"})
_UNAUTHORIZED, _FORBIDDEN, _WRONG, _BROKEN = 401, 403, 400, 500


class _RefusedError(Exception):
    """Odoo will not do that for this record or this user."""


class OdooSystem(RemoteSystem):
    """One database. What was delivered, locked or invoiced there is a conflict."""

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
        self._fields: list[str] = []

    def see(self, keys: Sequence[str]) -> Mapping[str, Seen]:
        """How orders stand, by their names there (`S00042`) or ids."""
        ids = [int(key) for key in keys if key.isascii() and key.isdigit()]
        told = {
            "domain": ["|", ["name", "in", list(keys)], ["id", "in", ids]],
            "fields": self._known_fields(),
            "context": {"active_test": False},
        }
        found = self._readable(_ORDER, "search_read", told)
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise self.http.strange()
        invoices = sorted({each for row in found for each in _list(row.get("invoice_ids"))})
        posted = self._posted(invoices) if invoices else frozenset()
        return {key: _seen([row for row in found if key in _names(row)], posted) for key in keys}

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

    def _known_fields(self) -> list[str]:
        """Those of `_FIELDS` that there are; asked once."""
        if not self._fields:
            found = self._readable(_ORDER, "fields_get", {"allfields": list(_FIELDS), "attributes": ["type"]})
            fields = [field for field in _FIELDS if isinstance(found, dict) and field in found]
            if not {"name", "state"} <= set(fields):
                raise self.http.strange()
            self._fields = fields
        return self._fields

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
    ref = str(row["id"])
    if row.get("state") == "cancel":
        return Seen(found=Found.CANCELLED, ref=ref)
    why = ""
    if row.get("effective_date") or row.get("delivery_status") in _DELIVERED:
        why = _("it was shipped, at least in part")
    elif posted.intersection(_list(row.get("invoice_ids"))):
        why = _("it was invoiced")
    elif row.get("locked") or row.get("state") == "done":
        why = _("it is locked there")
    return Seen(found=Found.CLOSED if why else Found.OPEN, ref=ref, why=why)


def _names(row: Mapping[str, Any]) -> set[str]:
    return {str(row.get("name")), str(row.get("id"))}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
