"""Settings: flag, then environment variable, then the profile in the file, then the default; each has its origin.

One TOML file holds profiles. The keys of a profile are those of `OPTIONS`, and dotted keys may be tables:

    default_profile = "eu"

    [profile.eu]
    store = "postgresql://orders@db.example/eu"
    production = true
    mail.host = "smtp.example"

    [profile.eu.sources.erp]
    url = "postgresql://reader@erp.example/sales"
    query = "SELECT * FROM open_orders"
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from orderctl.core.text import closest, nearest, safe
from orderctl.errors import UsageError, os_reason
from orderctl.language import N_, _

Value = str | bool | int | tuple[str, ...] | None
DEFAULT_PROFILE = "default"
LARGEST = 1_000_000_000
_LONGEST_NUMBER = 15
_YES_NO = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One setting: the type and limits of its value, its default, and whether it is secret.

    Without a default it has to be given, or is not set. `or_number`: a text may be written as a whole number too. A
    number is between `least` and `most`.
    """

    key: str
    about: str
    default: Value = ""
    unset: type = str
    one_of: tuple[str, ...] = ()
    secret: bool = False
    or_number: bool = False
    least: int = 0
    most: int = LARGEST

    @property
    def kind(self) -> type:
        """The type of its value: that of its default, and `unset` where there is none."""
        return self.unset if self.default is None else type(self.default)

    @property
    def choices(self) -> str:
        """The possible values; empty if they cannot be listed."""
        return f"{self.least}..{self.most}" if self.kind is int else ", ".join(self.one_of)

    @property
    def variable(self) -> str:
        """The name of the environment variable."""
        return f"ORDERCTL_{self.key.upper().replace('.', '_')}"


# The most connections to a mail server at a time.
MAX_CONNECTIONS = 16

