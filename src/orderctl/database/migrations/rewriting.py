"""What migrations write anew in rows that are there: folded texts, and sentences that became codes with values.

What was rejected, sent or logged changes in this alone, so the guard of the column is off meanwhile.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op

from orderctl.core.text import fold

_ROWS = 20_000
# As earlier versions wrote them. The first that fits counts, as it did there.
_OF_MAILS = {
    "given-up": "given up after {attempts} attempts: {words}",
    "gone": "its buyer is not in the store any more",
    "not-begun": "interrupted before it was sent",
    "interrupted": "interrupted while it was being sent: the server may have taken this mail",
    "died": "the sender stopped while it was sending: the server may have taken this mail",
    "perhaps-taken": "{step}: the connection was lost ({why}); the server may have taken it",
    "not-taken": "{step}: the connection was lost ({why}); the server did not take it",
    "written": "written to {path}",
    "sent-again": "an operator lets it be sent again",
    "cancelled": "cancelled by an operator",
    "arrived": "an operator found out: it arrived",
    "did-not-arrive": "an operator found out: it did not arrive",
    "unreachable": "the mail server {host}:{port} cannot be reached: {why}",
    "untrusted": "the mail server {host}:{port} showed a certificate that is not trusted: {why}",
    "no-encryption": "the mail server {host}:{port} did not agree on encryption",
    "login-refused": "the mail server {host}:{port} refused the login of {user} ({code})",
    "login-wanted": "the mail server wants a login before it takes mails: {reply}",
    "no-starttls": "the mail server {host}:{port} does not offer starttls",
    "no-login": "the mail server {host}:{port} does not offer a login that we know",
    "turned-away": "the mail server {host}:{port} turned us away ({code})",
    "no-maildir": "the Maildir {path} cannot be written: {why}",
    "not-one-address": "{address} is not one e-mail address: {why}",
    "odd-address": "{address} has letters before the @ that not every mail server takes",
    "no-message-id": "{text} is not a Message-ID",
    "no-message": "the letter cannot be written as a message: {why}",
    "no-template": "the mail template {name} is missing",
    "broken-template": "{place}: the mail template is broken: {error}",
    "odd-headers": "the message's headers do not read back as they were meant",
}


def fold_without_accents() -> None:
    """Fold texts anew without the accents of Latin and Greek letters, those of rejected orders too."""
    bytes_of = "CAST({0} AS BLOB)" if op.get_bind().dialect.name == "sqlite" else "convert_to({0}, 'UTF8')"
    # Texts of ASCII stay as they are, and are not even read.
    wide = f"length({{0}}) <> length({bytes_of})"
    _rewrite("buyer", "name_folded", ("account", "id"), wide.format("name_folded"), fold)
    with _unguarded("orders", "orders_final_update"):
        _rewrite("orders", "folded", ("account", "id"), wide.format("folded"), fold)


def write_codes() -> None:
    """Write codes with values in place of English sentences. A text that fits no template stays as it is."""
    with _unguarded("mail", "mail_kept_update"):
        _rewrite("mail", "last_error", ("account", "id"), "last_error <> ''", _with_codes(_OF_MAILS))
    arrived = "kind = 'imported-as-rejected' AND batch_id IS NULL"
    with _unguarded("order_event", "order_event_append_only_update"):
        read = _with_codes({"import": "import of {file}"})
        _rewrite("order_event", "detail", ("account", "order_id", "id"), arrived, read)


@contextmanager
def _unguarded(table: str, guard: str) -> Iterator[None]:
    """Switch a guard off for the block."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        made = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = ?", (guard,)).scalar_one()
        op.execute(f"DROP TRIGGER {guard}")
        yield
        connection.exec_driver_sql(made)
    else:
        op.execute(f"ALTER TABLE {table} DISABLE TRIGGER {guard}")
        yield
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {guard}")


def _rewrite(table: str, column: str, key: Sequence[str], where: str, change: Callable[[str], str]) -> None:
    """Change the texts of a column, many rows at a time."""
    connection, keys = op.get_bind(), ", ".join(key)
    after = sa.text(
        f"SELECT {keys}, {column} FROM {table} WHERE ({keys}) > ({', '.join(f':{name}' for name in key)}) AND {where}"
        f" ORDER BY {keys} LIMIT {_ROWS}"
    )
    write = sa.text(f"UPDATE {table} SET {column} = :text WHERE {' AND '.join(f'{name} = :{name}' for name in key)}")
    last = dict.fromkeys(key, "")
    while rows := connection.execute(after, last).all():
        found = [(dict(zip(key, row, strict=False)), row[-1], change(row[-1])) for row in rows]
        changed = [place | {"text": text} for place, before, text in found if text != before]
        if changed:
            connection.execute(write, changed)
        last = found[-1][0]


def _with_codes(templates: Mapping[str, str]) -> Callable[[str], str]:
    """A function that turns a text into a code with values, as JSON; it returns another text as it is."""
    patterns = {
        code: re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.*)", re.escape(template)), re.DOTALL)
        for code, template in templates.items()
    }

    def read(text: str) -> object:
        for code, pattern in patterns.items():
            if found := pattern.fullmatch(text):
                values: dict[str, object] = dict(found.groupdict())
                if "words" in values:
                    values["words"] = read(found["words"])
                return {"code": code, "values": values}
        return text

    def write(text: str) -> str:
        form = read(text)
        return text if isinstance(form, str) else json.dumps(form)

    return write
