"""Reads the messages of an IMAP folder, and changes nothing in it: not even what is marked as read."""

import imaplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from email.message import Message
from urllib.parse import unquote, urlsplit

from imap_tools.errors import ImapToolsError, MailboxFolderSelectError, MailboxLoginError
from imap_tools.mailbox import MailBox
from imap_tools.query import AND

from orderctl.core.tls import trusting
from orderctl.errors import ServerSetupError, ServerUnavailableError, UsageError, os_reason
from orderctl.language import _

_PORT = 993
_AT_ONCE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapFolder:
    """A folder of a mail server, and the login that may read it."""

    host: str
    port: int
    user: str
    folder: str
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    timeout_s: float = 30

    @classmethod
    def parse(cls, text: str, *, where: str) -> "ImapFolder":
        """Read `imaps://USER@HOST[:PORT]/FOLDER`. Raises UsageError that says `where` it stands."""
        try:
            url = urlsplit(text)
            port = url.port or _PORT
        except ValueError:
            url, port = urlsplit(""), 0
        folder = unquote(url.path.strip("/"))
        if url.scheme != "imaps" or not (url.hostname and url.username and folder) or not folder.isprintable():
            raise UsageError(
                _("{where}: it is not the address of an IMAP folder", where=where),
                hint=_("write it as imaps://USER@HOST/FOLDER"),
            )
        if url.password is not None:
            raise UsageError(
                _("{where}: it holds a password", where=where),
                hint=_("set mail.bounces_password_file or mail.keyring instead"),
            )
        return cls(host=url.hostname, port=port, user=unquote(url.username), folder=folder)

    def messages(self, *, since: date, most_bytes: int) -> Iterator[Message]:
        """The messages that came on that day or later. Raises ServerUnavailableError."""
        where = {"host": self.host, "port": self.port}
        context = trusting(self.ca_file, "mail.ca_file")
        try:
            with MailBox(self.host, self.port, timeout=self.timeout_s, ssl_context=context) as box:
                box.login(self.user, self.password or "", initial_folder=None)
                # Read only: the server marks nothing as read, whatever is fetched.
                box.folder.set(self.folder, readonly=True)
                wanted = AND(date_gte=since, size_lt=most_bytes)
                for found in box.fetch(wanted, mark_seen=False, bulk=_AT_ONCE):
                    yield found.obj
        except MailboxLoginError:
            raise ServerSetupError(
                _("the IMAP server {host}:{port} refused the login of {user}", **where, user=self.user),
                hint=_("check mail.bounces and the password"),
            ) from None
        except MailboxFolderSelectError:
            raise ServerSetupError(
                _("the IMAP server {host}:{port} has no folder {folder!r}", **where, folder=self.folder),
                hint=_("check mail.bounces"),
            ) from None
        except ssl.SSLCertVerificationError as error:
            raise ServerSetupError(
                _(
                    "the IMAP server {host}:{port} showed a certificate that is not trusted: {why}",
                    **where,
                    why=error.verify_message,
                ),
                hint=_("check mail.bounces; a private authority's certificate goes into mail.ca_file"),
            ) from None
        except (OSError, imaplib.IMAP4.error, ImapToolsError) as error:
            why = os_reason(error) if isinstance(error, OSError) else type(error).__name__
            raise ServerUnavailableError(
                _("the IMAP server {host}:{port} cannot be read: {why}", **where, why=why),
                hint=_("check mail.bounces, or try later"),
            ) from None