_ALL = (
    Option(key="store", about=N_("a file path or a PostgreSQL URL"), default=None),
    Option(key="store_password_file", about=N_("a file that only you can read, for PostgreSQL")),
    Option(key="store_keyring", about=N_("ask the system's keyring for the store's password"), default=False),
    Option(key="account", about=N_("whose orders these are"), default="main"),
    Option(key="label", about=N_("how the store is called in previews")),
    Option(key="production", about=N_("mark it PRODUCTION in previews"), default=False),
    Option(key="actor", about=N_("who acts; the login name by default")),
    Option(key="log_file", about=N_("add a JSON line there for each step of a run")),
    Option(key="time_zone", about=N_("of the times shown, as in Europe/Paris; the computer's")),
    Option(key="notify", about=N_("mail the buyers unless told otherwise"), default=False),
    Option(key="max_orders", unset=int, about=N_("refuse plans with more orders"), default=None),
    Option(key="max_age", about=N_("skip orders of which no source has spoken for longer: 24h, 3d"), or_number=True),
    Option(key="plan_expires", about=N_("how long a saved plan may run: 36h, 3d"), default="24h", or_number=True),
    Option(key="wrong_time_of", about=N_("the id of a batch made while the clock was wrong")),
    Option(key="require_second_operator", about=N_("every plan needs another operator's approval"), default=False),
    Option(key="second_operator_above_orders", unset=int, about=N_("plans with more orders need it"), default=None),
    Option(
        key="second_operator_above_amount", about=N_("plans of more, in any currency, need it: 10000"), or_number=True
    ),
    Option(key="reasons", about=N_("the codes that --reason takes, each with its words; empty: free text"), default=()),
    Option(
        key="checkpoint.key_file",
        about=N_("a file that only you can read, with the key that signs checkpoints of the log"),
    ),
    Option(key="checkpoint.timestamp_server", about=N_("an address that gives timestamps by RFC 3161")),
    Option(key="checkpoint.timestamp_ca_file", about=N_("the certificates that its timestamps must descend from")),
    Option(key="checkpoint.auditor", about=N_("the address that gets a checkpoint of the log after each batch")),
    Option(key="mail.transport", about=N_("how mails leave"), one_of=("smtp", "maildir")),
    Option(key="mail.maildir", about=N_("the folder of the maildir transport")),
    Option(key="mail.host", about=N_("the SMTP server")),
    Option(
        key="mail.port",
        unset=int,
        about=N_("its port; 587 with starttls, 465 with tls"),
        least=1,
        most=65535,
        default=None,
    ),
    Option(
        key="mail.security",
        about=N_("how the connection is secured; none is for this computer only"),
        default="starttls",
        one_of=("starttls", "tls", "none"),
    ),
    Option(key="mail.user", about=N_("the login; empty: no login")),
    Option(key="mail.password", about=N_("better in the keyring or a file"), secret=True),
    Option(key="mail.password_file", about=N_("a file that only you can read")),
    Option(key="mail.keyring", about=N_("ask the system's keyring for the password"), default=False),
    Option(key="mail.sender", about=N_("the From address")),
    Option(key="mail.reply_to", about=N_("where answers go")),
    Option(
        key="mail.bounces", about=N_("where mails that came back are reported: a Maildir, or imaps://USER@HOST/FOLDER")
    ),
    Option(
        key="mail.bounces_password_file", about=N_("a file that only you can read, for a login other than mail.user")
    ),
    Option(key="mail.cc", about=N_("addresses that get a copy of each mail, for all to see"), default=()),
    Option(key="mail.bcc", about=N_("addresses that get a copy of each mail, unseen"), default=()),
    Option(key="mail.timeout", about=N_("seconds to wait for the server"), default=30, least=1, most=3600),
    Option(
        key="mail.connections", about=N_("how many at once to the server"), default=1, least=1, most=MAX_CONNECTIONS
    ),
    Option(key="mail.rate", about=N_("at most so many mails: 5/s, 30/m or 1000/h")),
    Option(key="mail.ca_file", about=N_("certificates to trust instead of the system's")),
    Option(key="mail.templates", about=N_("a folder with the brand's own templates")),
    Option(key="mail.language", about=N_("for buyers whose language has no template"), default="en"),
)
OPTIONS = {option.key: option for option in _ALL}
# Settings of things that have a name of their own, of which a profile may have any number: sources.NAME.url. They stand
# in the file alone.
NAMED = {
    "sources": (
        Option(key="url", about=N_("a database with orders, as a SQLAlchemy URL"), default=None),
        Option(key="query", about=N_("the SELECT that gives the orders, or @FILE that holds it"), default=None),
        Option(key="map", about=N_("what its columns mean: a column map's name or file")),
        Option(key="password_file", about=N_("a file that only you can read")),
        Option(key="keyring", about=N_("ask the system's keyring for the password"), default=False),
        Option(key="timeout", about=N_("seconds that the query may take"), default=600, least=1, most=86_400),
    ),
    "systems": (
        Option(key="kind", about=N_("what kind of system it is: see orderctl help close-the-loop"), default=None),
        Option(key="url", about=N_("where it is")),
        Option(key="user", about=N_("the login there")),
        Option(key="secret_file", about=N_("a file that only you can read, with the password")),
        Option(key="keyring", about=N_("ask the system's keyring for the password"), default=False),
        Option(key="key", about=N_("what the order is called there"), one_of=("id", "reference")),
        Option(key="map", about=N_("the column map for pull")),
        Option(key="timeout", about=N_("seconds to wait for an answer"), default=30, least=1, most=3600),
        Option(key="ca_file", about=N_("certificates to trust instead of the system's")),
        Option(key="connections", about=N_("how many at once"), default=1, least=1, most=MAX_CONNECTIONS),
        Option(key="rate", about=N_("at most so many: 5/s, 30/m or 1000/h")),
        Option(key="database", about=N_("the database there, of Odoo and Tryton")),
        Option(key="command", about=N_("the program, with its arguments")),
        Option(key="folder", about=N_("where the files are written")),
        Option(key="format", about=N_("how they are written")),
        Option(key="statement", about=N_("the UPDATE that cancels one order, or @FILE")),
        Option(key="query", about=N_("the SELECT that says how one order stands, or @FILE")),
        Option(key="orders", about=N_("the SELECT that gives the orders for pull, or @FILE")),
        Option(key="reason", about=N_("the reason that the system is given")),
        Option(key="refund", about=N_("what happens to money paid")),
        Option(key="restock", about=N_("what happens to the goods reserved")),
        Option(key="note", about=N_("the note for the staff there")),
    ),
}
_PARTS = 3


