"""Numbers in cells: the short way to read the usual ones and the long way give the same."""

from hypothesis import example, given
from hypothesis import strategies as st

from orderctl.files.cells import read_amount, read_integer


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
