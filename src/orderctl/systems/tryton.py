"""Tryton as a system: its sales, by JSON-RPC. The key that an order has there is the database id of the sale."""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import partial
from typing import Any

from orderctl.errors import ServerSetupError, ServerUnavailableError
from orderctl.files.cells import Cell
from orderctl.language import _
from orderctl.systems.http import Answer, Http
from orderctl.systems.pages import Page
from orderctl.systems.remote import RemoteSystem, Seen, needed_secret
from orderctl.systems.systems import LOGIN_REFUSED, UNREACHABLE, Cancellation, Found, SystemSettings, patiently

# So many sales at a time: an answer is held whole, and one sale may have hundreds of lines.
_PAGE = 50
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _WRONG_METHOD = 401, 403, 404, 405
_CANCELLED = "cancelled"
# From these alone leads Tryton's button to `cancelled`.
_OPEN = frozenset({"draft", "quotation"})
# Errors of Tryton's own after which nothing was changed, and which a repetition does not mend.
_FINAL = frozenset({"UserError", "UserWarning"})
_OF_SALES = (
    "id",
    "number",
    "reference",
    "state",
    "shipment_state",
    "invoice_state",
    "sale_date",
    "create_date",
    "shipping_date",
    "currency.code",
    "total_amount",
    "comment",
    "payment_term.name",
    "party.id",
    "party.code",
    "party.name",
    "party.email",
    "party.lang.code",
    "shipment_address.country.code",
    "shipment_address.full_address",
    "invoice_address.full_address",
)
_OF_LINES = (
    "lines.type",
    "lines.product.code",
    "lines.product.name",
    "lines.description",
    "lines.quantity",
    "lines.unit_price",
)
_MISSING = Seen(found=Found.MISSING)


class _TrytonError(Exception):
    """An error that Tryton reports: it took back all that it did. `kind` is its name there."""

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(words)
        self.kind, self.words = kind, words


