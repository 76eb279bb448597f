"""Amounts and days of a file without a map: found out from all of its cells and said, or refused with both readings."""

import csv
import io
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderctl.errors import UsageError
from orderctl.importing.figures import SourceRequest
from orderctl.importing.source import open_source
from orderctl.orders.orders import Order

READ_AT = datetime(2026, 12, 31, tzinfo=UTC)


def write(path: Path, totals: list[str], days: list[str] | None = None, *, currency: str | None = "EUR") -> Path:
    text = io.StringIO()
    rows = csv.writer(text, delimiter=";")
    rows.writerow(["id", "status", "ordered", "total", *(["currency"] if currency else [])])
    for number, total in enumerate(totals):
        day = (days or ["2026-01-15"] * len(totals))[number]
        rows.writerow([f"A{number:03}", "needs-oc", day, total, *([currency] if currency else [])])
    path.write_text(text.getvalue())
    return path


def read(path: Path, **how) -> tuple[list[Order], list[str], list[str]]:
    with open_source(path, SourceRequest(**how), read_at=READ_AT) as source:
        return list(source.orders()), [each.reason for each in source.problems()], list(source.remarks)


def totals(path: Path, **how) -> list[Decimal]:
    orders, problems, _ = read(path, **how)
    assert problems == []
    return [Decimal(order.total) / 100 for order in orders]


def test_one_plain_cell_decides_for_the_doubtful(tmp_path: Path) -> None:
    path = write(tmp_path / "o.csv", ["1.234", "2,50", "10"])
    assert totals(path) == [1234, Decimal("2.5"), 10]
    assert read(path)[2] == ["amounts are read with a decimal comma, as in 2,50; --decimal says otherwise"]
    assert totals(write(path, ["1,234", "2.50", "10"])) == [1234, Decimal("2.5"), 10]


@pytest.mark.parametrize("cells", [["1.234", "10"], ["1.234", "2.50", "2,50"], ["1,234", "10"]])
def test_without_one_the_doubtful_is_refused_and_the_option_decides(tmp_path: Path, cells: list[str]) -> None:
    path = write(tmp_path / "o.csv", cells)
    orders, [problem], remarks = read(path)
    assert len(orders) == len(cells) - 1
    assert problem.startswith("may be ")
    assert "--decimal or decimal_comma in the column map" in problem
    assert remarks == []
    comma = cells[0] == "1.234"
    assert read(path, decimal_comma=comma)[0][0].total == 123_400


def test_a_map_decides(tmp_path: Path) -> None:
    path = write(tmp_path / "o.csv", ["1.234", "10"])
    names = ("id", "status", "ordered", "total", "currency")
    columns = "".join(f'{name} = "{name}"\n' for name in names)
    (tmp_path / "map.toml").write_text(f"decimal_comma = true\n[columns]\n{columns}")
    assert totals(path, map_file=str(tmp_path / "map.toml")) == [1234, 10]


def test_a_currency_in_the_amounts_stands_in_for_its_column(tmp_path: Path) -> None:
    orders, problems, remarks = read(write(tmp_path / "o.csv", ["10,00 €", "CHF 5,00", "7,00"], currency=None))
    assert [(order.id, order.currency, order.total) for order in orders] == [
        ("A000", "EUR", 1000),
        ("A001", "CHF", 500),
    ]
    assert problems == ["is missing"]
    assert remarks[-1] == "the currency is read from the amounts: EUR (10,00 €), CHF (CHF 5,00)"
    for cell in ("$10.00", "10.00 kr", "10.00"):
        with pytest.raises(UsageError, match="has no column for currency"):
            read(write(tmp_path / "o.csv", [cell], currency=None))
    orders, _, _ = read(write(tmp_path / "o.csv", ["$10.00"], currency=None), defaults={"currency": "USD"})
    assert [order.total for order in orders] == [1000]


def test_days_are_found_out_from_the_whole_column_and_said(tmp_path: Path) -> None:
    path = write(tmp_path / "o.csv", ["1", "1"], ["03/04/2026", "13/04/2026"])
    orders, problems, remarks = read(path)
    assert problems == []
    assert [order.ordered_at.date() for order in orders] == [date(2026, 4, 3), date(2026, 4, 13)]
    assert remarks == ["days are read as %d/%m/%Y; date_formats in a column map says otherwise"]


def test_days_with_two_readings_are_refused_with_both(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        read(write(tmp_path / "o.csv", ["1"], ["03/04/2026"]))
    assert "03/04/2026 may be read as %d/%m/%Y or as %m/%d/%Y" in str(raised.value)
    assert 'date_formats = ["%d/%m/%Y"]' in raised.value.hint


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.dates(date(2020, 1, 1), date(2026, 12, 30)), min_size=1, max_size=5),
    st.sampled_from(["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%m-%Y", "%Y-%m-%d"]),
    st.sampled_from([("", "."), (",", "."), (".", ",")]),
    st.lists(st.integers(0, 10**7), min_size=5, max_size=5),
)
def test_no_file_is_read_as_another_one(
    tmp_path: Path, days: list[date], form: str, marks: tuple[str, str], minor: list[int]
) -> None:
    thousands, point = marks
    cells = [f"{Decimal(each) / 100:,}".replace(",", "_").replace(".", point).replace("_", thousands) for each in minor]
    path = write(tmp_path / "o.csv", cells[: len(days)], [day.strftime(form) for day in days])
    orders, problems = [], []
    with suppress(UsageError):
        orders, problems, _ = read(path)
    assert all(problem.startswith("may be ") for problem in problems)
    for order in orders:
        number = int(order.id[1:])
        assert (order.ordered_at.date(), order.total) == (days[number], minor[number])
