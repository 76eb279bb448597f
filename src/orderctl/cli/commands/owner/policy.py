"""`orderctl policy show|set|history`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo

import typer

from orderctl.cli.apps import group_app
from orderctl.cli.context import Context
from orderctl.cli.options import AsReport
from orderctl.core.money import CURRENCIES, decimals, plain_amount
from orderctl.core.text import safe
from orderctl.core.times import parse_duration
from orderctl.errors import UsageError
from orderctl.language import N_, _, english, ngettext
from orderctl.orders.document import SCHEMA, Document
from orderctl.rejection.policy import Policy, PolicyRecord, policy_history, set_policy
from orderctl.selection.notes import ReasonCodes
from orderctl.settings import LARGEST

app = group_app("What a batch may be, whatever the settings say: kept in the store, and set by its owner.")
T = TypeVar("T")
_NONE = "none"
_AMOUNT = re.compile(r"([A-Z]{3})=([0-9]{1,12}(?:\.[0-9]{1,3})?)", re.ASCII)
_HOURS = re.compile(r"((?:[01][0-9]|2[0-3]):[0-5][0-9])-((?:[01][0-9]|2[0-3]):[0-5][0-9])", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules as they are written; None keeps a rule as it is, `none` takes it away."""

    max_orders: Annotated[str | None, typer.Option(metavar="N", help="At most so many orders a batch.")] = None
    max_amount: Annotated[
        list[str] | None, typer.Option(metavar="CUR=SUM", help="At most so much a batch, EUR=10000; repeatable.")
    ] = None
    second_operator_above_orders: Annotated[
        str | None, typer.Option(metavar="N", help="Batches of more orders need another operator.")
    ] = None
    second_operator_above_amount: Annotated[
        list[str] | None, typer.Option(metavar="CUR=SUM", help="Batches of more money need another; repeatable.")
    ] = None
    reason_required: Annotated[
        bool | None, typer.Option("--reason-required/--no-reason-required", help="Each order needs a reason.")
    ] = None
    reason_code: Annotated[
        list[str] | None, typer.Option(metavar="CODE", help="Each reason begins with one of these; repeatable.")
    ] = None
    max_age: Annotated[
        str | None, typer.Option(metavar="TIME", help="Sources must have spoken of each order since: 24h, 3d.")
    ] = None
    hours: Annotated[
        str | None, typer.Option(metavar="FROM-TO", help="Batches at these hours only, as in 08:00-18:00.")
    ] = None
    time_zone: Annotated[str | None, typer.Option(metavar="ZONE", help="Of the hours, as in Europe/Paris.")] = None

    def over(self, policy: Policy) -> Policy:
        """The policy with these rules. Raises UsageError that names the wrong option."""
        opens, closes = policy.opens, policy.closes
        if self.hours is not None:
            opens, closes = _given("--hours", self.hours, _hours) or (None, None)
        above, amounts = self.second_operator_above_orders, self.second_operator_above_amount
        return Policy(
            max_orders=_new("--max-orders", self.max_orders, policy.max_orders, _number),
            max_amounts=_amounts("--max-amount", self.max_amount, policy.max_amounts),
            second_operator_above_orders=_new(
                "--second-operator-above-orders", above, policy.second_operator_above_orders, _number
            ),
            second_operator_above_amounts=_amounts(
                "--second-operator-above-amount", amounts, policy.second_operator_above_amounts
            ),
            reason_required=policy.reason_required if self.reason_required is None else self.reason_required,
            reason_codes=policy.reason_codes if self.reason_code is None else _codes(self.reason_code),
            max_age=_new("--max-age", self.max_age, policy.max_age, _seconds),
            opens=opens,
            closes=closes,
            time_zone=_new("--time-zone", self.time_zone, policy.time_zone, _zone) or "UTC",
        )


@app.command("orderctl policy show", "orderctl policy show --format json")
def show(context: Context, as_: AsReport = "text") -> None:
    """Show the policy in force, who set it and when. Settings and flags can be stricter, never looser."""
    newest = next(iter(_history(context)), None)
    if as_ != "text":
        context.output.document(_document(newest) if newest else {"schema": SCHEMA, "policy": None}, as_)
        return
    policy = newest.policy if newest else Policy()
    if policy.rules():
        from orderctl.terminal.layout import text_table

        context.screen.table(lambda: text_table((N_("Rule"), N_("Value")), policy.rules().items()))
    context.screen.tell(_story(newest) if newest else _("no policy is set: the settings alone decide"))


