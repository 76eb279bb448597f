"""The content of the report of one batch: facts, figures, charts and orders."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from orderctl.audit.log import Batch, Head
from orderctl.core.money import Money, add_up
from orderctl.delivery.outbox import DeliveryState
from orderctl.language import N_, _
from orderctl.mail.wording import Wording
from orderctl.orders.eligibility import Mode
from orderctl.orders.orders import OrderSummary
from orderctl.selection.selection import source_in_words

MOST_LISTED = 2_000
_BARS = 8
_RULES = {Mode.BULK.value: N_("bulk rejection"), Mode.INDIVIDUAL.value: N_("individual rejection")}
_DIMENSIONS: tuple[tuple[str, Callable[[OrderSummary], str]], ...] = (
    (N_("{currency} by season"), lambda order: order.season or _("no season")),
    (N_("{currency} by buyer"), lambda order: order.buyer_name or _("no buyer")),
    (N_("{currency} by country"), lambda order: order.country or _("no country")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar of a chart; `share` is its part of the longest bar, 0 to 1."""

    label: str
    orders: int
    amount: Money
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The rejected amount in one currency by one property of the orders, largest first."""

    title: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """One batch with its orders. `listed` may hold fewer than `batch.rejected`.

    `head` and `act_head` are the newest batch and act of the log when the report was made; None if there is none.
    """

    batch: Batch
    head: Head | None
    act_head: Head | None
    totals: tuple[Money, ...]
    buyers: int
    charts: tuple[Chart, ...]
    listed: tuple[OrderSummary, ...]
    mails: tuple[tuple[DeliveryState, int], ...]

    @property
    def unlisted(self) -> int:
        """How many orders are not in `listed`."""
        return self.batch.rejected - len(self.listed)

    @property
    def left_out(self) -> int:
        """How many planned orders had changed when the batch ran."""
        return self.batch.planned - self.batch.rejected

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """Who, when, how and why, in words."""
        batch = self.batch
        mails = ", ".join(f"{number:,} {state}" for state, number in self.mails)
        told = [
            (_("Batch"), _("{id} (number {position:,})", id=batch.id, position=batch.position)),
            (_("When"), f"{batch.at:%Y-%m-%d %H:%M:%S} UTC"),
            (_("Who"), _("{actor} on {host}", actor=batch.by, host=batch.host)),
            (_("Approved by"), batch.approver),
            (_("Key"), batch.request_key),
            (_("Reason"), batch.reason),
            (_("Orders chosen by"), source_in_words(batch.source)),
            (_("Rules"), _(_RULES[batch.mode]) if batch.mode in _RULES else batch.mode),
            (_("Message to buyers"), Wording.read(batch.message).words()),
            (_("Mails"), mails or (_("{number:,} queued", number=batch.mails) if batch.mails else _("none"))),
            (_("Program"), batch.program),
        ]
        return tuple((label, words) for label, words in told if words)

    @property
    def digests(self) -> tuple[tuple[str, str], ...]:
        """The digests of the batch and of the newest records of the log, to be compared with those of the store."""
        told = [
            (_("Digest"), self.batch.digest),
            (_("Digest before"), self.batch.previous or _("none: the first")),
        ]
        for label, head in ((_("Newest batch"), self.head), (_("Newest act"), self.act_head)):
            if head is not None:
                words = _("{digest} (number {position:,})", digest=head.digest, position=head.position)
                told.append((label, words))
        return tuple(told)

    @property
    def counts(self) -> tuple[tuple[str, str], ...]:
        """The figures at the top."""
        return (
            (_("rejected"), f"{self.batch.rejected:,}"),
            (_("buyers"), f"{self.buyers:,}"),
            (_("skipped"), f"{self.batch.skipped:,}"),
            (_("left out"), f"{self.left_out:,}"),
            (_("mails"), f"{self.batch.mails:,}"),
        )


def report_on(
    batch: Batch,
    orders: Iterable[OrderSummary],
    mails: dict[DeliveryState, int],
    *,
    head: Head | None,
    act_head: Head | None,
) -> BatchReport:
    """Add up the orders of a batch in one pass."""
    listed: list[OrderSummary] = []
    buyers: set[str] = set()
    sums: dict[tuple[str, str, str], tuple[int, int]] = {}
    for order in orders:
        if len(listed) < MOST_LISTED:
            listed.append(order)
        buyers.add(order.buyer_name)
        for name, label_of in _DIMENSIONS:
            key = (order.currency, name, label_of(order))
            count, minor = sums.get(key, (0, 0))
            sums[key] = count + 1, minor + order.total
    first = _DIMENSIONS[0][0]
    seasons = (Money(currency, minor) for (currency, name, __), (_n, minor) in sums.items() if name == first)
    return BatchReport(
        batch=batch,
        head=head,
        act_head=act_head,
        totals=add_up(seasons),
        buyers=len(buyers - {""}),
        charts=tuple(_charts(sums)),
        listed=tuple(listed),
        mails=tuple((state, number) for state, number in mails.items() if number),
    )


def _charts(sums: dict[tuple[str, str, str], tuple[int, int]]) -> Iterable[Chart]:
    """The charts with more than one bar; a single bar says no more than the total."""
    for currency in sorted({key[0] for key in sums}):
        for name, __ in _DIMENSIONS:
            rows = [(label, *figures) for (of, each, label), figures in sums.items() if (of, each) == (currency, name)]
            if len(rows) > 1:
                yield Chart(title=_(name, currency=currency), bars=tuple(_bars(currency, rows)))


def _bars(currency: str, rows: list[tuple[str, int, int]]) -> Iterable[Bar]:
    """The largest bars; the others as one line without a bar, which would dwarf the rest."""
    rows.sort(key=lambda row: (-row[2], row[0]))
    shown, rest = (rows, []) if len(rows) <= _BARS else (rows[: _BARS - 1], rows[_BARS - 1 :])
    longest = max(rows[0][2], 1)
    for label, count, minor in shown:
        yield Bar(label=label, orders=count, amount=Money(currency, minor), share=max(minor, 0) / longest)
    if rest:
        amount = Money(currency, sum(row[2] for row in rest))
        yield Bar(
            label=_("{number:,} others", number=len(rest)), orders=sum(row[1] for row in rest), amount=amount, share=0
        )
