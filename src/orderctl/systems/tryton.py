"""Tryton as a system: its sales, by JSON-RPC. The key that an order has there is the database id of the sale."""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import partial
from typing import Any, Self

from orderctl.delivery.outbox import DeliveryState, Item, Outcome
from orderctl.delivery.workers import Begin
from orderctl.errors import ServerSetupError, ServerUnavailableError, UsageError
from orderctl.files.cells import Cell
from orderctl.files.csv import Table
from orderctl.language import _
from orderctl.systems.http import Answer, Http, NoAnswerError, NotNowError
from orderctl.systems.systems import (
    CANCELLED_THERE,
    CONFLICT,
    LOGIN_REFUSED,
    NO_ANSWER,
    NOT_NOW,
    NOT_THERE,
    UNREACHABLE,
    WAS_CANCELLED,
    Cancellation,
    Found,
    SystemSettings,
    patiently,
)

# So many sales at a time: an answer is held whole, and one sale may have hundreds of lines.
_PAGE = 50
_UNAUTHORIZED, _NOT_FOUND, _WRONG_METHOD = 401, 404, 405
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
_HEADER = (*_OF_SALES, *_OF_LINES)


class _TrytonError(Exception):
    """An error that Tryton reports: it took back all that it did. `kind` is its name there."""

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(words)
        self.kind, self.words = kind, words