@app.command(
    "orderctl policy set --max-orders 500 --max-amount EUR=100000 --max-amount JPY=15000000",
    "orderctl policy set --second-operator-above-orders 50 --reason-required",
    "orderctl policy set --hours 08:00-18:00 --time-zone Europe/Paris",
    "orderctl policy set --hours none",
)
def set_(context: Context, *, rules: Rules, as_: AsReport = "text") -> None:
    """Change the rules that are given and keep the others; `none` takes a rule away. For the owner of the store."""
    if rules == Rules():
        raise UsageError(_("no rule is given"), hint=_("name one, as in --max-orders 500"))
    newest = next(iter(_history(context)), None)
    wanted = rules.over(newest.policy if newest else Policy())
    with context.open_store() as store:
        record = set_policy(store, wanted, actor=context.actor, clock=context.clock)
    if as_ != "text":
        context.output.document(_document(record), as_)
    else:
        context.screen.tell(_story(record))


@app.command("orderctl policy history", "orderctl policy history --format jsonl")
def history(context: Context, as_: AsReport = "text") -> None:
    """List every policy that was set, newest first: who, when, and its rules."""
    records = _history(context)
    if as_ != "text":
        context.output.documents(map(_document, records), as_)
        return
    for record in records:
        listed = "; ".join(f"{name} {english(words)}" for name, words in record.policy.rules().items())
        context.output.lines([f"{record.position}\t{record.at:%Y-%m-%d %H:%M:%S}\t{safe(str(record.by))}\t{listed}"])
    context.screen.tell(ngettext("{number:,} policy was set", "{number:,} policies were set", len(records)))


def _history(context: Context) -> tuple[PolicyRecord, ...]:
    with context.open_store() as store, store.snapshot() as connection:
        return policy_history(connection)


def _story(record: PolicyRecord) -> str:
    return _(
        "policy {position} is in force, set at {at:%Y-%m-%d %H:%M} UTC by {who}",
        position=record.position,
        at=record.at,
        who=safe(str(record.by)),
    )


def _document(record: PolicyRecord) -> Document:
    rules = asdict(record.policy) | {
        name: {currency: plain_amount(minor, currency) for currency, minor in limits.items()}
        for name, limits in (
            ("max_amounts", record.policy.max_amounts),
            ("second_operator_above_amounts", record.policy.second_operator_above_amounts),
        )
    }
    return {
        "schema": SCHEMA,
        "position": record.position,
        "at": record.at.isoformat(),
        "actor": record.by.actor,
        "actor_login": record.by.login,
        "digest": record.digest,
        "policy": rules,
    }


def _new(option: str, written: str | None, kept: T | None, read: Callable[[str], T]) -> T | None:
    return kept if written is None else _given(option, written, read)


def _given(option: str, written: str, read: Callable[[str], T]) -> T | None:
    """The value of an option; None for `none`. Raises UsageError."""
    if written.strip().lower() == _NONE:
        return None
    try:
        return read(written.strip())
    except (ValueError, LookupError, OSError):
        raise UsageError(
            _("{option} cannot be {written!r}", option=option, written=written),
            hint=_("orderctl policy set --help shows how it is written; none takes the rule away"),
        ) from None


def _amounts(option: str, written: list[str] | None, kept: Mapping[str, int]) -> Mapping[str, int]:
    if written is None:
        return kept
    return dict(filter(None, (_given(option, each, _amount) for each in written)))


def _codes(written: list[str]) -> tuple[str, ...]:
    return tuple(filter(None, (_given("--reason-code", each, _code) for each in written)))


def _amount(text: str) -> tuple[str, int]:
    found = _AMOUNT.fullmatch(text)
    if not found or found[1] not in CURRENCIES:
        raise ValueError(text)
    minor = Decimal(found[2]).scaleb(decimals(found[1]))
    if minor != int(minor):
        raise ValueError(text)
    return found[1], int(minor)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > LARGEST:
        raise ValueError(text)
    return int(text)


def _code(text: str) -> str:
    return next(iter(ReasonCodes.collect([text]).words))


def _seconds(text: str) -> int:
    return int(parse_duration(text, bare_hours=True).total_seconds())


def _hours(text: str) -> tuple[str, str]:
    found = _HOURS.fullmatch(text)
    if not found or found[1] == found[2]:
        raise ValueError(text)
    return found[1], found[2]


def _zone(text: str) -> str:
    return ZoneInfo(text).key