class TrytonSystem(RemoteSystem):
    """The sales of a Tryton database, as the user of the settings may see and cancel them."""

    map_name = "tryton"
    header = (*_OF_SALES, *_OF_LINES)

    def __init__(self, settings: SystemSettings) -> None:
        """Raises UsageError for settings that cannot be used."""
        self._database = settings.needed("database", _("such as: database = 'sales'"))
        self._user = settings.needed("user", _("name a user of Tryton that may cancel sales"))
        self._password = needed_secret(settings)
        http = Http(settings, headers={}, secrets=[self._password], login_refused=frozenset({_FORBIDDEN}))
        super().__init__(settings, http)
        self._path = f"/{self._database}/rpc/"
        self._context: object = {}
        self._logged_in = False

    def __exit__(self, *exc: object) -> None:
        """Hang up."""
        self._logged_in = False
        super().__exit__(*exc)

    @property
    def connected(self) -> bool:
        """Whether it is logged in."""
        return self._logged_in

    def connect(self) -> None:
        """Log in unless it is. Raises ServerUnavailableError."""
        if not self._logged_in:
            self._log_in()

    def see(self, keys: Sequence[str]) -> Mapping[str, Seen]:
        """How sales stand, by their database ids."""
        ids, found = sorted(_ids(keys)), {}
        for start in range(0, len(ids), _PAGE):
            for sale in self._search([["id", "in", ids[start : start + _PAGE]]], ("state", "currency.code")):
                currency = str(_cell(sale, "currency.code") or "")
                found[sale["id"]] = replace(self._seen(str(sale["id"]), str(sale.get("state"))), currency=currency)
        return {key: found.get(number, _MISSING) for key in keys for number in _ids([key]) or [0]}

    def act(self, ref: str, _cancellation: Cancellation) -> str:
        """Press the button of the sale that cancels it. No state is written by hand."""
        try:
            self._call("model.sale.sale.cancel", [int(ref)], self._context, acts=True)
        except _TrytonError as error:
            if error.kind in _FINAL:
                return error.words
            raise self.http.not_now(error.words) from error
        return ""

    def tell_staff(self, _ref: str, _note: str) -> None:
        """Nothing: a sale has no place for it."""

    def _seen(self, ref: str, state: str) -> Seen:
        if state == _CANCELLED:
            return Seen(found=Found.CANCELLED, ref=ref)
        if state in _OPEN:
            return Seen(found=Found.OPEN, ref=ref)
        return Seen(found=Found.CLOSED, ref=ref, why=_("it is in the state {state}", state=self.http.shown(state)))

    def pages(self, after: str) -> Iterator[Page]:
        """By ascending id, which is the position."""
        while found := patiently(partial(self._search, [["id", ">", int(after or 0)]], self.header)):
            after = str(found[-1]["id"])
            yield Page(after=after, orders=found)

    def pages_of(self, keys: Sequence[str]) -> Iterator[Page]:
        """By ascending id."""
        ids = sorted(_ids(keys))
        for start in range(0, len(ids), _PAGE):
            domain = [["id", "in", ids[start : start + _PAGE]]]
            yield Page(orders=patiently(partial(self._search, domain, self.header)))

    def rows(self, order: Mapping[str, Any]) -> Iterator[Sequence[Cell]]:
        """A row for each line; a sale without lines is one row, whose type of line is empty."""
        own = [_cell(order, name) for name in _OF_SALES]
        for line in order.get("lines.") or [{}]:
            yield [*own, *(_cell({"lines.": line}, name) for name in _OF_LINES)]

    def _search(self, domain: object, names: Sequence[str]) -> list[dict[str, Any]]:
        """A page of sales. Raises ServerUnavailableError, also for what Tryton refuses: no sale is at fault."""
        asked = [domain, 0, _PAGE, [["id", "ASC"]], list(names), self._context]
        try:
            found = self._call("model.sale.sale.search_read", *asked)
        except _TrytonError as error:
            kind = ServerSetupError if error.kind in _FINAL else ServerUnavailableError
            raise kind(
                _(UNREACHABLE, system=self.name, why=error.words),
                hint=_("see whether {user} may read sales there", user=self._user),
            ) from error
        if not isinstance(found, list) or not all(
            isinstance(sale, dict) and isinstance(sale.get("id"), int) for sale in found
        ):
            raise self.http.strange()
        return found

    def _call(self, method: str, *params: object, acts: bool = False) -> Any:  # noqa: ANN401 - as Tryton says it
        """What a method gives. Raises _TrytonError, ServerUnavailableError, and NoAnswerError if it acts.

        A session ends after a while: then it logs in again, and asks again what was not done.
        """
        self.connect()
        answer = self._post(method, params, acts=acts)
        if answer.status == _UNAUTHORIZED:
            self._log_in()
            answer = self._post(method, params, acts=acts)
        if answer.status == _UNAUTHORIZED:
            raise self.http.login_refused(self.http.words(answer))
        said = self.http.document(answer, dict, acts=acts)
        if "error" in said:
            raise self._error(said["error"])
        return said.get("result")

    def _log_in(self) -> None:
        """Begin a session, and take over what the user's sales depend on: the company and the language."""
        self._logged_in = False
        self.http.authorize("")
        asked = (self._user, {"password": self._password}, "en")
        answer = self._post("common.db.login", asked)
        if answer.status in {_NOT_FOUND, _WRONG_METHOD}:
            # So it was before Tryton 8.
            self._path = f"/{self._database}/"
            answer = self._post("common.db.login", asked)
        if answer.status == _UNAUTHORIZED:
            raise ServerSetupError(
                _(
                    LOGIN_REFUSED,
                    system=self.name,
                    why=_("it does not know {user} with that password", user=self._user),
                ),
                hint=_("check systems.{name}.user and its password", name=self.name),
            )
        result = self.http.document(answer, dict).get("result")
        if not isinstance(result, list) or len(result) < len(("user", "session")):
            raise self.http.strange()
        session = b64encode(f"{self._user}:{result[0]}:{result[1]}".encode()).decode()
        self.http.authorize(f"Session {session}", session, str(result[1]))
        self._logged_in = True
        try:
            self._context = self._call("model.res.user.get_preferences", True, {})
        except _TrytonError as error:
            raise self.http.login_refused(error.words) from error

    def _post(self, method: str, params: Sequence[object], *, acts: bool = False) -> Answer:
        # Tryton answers as JSON-RPC only if there is an id beside the two.
        body = {"id": 1, "method": method, "params": list(params)}
        return self.http.ask("POST", self._path, body=body, acts=acts)

    def _error(self, error: object) -> _TrytonError:
        """The error of an answer: the name of a kind and its words, or only words and a traceback."""
        kind, said = (str(error[0]), error[1]) if isinstance(error, list) and len(error) > 1 else (str(error), "")
        words = [str(each) for each in said[:2] if each] if isinstance(said, list) else []
        return _TrytonError(kind, self.http.shown(" ".join(words) or kind))


def _ids(keys: Sequence[str]) -> list[int]:
    """The database ids among the keys; another text names no sale."""
    return [int(key) for key in keys if key.isascii() and key.isdecimal() and len(key) < len(str(2**63))]


def _cell(record: Mapping[str, Any], name: str) -> Cell:
    """A field of a record, or of one that it refers to: `party.code` stands there as `code` of `party.`."""
    head, dot, rest = name.partition(".")
    if not dot:
        return _value(record.get(head))
    referred = record.get(f"{head}.")
    return _cell(referred, rest) if isinstance(referred, dict) else None


def _value(value: Any) -> Cell:  # noqa: ANN401 - as Tryton says it
    """A value of Tryton's JSON as a cell; its times are in UTC."""
    if not isinstance(value, dict):
        return value if value is None or isinstance(value, str | int | float) else str(value)
    match value.get("__class__"):
        case "Decimal":
            return Decimal(value["decimal"])
        case "date":
            return date(value["year"], value["month"], value["day"])
        case "datetime":
            day = date(value["year"], value["month"], value["day"])
            return datetime.combine(day, time(value["hour"], value["minute"], value["second"]), UTC)
    return str(value)
