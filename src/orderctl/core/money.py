"""Amounts: integer minor units with an ISO 4217 code. The only place that knows decimals of a currency."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from orderctl.language import _

# ISO 4217: the currencies whose minor unit is not a hundredth.
CURRENCIES_BY_DECIMALS = {
    0: frozenset(
        {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV"}
        | {"XAF", "XOF", "XPF"}
    ),
    3: frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"}),
}
USUAL_DECIMALS = 2
_DECIMALS = {code: places for places, codes in CURRENCIES_BY_DECIMALS.items() for code in codes}


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount in minor units (cents, yen) of one currency."""

    currency: str
    minor: int

    def __str__(self) -> str:
        """Write it as `1 234.50 EUR` is spoken: `1,234.50 EUR`."""
        return f"{format_amount(self.minor, self.currency)} {self.currency}"


def decimals(currency: str) -> int:
    """How many decimals amounts of this currency have (ISO 4217)."""
    return _DECIMALS.get(currency, USUAL_DECIMALS)


def format_amount(minor: int, currency: str) -> str:
    """Write minor units with the currency's decimals and thousands separators, without the code."""
    return f"{Decimal(minor).scaleb(-decimals(currency)):,f}"


def plain_amount(minor: int, currency: str) -> str:
    """Write minor units for machines: the currency's decimals, no separators (`1234.50`)."""
    places = decimals(currency)
    if not places:
        return str(minor)
    whole, rest = divmod(abs(minor), 10**places)
    return f"{'-' if minor < 0 else ''}{whole}.{rest:0{places}}"


def to_minor(amount: Decimal, currency: str) -> int:
    """Turn a decimal amount into minor units; ValueError if it is finer than the currency's minor unit."""
    scaled = amount.scaleb(decimals(currency))
    if scaled != scaled.to_integral_value():
        raise ValueError(_("{amount} has more decimals than {currency} allows", amount=amount, currency=currency))
    return int(scaled)


def add_up(amounts: Iterable[Money]) -> tuple[Money, ...]:
    """Total per currency, never over currencies; ordered by code."""
    totals: dict[str, int] = {}
    for money in amounts:
        totals[money.currency] = totals.get(money.currency, 0) + money.minor
    return tuple(Money(currency, minor) for currency, minor in sorted(totals.items()))
