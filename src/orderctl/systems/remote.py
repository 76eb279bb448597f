"""How orders are cancelled and read over HTTP.

To cancel one: look first, act once, then look again. To read them: page by page, each order as rows for a column map.
"""

import gc
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeVar

from orderctl.core.text import safe
from orderctl.delivery.outbox import DeliveryState, Item, Outcome
from orderctl.delivery.workers import Begin
from orderctl.errors import ServerUnavailableError, UsageError
from orderctl.files.cells import Cell
from orderctl.files.csv import Table
from orderctl.language import _
from orderctl.systems.http import Http, NoAnswerError
from orderctl.systems.pages import KeptPages, Page
from orderctl.systems.systems import (
    CANCELLED_THERE,
    CONFLICT,
    NO_ANSWER,
    NOT_NOW,
    NOT_THERE,
    WAS_CANCELLED,
    Cancellation,
    Found,
    NotNowError,
    SystemSettings,
)

ChosenT = TypeVar("ChosenT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How an order stands there, under which id and in which currency; why it is not cancelled if it is `CLOSED`."""

    found: Found
    ref: str = ""
    why: str = ""
    currency: str = ""


class RemoteSystem(ABC):
    """A system that cancels by a request. A repetition is harmless: what is cancelled there is not asked for again.

    `header` names the columns of `rows`, as the shipped column map `map_name` reads them.
    """

    map_name: ClassVar[str]
    header: ClassVar[tuple[str, ...]]
    by_key = True

    def __init__(self, settings: SystemSettings, http: Http) -> None:
        self.name, self.http = settings.name, http
        self._note = settings.text("note")

    def __enter__(self) -> Self:
        """Make ready; the first order connects."""
        self.connect()
        return self

    def __exit__(self, *exc: object) -> None:
        """Hang up."""
        self.http.close()

    @property
    def connected(self) -> bool:
        """Whether the next order can use it."""
        return self.http.is_open

    def connect(self) -> None:
        """Make ready."""
        self.http.open()

    def look(self, keys: Sequence[str]) -> Mapping[str, Found]:
        """How these orders stand there, by key. Raises ServerUnavailableError."""
        return {key: seen.found for key, seen in self.see(keys).items()}

    def send(self, _item: Item, cancellation: Cancellation, begin: Begin) -> Outcome | None:
        """Cancel one order; None if `begin` refused. Raises ServerUnavailableError if nothing was handed over."""
        try:
            seen = self.see([cancellation.key])[cancellation.key]
            settled = self._settled(seen, cancellation)
            if settled is not None:
                return settled
            if not begin():
                return None
            refusal = self.act(seen.ref, cancellation)
        except NotNowError as error:
            detail = _(NOT_NOW, system=self.name, why=error.why)
            return Outcome(state=DeliveryState.RETRY, detail=detail, not_before_s=error.wait_s)
        except NoAnswerError as error:
            return self._outcome(DeliveryState.UNKNOWN, NO_ANSWER, why=str(error))
        if refusal:
            return self._outcome(DeliveryState.REFUSED, CONFLICT, why=refusal)
        return self._confirmed(seen.ref, cancellation)

    @contextmanager
    def orders(self, keys: Sequence[str] | None = None, kept: KeptPages | None = None) -> Iterator[Table]:
        """The orders as rows; see `Pullable`."""
        if keys is not None:
            pages = self.pages_of(keys)
        else:
            pages = kept.pages(self._advancing) if kept else self._advancing("")
        yield Table(header=self.header, rows=enumerate(self._all_rows(pages), start=1))

    def _all_rows(self, pages: Iterable[Page]) -> Iterator[Sequence[Cell]]:
        for page in pages:
            for order in page.orders:
                try:
                    yield from self.rows(order)
                except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
                    raise self.http.strange() from error

    def _advancing(self, after: str) -> Iterator[Page]:
        """The pages; one that does not lead on is an error, and not the beginning of an endless pull."""
        for page in self.pages(after):
            if _reached(page.after) <= _reached(after):
                raise self.http.strange()
            after = page.after
            yield page
            # The program collects garbage seldom, and each answer leaves some that only a collection finds.
            gc.collect(0)

    @abstractmethod
    def pages(self, after: str, /) -> Iterator[Page]:
        """All orders, by ascending id, of those after that position. One that fails is asked for again a few times."""

    @abstractmethod
    def pages_of(self, keys: Sequence[str], /) -> Iterator[Page]:
        """Those of the orders that are there."""

    @abstractmethod
    def rows(self, order: Mapping[str, Any], /) -> Iterator[Sequence[Cell]]:
        """The rows of one order of a page, as `header` names their cells."""

    @abstractmethod
    def see(self, keys: Sequence[str]) -> Mapping[str, Seen]:
        """How each of these orders stands there. Raises ServerUnavailableError."""

    @abstractmethod
    def act(self, ref: str, cancellation: Cancellation, /) -> str:
        """Cancel an open order; its words if the system will not, else empty.

        Raises ServerUnavailableError if nothing was handed over, NoAnswerError if it may have been.
        """

    @abstractmethod
    def tell_staff(self, ref: str, note: str, /) -> None:
        """Leave the note at an order that is cancelled now, unless `act` did."""

    def note_on(self, cancellation: Cancellation) -> str:
        """The note for the staff there, with what it names of the rejection; empty if none is set."""
        named = {
            "{reason}": cancellation.reason,
            "{batch}": cancellation.batch_id,
            "{order}": cancellation.order_id,
        }
        note = self._note
        for name, value in named.items():
            note = note.replace(name, value)
        return note.strip()

    def _settled(self, seen: Seen, cancellation: Cancellation) -> Outcome | None:
        """The outcome for an order that is not open there, or is another one of that name."""
        here = cancellation.amount.currency
        if seen.currency and seen.currency != here:
            why = _("it is in {there} there and in {here} here, as another order", there=safe(seen.currency), here=here)
            return self._outcome(DeliveryState.REFUSED, CONFLICT, why=why)
        match seen.found:
            case Found.OPEN:
                return None
            case Found.CANCELLED:
                return self._outcome(DeliveryState.SENT, WAS_CANCELLED)
            case Found.MISSING:
                return self._outcome(DeliveryState.REFUSED, NOT_THERE, key=safe(cancellation.key))
            case Found.CLOSED:
                return self._outcome(DeliveryState.REFUSED, CONFLICT, why=seen.why)

    def _confirmed(self, ref: str, cancellation: Cancellation) -> Outcome:
        """The outcome after the system said yes: it is asked once more."""
        try:
            seen = self.see([cancellation.key])[cancellation.key]
        except ServerUnavailableError as error:
            return self._outcome(DeliveryState.UNKNOWN, NO_ANSWER, why=error.message)
        if seen.found is not Found.CANCELLED:
            why = seen.why or _("it said yes, but the order is not cancelled")
            return self._outcome(DeliveryState.REFUSED, CONFLICT, why=why)
        if note := self.note_on(cancellation):
            # The order is cancelled: that counts, whatever becomes of the note.
            with suppress(ServerUnavailableError, NoAnswerError):
                self.tell_staff(ref, note)
        return self._outcome(DeliveryState.SENT, CANCELLED_THERE)

    def _outcome(self, state: DeliveryState, words: str, **values: str) -> Outcome:
        return Outcome(state=state, detail=_(words, system=self.name, **values))


def _reached(after: str) -> int:
    """The last id of what was read until this position."""
    return int(after.partition(":")[0] or 0)


def choice(settings: SystemSettings, option: str, known: Mapping[str, ChosenT], hint: str) -> ChosenT:
    """What a setting means that has to be said. Raises UsageError with the hint if it is missing or another word."""
    text = settings.text(option)
    if text.lower() in known:
        return known[text.lower()]
    if not text:
        settings.needed(option, hint)
    raise UsageError(
        _("systems.{name}.{option} is {text!r}", name=settings.name, option=option, text=safe(text)), hint=hint
    )


def needed_secret(settings: SystemSettings) -> str:
    """The password or token. Raises UsageError if there is none."""
    if secret := settings.secret():
        return secret
    raise UsageError(
        _("systems.{name} has no password or token", name=settings.name),
        hint=_("name a file that only you can read: systems.{name}.secret_file", name=settings.name),
    )