class TrytonSystem:
    """The sales of a Tryton database, as the user of the settings may see and cancel them."""

    map_name = "tryton"

    def __init__(self, settings: SystemSettings) -> None:
        """Raises UsageError for settings that cannot be used."""
        self._settings, self._name = settings, settings.name
        self._database = settings.needed("database", _("such as: database = 'sales'"))
        self._user = settings.needed("user", _("name a user of Tryton that may cancel sales"))
        self._password = settings.secret() or ""
        if not self._password:
            raise UsageError(
                _("there is no password for {user} at {system}", user=self._user, system=self._name),
                hint=_("name its file in systems.{name}.secret_file", name=self._name),
            )
        self._path = f"/{self._database}/rpc/"
        self._http = self._made({})
        self._context: object = {}
        self._logged_in = False

    def __enter__(self) -> Self:
        """Log in. Raises ServerUnavailableError."""
        self.connect()
        return self

    def __exit__(self, *exc: object) -> None:
        """Hang up."""
        self._logged_in = False
        self._http.close()

    @property
    def connected(self) -> bool:
        """Whether it is logged in."""
        return self._logged_in

    def connect(self) -> None:
        """Log in unless it is. Raises ServerUnavailableError."""
        if not self._logged_in:
            self._log_in()

    def send(self, _item: Item, cancellation: Cancellation, begin: Begin) -> Outcome | None:
        """Press the button of the sale that cancels it, and read afterwards whether it is cancelled."""
        before = self._states([cancellation.key]).get(cancellation.key)
        if not begin():
            return None
        try:
            return self._cancelled(cancellation.key, before)
        except _TrytonError as error:
            if error.kind in _FINAL:
                return self._conflict(error.words)
            return Outcome(state=DeliveryState.RETRY, detail=_(NOT_NOW, system=self._name, why=error.words))
        except NotNowError as error:
            return Outcome(state=DeliveryState.RETRY, detail=_(NOT_NOW, system=self._name, why=error.why))
        except NoAnswerError as error:
            return Outcome(state=DeliveryState.UNKNOWN, detail=_(NO_ANSWER, system=self._name, why=str(error)))

    def _cancelled(self, key: str, before: str | None) -> Outcome:
        """Cancel a sale that is in this state. Raises _TrytonError, ServerUnavailableError and NoAnswerError."""
        if before is None:
            return Outcome(state=DeliveryState.REFUSED, detail=_(NOT_THERE, system=self._name, key=key))
        if before == _CANCELLED:
            return Outcome(state=DeliveryState.SENT, detail=_(WAS_CANCELLED, system=self._name))
        after = before
        if before in _OPEN:
            self._call("model.sale.sale.cancel", [int(key)], self._context, acts=True)
            try:
                after = self._states([key]).get(key, "")
            except ServerUnavailableError as error:
                raise NoAnswerError(error.message) from error
        if after == _CANCELLED:
            return Outcome(state=DeliveryState.SENT, detail=_(CANCELLED_THERE, system=self._name))
        return self._conflict(_("it is in the state {state}", state=self._http.shown(after)))

    def look(self, keys: Sequence[str]) -> Mapping[str, Found]:
        """How these sales stand there. Raises ServerUnavailableError."""
        states = self._states(keys)
        return {key: _found(states.get(key)) for key in keys}

    @contextmanager
    def orders(self, keys: Sequence[str] | None = None) -> Iterator[Table]:
        """The sales, a row for each line, read page by page; see `Pullable`."""
        yield Table(header=_HEADER, rows=enumerate(self._rows(keys), start=1))

    def _rows(self, keys: Sequence[str] | None) -> Iterator[Sequence[Cell]]:
        for page in self._pages(keys):
            for sale in page:
                own = [_cell(sale, name) for name in _OF_SALES]
                # A sale without lines is one row, whose type of line is empty.
                for line in sale.get("lines.") or [{}]:
                    yield [*own, *(_cell({"lines.": line}, name) for name in _OF_LINES)]

    def _pages(self, keys: Sequence[str] | None) -> Iterator[list[dict[str, Any]]]:
        """Pages of sales, by ascending id. One that fails is asked again a few times."""
        if keys is not None:
            ids = sorted(_ids(keys))
            for start in range(0, len(ids), _PAGE):
                yield patiently(partial(self._search, [["id", "in", ids[start : start + _PAGE]]], _HEADER))
            return
        last = 0
        while page := patiently(partial(self._search, [["id", ">", last]], _HEADER)):
            yield page
            last = page[-1]["id"]

    def _states(self, keys: Sequence[str]) -> dict[str, str]:
        """The states of the sales that are there, by key."""
        ids, found = sorted(_ids(keys)), {}
        for start in range(0, len(ids), _PAGE):
            for sale in self._search([["id", "in", ids[start : start + _PAGE]]], ("state",)):
                found[str(sale["id"])] = str(sale["state"])
        return {key: found[str(number)] for key in keys for number in _ids([key]) if str(number) in found}

    def _search(self, domain: object, names: Sequence[str]) -> list[dict[str, Any]]:
        """A page of sales. Raises ServerUnavailableError, also for what Tryton refuses: no sale is at fault."""
        asked = [domain, 0, _PAGE, [["id", "ASC"]], list(names), self._context]
        try:
            found = self._call("model.sale.sale.search_read", *asked)
        except _TrytonError as error:
            kind = ServerSetupError if error.kind in _FINAL else ServerUnavailableError
            raise kind(
                _(UNREACHABLE, system=self._name, why=error.words),
                hint=_("see whether {user} may read sales there", user=self._user),
            ) from error
        if not isinstance(found, list):
            raise self._http.strange()
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
            raise self._http.login_refused(self._http.words(answer))
        said = self._http.document(answer, dict, acts=acts)
        if "error" in said:
            raise self._error(said["error"])
        return said.get("result")

    def _log_in(self) -> None:
        """Begin a session, and take over what the user's sales depend on: the company and the language."""
        self._logged_in = False
        self._http.close()
        self._http = self._made({})
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
                    system=self._name,
                    why=_("it does not know {user} with that password", user=self._user),
                ),
                hint=_("check systems.{name}.user and its password", name=self._name),
            )
        result = self._http.document(answer, dict).get("result")
        if not isinstance(result, list) or len(result) < len(("user", "session")):
            raise self._http.strange()
        session = f"{self._user}:{result[0]}:{result[1]}"
        self._http.close()
        self._http = self._made({"Authorization": f"Session {b64encode(session.encode()).decode()}"}, str(result[1]))
        self._logged_in = True
        try:
            self._context = self._call("model.res.user.get_preferences", True, {})
        except _TrytonError as error:
            raise self._http.login_refused(error.words) from error

    def _made(self, headers: Mapping[str, str], *secrets: str) -> Http:
        return Http(self._settings, headers=headers, secrets=(self._password, *secrets), login_refused=frozenset({403}))

    def _post(self, method: str, params: Sequence[object], *, acts: bool = False) -> Answer:
        # Tryton answers as JSON-RPC only if there is an id beside the two.
        body = {"id": 1, "method": method, "params": list(params)}
        return self._http.ask("POST", self._path, body=body, acts=acts)

    def _error(self, error: object) -> _TrytonError:
        """The error of an answer: the name of a kind and its words, or only words and a traceback."""
        kind, said = (str(error[0]), error[1]) if isinstance(error, list) and len(error) > 1 else (str(error), "")
        words = [str(each) for each in said[:2] if each] if isinstance(said, list) else []
        return _TrytonError(kind, self._http.shown(" ".join(words) or kind))

    def _conflict(self, why: str) -> Outcome:
        return Outcome(state=DeliveryState.REFUSED, detail=_(CONFLICT, system=self._name, why=why))


def _found(state: str | None) -> Found:
    if state is None:
        return Found.MISSING
    if state == _CANCELLED:
        return Found.CANCELLED
    return Found.OPEN if state in _OPEN else Found.CLOSED


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
