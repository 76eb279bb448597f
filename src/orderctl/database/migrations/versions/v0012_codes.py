"""What is known of a mail, and of an order imported as rejected: codes with values in place of English sentences.

A text that fits no template stays as it is: what a server said, for one.
"""

import json
import re
from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

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


def upgrade() -> None:
    connection = op.get_bind()
    # A mail that was sent, and a line of the log, change in this alone: in how the same words are written.
    with_codes = _reader(_OF_MAILS)
    _unguarded(
        "mail",
        "mail_kept_update",
        lambda: _rewrite(connection, "mail", "last_error", ("account", "id"), "last_error <> ''", with_codes),
    )
    with_codes = _reader({"import": "import of {file}"})
    arrived = "kind = 'imported-as-rejected' AND batch_id IS NULL"
    _unguarded(
        "order_event",
        "order_event_append_only_update",
        lambda: _rewrite(connection, "order_event", "detail", ("account", "order_id", "id"), arrived, with_codes),
    )


def _unguarded(table: str, guard: str, change: Callable[[], None]) -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        made = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = ?", (guard,)).scalar_one()
        op.execute(f"DROP TRIGGER {guard}")
        change()
        connection.exec_driver_sql(made)
    else:
        op.execute(f"ALTER TABLE {table} DISABLE TRIGGER {guard}")
        change()
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {guard}")


def _rewrite(
    connection: sa.Connection, table: str, column: str, key: tuple[str, ...], where: str, read: Callable[[str], object]
) -> None:
    keys = ", ".join(key)
    after = sa.text(
        f"SELECT {keys}, {column} FROM {table} WHERE ({keys}) > ({', '.join(f':{name}' for name in key)}) AND {where}"
        f" ORDER BY {keys} LIMIT {_ROWS}"
    )
    change = sa.text(f"UPDATE {table} SET {column} = :form WHERE {' AND '.join(f'{name} = :{name}' for name in key)}")
    last = dict.fromkeys(key, "")
    while rows := connection.execute(after, last).all():
        found = [(dict(zip(key, row, strict=False)), read(row[-1])) for row in rows]
        changed = [place | {"form": json.dumps(form)} for place, form in found if isinstance(form, dict)]
        if changed:
            connection.execute(change, changed)
        last = found[-1][0]


def _reader(templates: dict[str, str]) -> Callable[[str], object]:
    """A function that turns a text into a code with values; it returns another text as it is."""
    patterns = {
        code: re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.*)", re.escape(template)), re.DOTALL)
        for code, template in templates.items()
    }

    def read(text: str) -> object:
        for code, pattern in patterns.items():
            if found := pattern.fullmatch(text):
                values = found.groupdict()
                if "words" in values:
                    values["words"] = read(values["words"])
                return {"code": code, "values": values}
        return text

    return read
