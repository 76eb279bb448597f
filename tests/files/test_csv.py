"""CSV for spreadsheets: no cell of it is a formula."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.files.csv import escape_formula, unescape_formula


@pytest.mark.parametrize("sign", "=+-@\uff1d\uff0b\uff0d\uff20\t\r\n")
@given(rest=st.text(max_size=4), quotes=st.text("'", max_size=2))
def test_no_text_begins_as_a_formula_and_each_comes_back(sign, rest, quotes):
    text = f"{quotes}{sign}{rest}"
    assert escape_formula(text) == f"'{text}"
    assert unescape_formula(escape_formula(text)) == text
    assert unescape_formula(escape_formula(rest)) == rest
