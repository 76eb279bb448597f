"""Amounts as integers in minor units, with an ISO 4217 code. Only this module knows the decimals of currencies."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from orderctl.language import _

# The currencies whose minor unit is not a hundredth (ISO 4217).
CURRENCIES_BY_DECIMALS = {
    0: frozenset(
        {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV"}
        | {"XAF", "XOF", "XPF"}
    ),
    3: frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"}),
}
USUAL_DECIMALS = 2
# The currencies of ISO 4217 that people pay with.
CURRENCIES = frozenset(
    code
    for line in (
        "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF",
        "CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD",
        "HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL",
        "LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR",
        "PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP",
        "TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG",
    )
    for code in line.split()
)
_DECIMALS = {code: places for places, codes in CURRENCIES_BY_DECIMALS.items() for code in codes}


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount of one currency in minor units (cents, yen)."""

    currency: str
    minor: int

    def __str__(self) -> str:
        """With decimals and separators: `1,234.50 EUR`."""
        return f"{format_amount(self.minor, self.currency)} {self.currency}"


def decimals(currency: str) -> int:
    """How many decimals the currency has (ISO 4217)."""
    return _DECIMALS.get(currency, USUAL_DECIMALS)


def format_amount(minor: int, currency: str) -> str:
    """Minor units as text with the currency's decimals and thousands separators, without the code."""
    return f"{Decimal(minor).scaleb(-decimals(currency)):,f}"


def plain_amount(minor: int, currency: str) -> str:
    """Minor units as text for programs: with the currency's decimals, without separators (`1234.50`)."""
    places = decimals(currency)
    if not places:
        return str(minor)
    whole, rest = divmod(abs(minor), 10**places)
    return f"{'-' if minor < 0 else ''}{whole}.{rest:0{places}}"


def to_minor(amount: Decimal, currency: str) -> int:
    """A decimal amount in minor units. Raises ValueError if it has more decimals than the currency."""
    scaled = amount.scaleb(decimals(currency))
    if scaled != scaled.to_integral_value():
        raise ValueError(_("{amount} has more decimals than {currency} allows", amount=amount, currency=currency))
    return int(scaled)


def rounded_half_up(amount: int, parts: int) -> int:
    """An amount divided by an even number of parts; half a unit is rounded away from zero."""
    rounded = (abs(amount) + parts // 2) // parts
    return -rounded if amount < 0 else rounded


def add_up(amounts: Iterable[Money]) -> tuple[Money, ...]:
    """The total of each currency, sorted by code."""
    totals: dict[str, int] = {}
    for money in amounts:
        totals[money.currency] = totals.get(money.currency, 0) + money.minor
    return tuple(Money(currency, minor) for currency, minor in sorted(totals.items()))
