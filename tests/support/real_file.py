"""A real export of 40,000 order lines, with all its dirt, and a look-alike that is made here.

Where the real file is not at hand, its look-alike still has the same columns and the same dirt. Both go through
the whole program in promises/test_main_job.py.
"""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import openpyxl

from orderctl.importing import source as source_module
from support.project import ROOT

MAP = Path(source_module.__file__).parent / "maps" / "online_retail.toml"
REAL = Path(os.environ.get("ORDERCTL_REAL_DATA", ROOT.parent / "shared" / "data" / "online_retail_sample.xlsx"))


@dataclass(frozen=True)
class Expected:
    """What is known of a file: its rows, invoices, cancelled ones, bad ones, and how many of a country are open."""

    rows: int
    orders: int
    cancelled: int
    without_buyer: int
    bad_rows: int
    bad_prices: list[tuple[int, str]]
    country: str
    open_there: int


LOOK_ALIKE = Expected(
    rows=14,
    orders=9,
    cancelled=1,
    without_buyer=3,
    bad_rows=2,
    bad_prices=[(9, "0.001")],
    country="GB",
    open_there=3,
)
OF_REAL = Expected(
    rows=40_000,
    orders=13_198,
    cancelled=569,
    without_buyer=1_134,
    bad_rows=8,
    bad_prices=[(25_247, "0.001")],
    country="France",
    open_there=259,
)


def make_look_alike(path: Path) -> Path:
    at = datetime(2011, 7, 1, 9, 30)  # noqa: DTZ001 - as a spreadsheet holds it
    book = openpyxl.Workbook()
    for row in [
        ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"],
        [573415.0, 21166.0, "COOK WITH WINE METAL SIGN ", 1.0, at, 2.08, 13607.0, "United Kingdom"],
        [553156.0, "85123A", "T-LIGHT HOLDER, É★", 6.0, at, 2.55, 17841.0, "EIRE"],
        [573415.0, "POST", "POSTAGE", 2.0, datetime(2011, 7, 1, 9, 29), 18.0, 13607.0, "United Kingdom"],  # noqa: DTZ001
        ["C536379", "D", "Discount", -1.0, at, 27.5, 14527.0, "United Kingdom"],
        [547606.0, 22173.0, None, -22.0, at, 0.0, None, "United Kingdom"],
        ["A563185", "B", "Adjust bad debt", 1.0, at, -11062.06, None, "United Kingdom"],
        [550193.0, 22423.0, "CAKESTAND", 1.0, at, 12.75, 13952.0, "United Kingdom"],
        [550193.0, "PADS", "PADS TO MATCH ALL CUSHIONS", 1.0, at, 0.001, 13952.0, "United Kingdom"],
        [551454.0, "gift_0001", "Voucher 10", 1.0, at, 0.1 + 0.2, None, "Unspecified"],
        [551455.0, 10002, "=HYPERLINK()", 12.0, at, 0.85, 12583.0, "RSA"],
        [551455.0, 10002, "INFLATABLE GLOBE", 12.0, at, 0.85, 12583.0, "RSA"],
        [551456.0, 10080, "GROOVY CACTUS", 80995.0, at, 1e6, 16446.0, "Channel Islands"],
        ["C536379", "D", "Discount", -3.0, at, 0.5, 14527.0, "United Kingdom"],
        [None, None, None, None, None, None, None, None],
        [551457.0, 10080, "GROOVY CACTUS", 1.0, at, 0.39, 16446.0, "European Community"],
    ]:
        book.active.append(row)
    for cell in book.active["C"]:
        cell.data_type = "s"  # text, also where it begins like a formula
    book.save(path)
    return path


def real_or_not() -> list[str]:
    return ["look-alike", *(["real"] if REAL.is_file() else [])]
