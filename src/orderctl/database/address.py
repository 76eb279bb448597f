"""Where a store is: a SQLite file or a PostgreSQL URL, and how to say so without a password."""

from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from orderctl.core.text import safe
from orderctl.errors import UsageError
from orderctl.language import N_, _

_POSTGRES = ("postgresql://", "postgres://", "postgresql+psycopg://")
_FORMS = N_("use a file path, sqlite:///PATH, or postgresql://USER@HOST/DATABASE")


@dataclass(frozen=True, slots=True)
class Address:
    """A store's address: exactly one of `path` and `conninfo` is set. `shown` holds no secret."""

    shown: str
    path: Path | None = None
    conninfo: str | None = None

    def __repr__(self) -> str:
        """Leave out the password that `conninfo` may hold."""
        return f"Address({self.shown!r})"

    def with_password(self, password: str) -> "Address":
        """The address with a password that came from elsewhere."""
        conninfo = self.conninfo or ""
        joined = f"{conninfo}{'&' if '?' in conninfo else '?'}password={quote(password, safe='')}"
        return replace(self, conninfo=joined)


def parse_address(url: str) -> Address:
    """Read a store URL. Raises UsageError, which never repeats the URL: it may hold a password."""
    if url.startswith(_POSTGRES):
        return _postgres(url)
    if url.startswith("sqlite:///"):
        path, asks, options = url.removeprefix("sqlite:///").partition("?")
        if asks:
            raise UsageError(
                _("the store URL has options for SQLite: {options}", options=safe(f"?{options}")),
                hint=_("leave them out: a store is opened in one way; a ? in a file's name is written %3F"),
            )
        return _sqlite(unquote(path))
    if "://" in url:
        raise UsageError(_("the store URL begins with {scheme!r}://", scheme=url.partition("://")[0]), hint=_(_FORMS))
    return _sqlite(url)


def _sqlite(path: str) -> Address:
    if not path:
        raise UsageError(_("the store URL names no file"), hint=_(_FORMS))
    try:
        return Address(shown=path, path=Path(path).expanduser())
    except RuntimeError:
        raise UsageError(_("{key}: {path!r} is not a path", key="store", path=path), hint=_("check the path")) from None


def _postgres(url: str) -> Address:
    rest = url.partition("://")[2]
    try:
        parts = urlsplit(f"postgresql://{rest}")
        port = f":{parts.port}" if parts.port else ""
        user = f"{unquote(parts.username)}@" if parts.username else ""
    except ValueError:
        raise UsageError(_("the store URL is not a valid PostgreSQL URL"), hint=_(_FORMS)) from None
    if rest.count("@") > 1:
        raise UsageError(_("the password in the store URL has a bare '@'"), hint=_("write it as %40"))
    shown = f"postgresql://{user}{parts.hostname or ''}{port}{parts.path}"
    return Address(shown=shown, conninfo=f"postgresql://{rest}")