def option_of(key: str) -> Option | None:
    """The setting of that key, be it one of a named thing; None if there is none."""
    if key in OPTIONS:
        return OPTIONS[key]
    parts = key.split(".")
    if len(parts) != _PARTS or not parts[1]:
        return None
    found = next((option for option in NAMED.get(parts[0], ()) if option.key == parts[2]), None)
    return found and replace(found, key=key)


@dataclass(frozen=True, slots=True)
class Setting:
    """A value, and where it came from in words."""

    value: Value
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one profile. `config_file` is the file that was looked for; it may be missing."""

    profile: str
    config_file: Path
    found: Mapping[str, Setting]

    def text(self, key: str) -> str:
        """A text; empty if it is not set."""
        return str(self.found[key].value or "")

    def path(self, key: str) -> Path | None:
        """A path, with `~` for a home; None if it is not set. Raises UsageError."""
        text = self.text(key)
        if not text:
            return None
        try:
            if "\0" not in text:
                return Path(text).expanduser()
        except RuntimeError:  # there is no such user
            pass
        raise UsageError(_("{key}: {path!r} is not a path", key=key, path=text), hint=_("check the path"))

    def flag(self, key: str) -> bool:
        """A yes or no."""
        return bool(self.found[key].value)

    def number(self, key: str) -> int | None:
        """A number; None if it is not set."""
        value = self.found[key].value
        return value if isinstance(value, int) else None

    def secret(self, *, file: str, keyring: str, user: str) -> str | None:
        """A secret from the file or the keyring that two settings name; None if they name none. Raises UsageError."""
        from orderctl.core.secrets import from_keyring, private_text  # noqa: PLC0415 - most runs need no secret

        if path := self.path(file):
            return private_text(path, file)
        return from_keyring(user, keyring) if self.flag(keyring) else None

    def names(self, kind: str) -> tuple[str, ...]:
        """The names of the things of a kind of `NAMED`, as in the file."""
        return tuple(dict.fromkeys(key.split(".")[1] for key in self.found if key.startswith(f"{kind}.")))

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self.found[key].value
        return value if isinstance(value, tuple) else ()


def read_settings(config_file: Path, environ: Mapping[str, str], flags: Mapping[str, Value]) -> Settings:
    """Read the settings. `flags` are the values of the command line, with `profile`; None is not given.

    Raises UsageError that names the wrong file and key, or the wrong variable.
    """
    document = _document(config_file)
    _refuse_shared(config_file, document)
    profiles = document.get("profile", {})
    if not isinstance(profiles, dict):
        raise UsageError(_("{file}: profile is not a table", file=config_file), hint=_("write [profile.NAME]"))
    chosen = flags.get("profile") or environ.get("ORDERCTL_PROFILE") or document.get("default_profile")
    name = str(chosen or DEFAULT_PROFILE)
    if name not in profiles and (chosen or profiles):
        raise _no_profile(config_file, str(chosen or ""), profiles)
    profile = _flat(profiles.get(name, {}), f"{config_file}: profile.{name}")
    found = {key: _resolve(option, flags, environ, profile, config_file) for key, option in OPTIONS.items()}
    return Settings(profile=name, config_file=config_file, found=found | _named(profile, config_file))


def _named(profile: Mapping[str, object], config_file: Path) -> dict[str, Setting]:
    """The settings of named things: all of each, the defaults too. Raises UsageError for one without what it needs."""
    found: dict[str, Setting] = {}
    for kind, name in dict.fromkeys(tuple(key.split(".")[:2]) for key in profile if key not in OPTIONS):
        for option in NAMED[kind]:
            key = f"{kind}.{name}.{option.key}"
            if key in profile:
                found[key] = Setting(_from_file(replace(option, key=key), profile[key], config_file), str(config_file))
            elif option.default is None:
                raise UsageError(_("{file}: {key} is missing", file=config_file, key=key), hint=_(option.about))
            else:
                found[key] = Setting(option.default, _("default"))
    return found


def _no_profile(config_file: Path, chosen: str, profiles: Mapping[str, object]) -> UsageError:
    """The error for a missing profile. A file with profiles that are not used would be a surprise."""
    known = safe(", ".join(map(str, profiles))) or _("none")
    if chosen:
        return UsageError(
            _("there is no profile {name!r} in {file}", name=chosen, file=config_file),
            hint=_("the profiles there: {known}", known=known),
        )
    return UsageError(
        _("{file} does not say which of its profiles is used", file=config_file),
        hint=_("give --profile NAME, or write default_profile there; the profiles there: {known}", known=known),
    )


def holds_password(url: str) -> bool:
    """Whether a store URL holds a password, before the host or among its parameters."""
    rest = url.partition("://")[2]
    return ":" in rest.rpartition("@")[0] or "password=" in rest.partition("?")[2]


def _refuse_shared(config_file: Path, document: Mapping[str, object]) -> None:
    """Raise UsageError if others may read a file that holds a password, as ssh does."""
    secret = next(_secrets(document), None)
    if secret is None:
        return
    found, named = config_file.stat(), {"file": config_file, "secret": secret}
    if found.st_mode & 0o077:
        raise UsageError(
            _("{file} holds a password ({secret}), and others may read it", **named),
            hint=_("chmod 600 {path}", path=config_file),
        )
    if found.st_uid not in {0, os.geteuid()}:
        raise UsageError(
            _("{file} holds a password ({secret}), and belongs to another user", **named),
            hint=_("use a file of your own"),
        )


def _secrets(document: Mapping[str, object]) -> Iterator[str]:
    """The keys whose values are secrets."""
    profiles = document.get("profile")
    for name, profile in profiles.items() if isinstance(profiles, dict) else ():
        for key, value in _leaves(profile if isinstance(profile, dict) else {}):
            option = option_of(key)
            url = key == "store" or key.endswith(".url")
            if value and ((option and option.secret) or (url and holds_password(str(value)))):
                yield f"profile.{name}.{key}"


def _leaves(table: Mapping[str, object], before: str = "") -> Iterator[tuple[str, object]]:
    """The dotted keys of a profile and their values; what is a table as a value stays one."""
    for name, value in table.items():
        key = f"{before}{name}"
        if isinstance(value, dict) and key not in OPTIONS and before.count(".") < _PARTS - 1:
            yield from _leaves(value, f"{key}.")
        else:
            yield key, value


def profile_names(config_file: Path) -> tuple[str, ...]:
    """The names of the profiles in the file. Raises UsageError if it cannot be read."""
    profiles = _document(config_file).get("profile", {})
    return tuple(profiles) if isinstance(profiles, dict) else ()


def _document(config_file: Path) -> dict[str, object]:
    try:
        written = config_file.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(
            _("{file} cannot be read: {why}", file=config_file, why=os_reason(error)), hint=_("check the path")
        ) from error
    import tomllib  # noqa: PLC0415 - most runs have no settings file

    try:
        document = tomllib.loads(written.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # also for a number with more digits than Python reads
        raise UsageError(
            _("{file} is not TOML: {error}", file=config_file, error=error), hint=_("mend the file")
        ) from error
    unknown = document.keys() - {"profile", "default_profile"}
    if unknown:
        raise UsageError(
            _("{file}: unknown key {key!r}", file=config_file, key=min(unknown)),
            hint=_("settings stand in [profile.NAME]"),
        )
    return document


def _flat(table: object, where: str) -> dict[str, object]:
    """The dotted keys of a profile, each of which is a setting, and their values."""
    if not isinstance(table, dict):
        raise UsageError(_("{where} is not a table", where=where), hint=_("write [profile.NAME]"))
    flat = dict(_leaves(table))
    for key in flat:
        if option_of(key) is None:
            kind, __, name = key.partition(".")
            beside = [f"{kind}.{name.partition('.')[0]}.{option.key}" for option in NAMED.get(kind, ())]
            raise UsageError(
                _("{where}: unknown key {key!r}", where=where, key=key),
                hint=nearest(key, (*OPTIONS, *beside), _("see: orderctl config show")),
            )
    return flat


def _resolve(
    option: Option,
    flags: Mapping[str, Value],
    environ: Mapping[str, str],
    profile: Mapping[str, object],
    config_file: Path,
) -> Setting:
    if flags.get(option.key) is not None:
        return Setting(flags[option.key], _("command line"))
    if option.variable in environ:
        return Setting(_from_text(option, environ[option.variable]), option.variable)
    if option.key in profile:
        return Setting(_from_file(option, profile[option.key], config_file), str(config_file))
    return Setting(option.default, _("default"))


def unknown_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Unknown variables that begin with ORDERCTL_, each with the nearest known one, or empty."""
    known = {option.variable for option in OPTIONS.values()} | {"ORDERCTL_CONFIG", "ORDERCTL_PROFILE"}
    return {name: closest(name, known) for name in environ if name.startswith("ORDERCTL_") and name not in known}


