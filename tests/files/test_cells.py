"""Numbers in cells: one text is one number, however it is read, or it is refused."""

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orderctl.files.cells import decimal_readings, read_amount, read_integer, written_currency


@given(
    st.text("0123456789.,-+", max_size=8),
    st.sampled_from(["EUR", "JPY", "KWD", ""]),
    st.booleans(),
    st.booleans(),
)
@example("5.", "JPY", False, False)
@example("1.50", "EUR", True, False)
def test_a_number_is_the_same_however_it_is_read(cell: str, currency: str, comma: bool, rounded: bool) -> None:
    def amount(text: str) -> object:
        try:
            return read_amount(text, currency, decimal_comma=comma, rounded=rounded)
        except ValueError as error:
            return str(error)

    def integer(text: str) -> object:
        try:
            return read_integer(text, decimal_comma=comma)
        except ValueError as error:
            return str(error)

    # What has a space before it is read the long way, by the grammar of numbers and in decimals.
    assert amount(cell) == amount(f" {cell}")
    assert integer(cell) == integer(f" {cell}")


@pytest.mark.parametrize(
    ("cell", "currency", "minor"),
    [
        ("$900.00", "USD", 90_000),
        ("$900.00", "CAD", 90_000),
        ("US$ 900.00", "USD", 90_000),
        ("-$5.00", "USD", -500),
        ("$-5.00", "USD", -500),
        ("(1,200.00)", "EUR", -120_000),
        ("($1,200.00)", "USD", -120_000),
        ("1,200.00-", "EUR", -120_000),
        ("10 EUR", "EUR", 1_000),
        ("EUR 10", "EUR", 1_000),
        ("1.234,50 €", "EUR", 123_450),
        ("€1.234,50", "EUR", 123_450),
        ("CHF 1'200.50", "CHF", 120_050),
        ("Fr. 1\u2019200.50", "CHF", 120_050),
        ("\u22125", "EUR", -500),
        ("1\u202f234,50", "EUR", 123_450),
        ("1 234,50 zł", "PLN", 123_450),
        ("12,50 kr.", "DKK", 1_250),
        ("¥1,234,567", "JPY", 1_234_567),
        ("R$ 10,00", "BRL", 1_000),
        ("0.125", "KWD", 125),
    ],
)
def test_amounts_as_people_write_them(cell: str, currency: str, minor: int) -> None:
    assert read_amount(cell, currency, decimal_comma=None) == minor


@pytest.mark.parametrize(
    ("cell", "currency", "said"),
    [
        ("1.234", "EUR", "may be 1.234 or 1,234: say which"),
        ("12,500 EUR", "EUR", "may be 12,500 or 12.500: say which"),
        ("12.500", "KWD", "may be 12.500 or 12,500: say which"),
        ("$5.00", "EUR", "is in another currency"),
        ("10 GBP", "EUR", "is in another currency"),
        ("€ 5.00", "USD", "is in another currency"),
        ("10 PCS", "EUR", "is not a number"),
        ("(-5.00)", "EUR", "is not a number"),
        ("(5.00", "EUR", "is not a number"),
        ("EUR 10 EUR", "EUR", "is not a number"),
        ("- 5.00 -", "EUR", "is not a number"),
        ("1,23,456.00", "INR", "is not a number"),
        ("012.345.678,00", "EUR", "is not a number"),
    ],
)
def test_amounts_that_are_refused(cell: str, currency: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        read_amount(cell, currency, decimal_comma=None)


@pytest.mark.parametrize(
    ("cell", "currency"),
    [
        ("10 €", "EUR"),
        ("£5", "GBP"),
        ("CHF 5", "CHF"),
        ("$5", ""),
        ("¥5", ""),
        ("5 kr", ""),
        ("5 PCS", ""),
        ("Fr. 5", ""),
    ],
)
def test_the_currency_that_an_amount_is_written_with(cell: str, currency: str) -> None:
    assert written_currency(cell) == currency


@given(
    st.decimals(-(10**9), 10**9, places=2),
    st.sampled_from([(",", "."), (".", ","), (" ", ","), ("\u202f", ","), ("'", "."), ("", "."), ("", ",")]),
    st.sampled_from(["{}", "{} EUR", "€{}", "({})", "{}-", "EUR {}"]),
)
def test_what_was_written_is_read_or_refused(number: Decimal, marks: tuple[str, str], form: str) -> None:
    thousands, point = marks
    shown = f"{abs(number):,f}".replace(",", "_").replace(".", point).replace("_", thousands)
    is_negative = form in {"({})", "{}-"}
    expected = -abs(number) if is_negative else number
    cell = form.format(shown if is_negative else f"{'-' * (number < 0)}{shown}")
    assert read_amount(cell, "EUR", decimal_comma=None) == expected * 100
    assert read_amount(cell, "EUR", decimal_comma=point == ",") == expected * 100
    # With the other mark it is that number, or none: never another one.
    other = decimal_readings(cell)[point == "."]
    assert other is None or other == expected


@given(st.text("0123456789.,' -()€EUR", max_size=10))
def test_a_cell_with_two_readings_is_refused(cell: str) -> None:
    point, comma = decimal_readings(cell.strip())
    try:
        found = read_amount(cell, "EUR", decimal_comma=None, rounded=True)
    except ValueError:
        return
    assert point is None or comma is None or point == comma
    assert found == read_amount(cell, "EUR", decimal_comma=point is None, rounded=True)
