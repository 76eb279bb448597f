"""The first page of orders as a Rich table over bare sqlite3, in a Typer program. Arguments: store, status."""

import sqlite3

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def search(store: str, status: str):
    """Find orders."""
    base = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    found = base.execute(
        "SELECT o.id, b.name, o.status, o.reference, o.season, o.ordered_at, o.delivery_from, o.country, o.currency,"
        " o.total, o.quantity FROM (SELECT * FROM orders WHERE account = 'main' AND status = ? AND archived_at IS NULL"
        " ORDER BY ordered_at DESC, id DESC LIMIT 50) AS o"
        " LEFT JOIN buyer AS b ON b.account = o.account AND b.id = o.buyer_id",
        (status,),
    ).fetchall()
    table = Table()
    for name in (
        "id",
        "buyer",
        "status",
        "ref",
        "season",
        "ordered",
        "delivery",
        "country",
        "currency",
        "total",
        "qty",
    ):
        table.add_column(name)
    for row in found:
        table.add_row(*map(str, row))
    Console(width=160).print(table)


if __name__ == "__main__":
    app()