def _from_text(option: Option, text: str) -> Value:
    if option.kind is bool and text.lower() in _YES_NO:
        return _YES_NO[text.lower()]
    if option.kind is int and text.isascii() and text.removeprefix("-").isdigit():
        return _bounded(option, int(text) if len(text) <= _LONGEST_NUMBER else None, option.variable)
    if option.kind is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if option.kind is str:
        return _checked(option, text, option.variable)
    raise UsageError(_(_KINDS[option.kind], where=option.variable), hint=_(option.about))


def _from_file(option: Option, value: object, config_file: Path) -> Value:
    where = f"{config_file}: {option.key}"
    if option.kind is tuple and isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    if option.kind is tuple and isinstance(value, dict) and all(isinstance(each, str) for each in value.values()):
        return tuple(f"{name}: {each}" for name, each in value.items())
    if option.or_number and type(value) is int and len(hex(value)) <= _LONGEST_NUMBER:
        value = str(value)
    if type(value) is not option.kind:
        raise UsageError(_(_KINDS[option.kind], where=where), hint=_(option.about))
    if type(value) is int:
        return _bounded(option, value, where)
    return _checked(option, value, where) if isinstance(value, str) else value  # type: ignore[return-value]


def _bounded(option: Option, number: int | None, where: str) -> int:
    """The number within its limits; None is a number too long to read. Raises UsageError."""
    if number is None or not option.least <= number <= option.most:
        raise UsageError(
            _("{where} is not between {least} and {most}", where=where, least=option.least, most=option.most),
            hint=_(option.about),
        )
    return number


def _checked(option: Option, text: str, where: str) -> str:
    if option.one_of and text and text not in option.one_of:
        raise UsageError(
            _("{where} is {text!r}", where=where, text=text), hint=_("one of: {known}", known=", ".join(option.one_of))
        )
    return text


_KINDS = {
    bool: N_("{where} is not yes or no"),
    int: N_("{where} is not a whole number"),
    str: N_("{where} is not a text"),
    tuple: N_("{where} is not a list of texts"),
}
