"""Settings: where they come from, what is refused, what `config` says of them, and that no secret is ever shown."""

import os
import re
import stat
from pathlib import Path

import pytest

from orderctl.audit.queries import list_batches
from orderctl.cli.commands.owner.store import example
from orderctl.errors import UsageError
from orderctl.settings import NAMED, OPTIONS, read_settings
from support.cli import Cli
from support.factories import make_order, put
from support.project import ROOT
from support.smtp_server import HOST, PASSWORD, USER, ca_file, real_server
from support.stores import open_store

SECRET = "c4nary-s3cret"
REFERENCE = ROOT / "docs" / "reference" / "settings.md"


@pytest.fixture
def cli(sqlite_url, tmp_path):
    return Cli(sqlite_url, tmp_path / "home", ORDERCTL_CONFIG=str(tmp_path / "conf" / "config.toml"))


def write(cli, text, mode=0o600):
    path = Path(cli.environ["ORDERCTL_CONFIG"])
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def shown(cli, *args):
    ran = cli(*args, "config", "show")
    assert ran.code == 0, ran.err
    return {key: (value, origin) for key, value, origin in (line.split("\t") for line in ran.lines)}


def test_flags_go_before_variables_before_the_file_before_defaults(cli, tmp_path):
    file = write(cli, '[profile.eu]\naccount = "file"\nlabel = "EU"\nmax_orders = 7\nstore = "file.db"\n')
    found = shown(cli, "--store", "flag.db", "--profile", "eu")
    assert found["store"] == ("flag.db", "command line")
    assert found["account"] == ("file", str(file))
    assert found["max_orders"] == ("7", str(file))
    assert found["actor"] == ("mia", "ORDERCTL_ACTOR")
    assert found["notify"] == ("no", "default")
    cli.environ["ORDERCTL_ACCOUNT"] = "environment"
    assert shown(cli, "--profile", "eu")["account"] == ("environment", "ORDERCTL_ACCOUNT")
    document = cli("--profile", "eu", "config", "show", "--format", "json").json
    assert document["profile"] == "eu"
    assert {"key": "label", "value": "EU", "origin": str(file)} in document["settings"]


def test_the_path_of_the_file_is_printed_whether_it_is_there_or_not(cli, tmp_path):
    ran = cli("config", "path")
    assert (ran.out, "there is no such file yet" in ran.err) == (f"{tmp_path}/conf/config.toml\n", True)
    del cli.environ["ORDERCTL_CONFIG"]
    assert cli("config", "path").out == f"{tmp_path}/home/.config/orderctl/config.toml\n"


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_an_example_is_written_for_its_owner_alone(cli, tmp_path, umask):
    before = os.umask(umask)
    try:
        ran = cli("config", "init")
    finally:
        os.umask(before)
    file = Path(cli.environ["ORDERCTL_CONFIG"])
    assert (ran.code, ran.out) == (0, f"{file}\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert cli("config", "show").code == 0
    ran = cli("config", "init")
    assert (ran.code, "is there already" in ran.err) == (2, True)
    file.unlink()
    file.symlink_to(tmp_path / "victim")
    assert cli("config", "init").code == 2
    assert not (tmp_path / "victim").exists()


def test_every_line_of_the_example_holds_when_it_is_put_in_force(tmp_path):
    text = "\n".join(
        line.removeprefix("# ") if re.match(r"# [a-z_.]+ = ", line) else line for line in example().splitlines()
    )
    file = tmp_path / "config.toml"
    file.write_text(text)
    file.chmod(0o600)
    settings = read_settings(file, {}, {})
    assert {key for key, setting in settings.found.items() if setting.origin == str(file)} == set(OPTIONS)


@pytest.mark.parametrize(
    "secret", [f'mail.password = "{SECRET}"', f'store = "postgresql://mia:{SECRET}@db.example/orders"']
)
def test_a_file_that_holds_a_password_must_be_its_owners_alone(cli, secret):
    text = f'default_profile = "eu"\n[profile.eu]\n{secret}\n'
    file = write(cli, text, 0o640)
    ran = cli("config", "show")
    assert ran.code == 2
    assert f"{file} holds a password (profile.eu." in ran.err
    assert "chmod 600" in ran.err
    file.chmod(0o600)
    assert cli("config", "show").code == 0
    write(cli, 'default_profile = "eu"\n[profile.eu]\nlabel = "no secret"\n', 0o644)
    assert cli("config", "show").code == 0


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[profile.main]\nlable = 1\n", "unknown key 'lable'", "did you mean label?"),
        ("[profile.main]\nmail.hst = 1\n", "unknown key 'mail.hst'", "did you mean mail.host?"),
        ("[profile.main]\nmax_orders = 'x'\n", "max_orders is not a whole number", ""),
        ("[profile.main]\nnotify = 1\n", "notify is not yes or no", ""),
        ("[profile.main]\nmail.security = 'ssl'\n", "mail.security is 'ssl'", "one of: starttls, tls, none"),
        ("store = 'x'\n", "unknown key 'store'", "settings stand in [profile.NAME]"),
        ("[profile.main]\nmail = 1\n", "unknown key 'mail'", ""),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, text, message, hint):
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        read_settings(file, {}, {"profile": "main"})
    assert hint in caught.value.hint


@pytest.mark.parametrize("key", [option.key for option in OPTIONS.values() if option.kind is int])
def test_a_number_of_the_settings_has_a_least_and_a_most(tmp_path, key):
    option = OPTIONS[key]
    assert (option.most, key) < (10**10, key)
    file = tmp_path / "config.toml"
    for number in (option.least - 1, option.most + 1, 99_999_999_999_999, -(10**30), "9" * 5000, "0x" + "f" * 5000):
        file.write_text(f"[profile.main]\n{key} = {number}\n")
        with pytest.raises(UsageError, match=re.escape(str(file))):
            read_settings(file, {}, {"profile": "main"})
        with pytest.raises(UsageError, match=option.variable):
            read_settings(tmp_path / "none", {option.variable: str(number)}, {})
    file.write_text(f"[profile.main]\n{key} = {option.most}\n")
    assert read_settings(file, {option.variable: str(option.least)}, {"profile": "main"}).number(key) == option.least
    assert read_settings(file, {}, {"profile": "main"}).number(key) == option.most


UNUSABLE = [
    ("mail.timeout", "99999999999999", "ORDERCTL_MAIL_TIMEOUT is not between 1 and 3600"),
    ("mail.host", "smtp..brand.example", "mail.host: 'smtp..brand.example' is no name of a server"),
    ("mail.host", f"{'a' * 64}.example", "is no name of a server"),
    ("mail.host", ".brand.example", "is no name of a server"),
    ("mail.host", "smtp brand.example", "is no name of a server"),
    ("mail.rate", "1/0", "mail.rate: '1/0' is not a rate"),
    ("mail.rate", f"{'9' * 5000}/s", "is not a rate"),
    ("mail.ca_file", "/nowhere", "mail.ca_file: /nowhere cannot be used"),
    ("mail.ca_file", "~nobody-of-that-name/x", "mail.ca_file: '~nobody-of-that-name/x' is not a path"),
    ("mail.templates", "~nobody-of-that-name/x", "mail.templates: '~nobody-of-that-name/x' is not a path"),
    ("mail.language", "xx", "mail.language: there is no template for 'xx'"),
    ("mail.password", "pässword", "the login of mia at localhost is not in ASCII"),
    ("mail.sender", "orders@brand..example", "mail.sender: "),
    ("log_file", "~nobody-of-that-name/x", "log_file: '~nobody-of-that-name/x' is not a path"),
    ("time_zone", "Nowhere", "time_zone: 'Nowhere' is not a known time zone"),
    ("plan_expires", "99999999999999", "the setting plan_expires"),
    ("second_operator_above_amount", "1e-999999999", "the setting second_operator_above_amount"),
    ("store", "~nobody-of-that-name/x", "store: '~nobody-of-that-name/x' is not a path"),
]


@pytest.mark.parametrize(("key", "value", "said"), UNUSABLE, ids=lambda value: str(value)[:30])
def test_a_setting_that_cannot_be_used_ends_the_run_before_anything_is_rejected(cli, sqlite_url, key, value, said):
    with open_store(sqlite_url) as store:
        put(store, make_order("1001"))
    mail = {"TRANSPORT": "smtp", "HOST": "localhost", "SENDER": "orders@brand.example", "USER": "mia", "PASSWORD": "x"}
    cli.environ |= {f"ORDERCTL_MAIL_{name}": text for name, text in mail.items()} | {OPTIONS[key].variable: value}
    ran = cli("reject", "1001", "--yes", "--notify")
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    with open_store(sqlite_url) as store, store.snapshot() as connection:
        assert list(list_batches(connection, None)) == []


def test_a_path_of_the_settings_holds_no_nul(cli):
    write(cli, '[profile.main]\nlog_file = "a\\u0000b"\n')
    ran = cli("--profile", "main", "reject", "1001", "--yes")
    assert (ran.code, ran.err.partition("\n")[0]) == (2, r"orderctl: log_file: 'a\x00b' is not a path")


def test_a_file_whose_profiles_are_not_used_is_no_surprise(cli):
    file = write(cli, '[profile.eu]\nlabel = "EU"\n[profile.us]\n')
    ran = cli("config", "show")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        f"orderctl: {file} does not say which of its profiles is used\n"
        "hint: give --profile NAME, or write default_profile there; the profiles there: eu, us\n"
    )
    assert cli("--profile", "us", "config", "show").code == 0


def test_a_check_tries_the_store_and_the_mail_server_with_its_login(cli, tmp_path):
    password = tmp_path / "password"
    password.write_text(f"{PASSWORD}\n")
    password.chmod(0o600)
    with real_server("starttls") as inbox:
        file = write(
            cli,
            f"""[profile.main]
mail.transport = "smtp"
mail.host = "{HOST}"
mail.port = {inbox.port}
mail.user = "{USER}"
mail.password_file = "{password}"
mail.ca_file = "{ca_file(tmp_path)}"
mail.sender = "orders@brand.example"
""",
        )
        ran = cli("--profile", "main", "config", "check")
        assert ran.code == 0, ran.out
        assert ran.lines == [
            f"ok     settings: {file}, profile main",
            f"ok     store: {cli.environ['ORDERCTL_STORE']} answers; account main: nothing was rejected yet",
            f"ok     mail: {HOST} takes the login of {USER}",
        ]
        password.write_text(SECRET)
        ran = cli("--profile", "main", "config", "check")
        assert ran.code == 1
        assert ran.lines[-1].startswith(f"WRONG  mail: the mail server {HOST}:{inbox.port} refused the login of {USER}")
        password.chmod(0o644)
        assert (
            cli("--profile", "main", "config", "check").lines[-1]
            == f"WRONG  mail: mail.password_file: others may read {password} (chmod 600 {password})"
        )
    ran = cli("--profile", "main", "--store", str(tmp_path / "nowhere.db"), "config", "check", "--format", "json")
    assert (ran.code, ran.json["ok"]) == (7, False)
    assert [check["ok"] for check in ran.json["checks"]] == [True, False, False]


def test_a_check_finds_variables_that_set_nothing(cli):
    cli.environ["ORDERCTL_LABLE"] = "x"
    ran = cli("config", "check")
    assert (ran.code, ran.lines[1]) == (
        2,
        "WRONG  environment: ORDERCTL_LABLE sets nothing; did you mean ORDERCTL_LABEL?",
    )


def test_a_store_password_may_stand_in_a_private_file(cli, tmp_path):
    password = tmp_path / "password"
    password.write_text(SECRET)
    password.chmod(0o640)
    cli.environ |= {
        "ORDERCTL_STORE": f"postgresql://mia@/orders?host={tmp_path}",
        "ORDERCTL_STORE_PASSWORD_FILE": str(password),
    }
    ran = cli("search")
    assert (ran.code, "store_password_file: others may read" in ran.err) == (2, True)
    password.chmod(0o600)
    assert cli("search").code == 7


def test_the_keyring_is_asked_by_user_and_its_failures_are_sentences(cli, tmp_path):
    backend = tmp_path / "site" / "backend.py"
    backend.parent.mkdir()
    backend.write_text(
        "from keyring.backend import KeyringBackend\nfrom keyring.errors import KeyringLocked\n"
        "class Kept(KeyringBackend):\n    priority = 1\n"
        "    def get_password(self, service, user):\n"
        f"        return '{SECRET}' if (service, user) == ('orderctl', 'mia') else None\n"
        "    set_password = delete_password = None\n"
        "class Locked(Kept):\n    def get_password(self, service, user):\n"
        f"        raise KeyringLocked('{SECRET}')\n"
    )
    cli.environ |= {
        "PYTHONPATH": str(backend.parent),
        "PYTHON_KEYRING_BACKEND": "backend.Kept",
        "ORDERCTL_MAIL_TRANSPORT": "smtp",
        "ORDERCTL_MAIL_HOST": "localhost",
        "ORDERCTL_MAIL_PORT": "1",
        "ORDERCTL_MAIL_SENDER": "a@brand.example",
        "ORDERCTL_MAIL_USER": "mia",
        "ORDERCTL_MAIL_KEYRING": "yes",
    }
    assert "localhost:1 cannot be reached" in cli("config", "check").lines[-1]
    cli.environ["ORDERCTL_MAIL_USER"] = "ben"
    assert "mail.keyring: the keyring has no password for ben" in cli("config", "check").lines[-1]
    cli.environ["PYTHON_KEYRING_BACKEND"] = "backend.Locked"
    ran = cli("config", "check")
    assert "the keyring cannot be asked (KeyringLocked)" in ran.lines[-1]
    assert SECRET not in ran.out + ran.err


def table():
    """The tables of docs/reference/settings.md, as `OPTIONS` and `NAMED` say."""
    named = {f"{kind}.NAME.{option.key}": option for kind, options in NAMED.items() for option in options}
    for key, option in [*OPTIONS.items(), *named.items()]:
        default = {"True": "yes", "False": "no", "None": "", "()": ""}.get(str(option.default), option.default)
        choices = f" ({option.choices})" if option.choices else ""
        variable = f"`{option.variable}` | " if key in OPTIONS else ""
        yield f"| `{key}` | {variable}{default} | {option.about}{choices} |"


def test_the_reference_lists_every_setting():
    known = re.compile(r"\| `(sources|systems)\.NAME\.|.*` \| `ORDERCTL_")
    found = [line for line in REFERENCE.read_text().splitlines() if known.match(line)]
    assert found == list(table()), "the tables of docs/reference/settings.md should be:\n" + "\n".join(table())


PLACES = {
    "a server that is not there": {"ORDERCTL_STORE": f"postgresql://mia:{SECRET}@127.0.0.1:1/orders"},
    "a password as parameter": {"ORDERCTL_STORE": f"postgresql://mia@127.0.0.1:1/orders?password={SECRET}"},
    "a bare @": {"ORDERCTL_STORE": f"postgresql://mia:{SECRET}@x@127.0.0.1/orders"},
    "a wrong port": {"ORDERCTL_STORE": f"postgresql://mia:{SECRET}@127.0.0.1:port/orders"},
    "a wrong parameter": {"ORDERCTL_STORE": f"postgresql://mia:{SECRET}@127.0.0.1:1/orders?nonsense=1"},
    "a wrong percent": {"ORDERCTL_STORE": f"postgresql://mia:{SECRET}%zz@127.0.0.1:1/orders"},
    "another scheme": {"ORDERCTL_STORE": f"mysql://mia:{SECRET}@127.0.0.1/orders"},
    "a mail password": {
        "ORDERCTL_MAIL_PASSWORD": SECRET,
        "ORDERCTL_MAIL_TRANSPORT": "smtp",
        "ORDERCTL_MAIL_HOST": "127.0.0.1",
        "ORDERCTL_MAIL_PORT": "1",
        "ORDERCTL_MAIL_USER": "mia",
        "ORDERCTL_MAIL_SENDER": "orders@brand.example",
    },
}
COMMANDS = [
    ["config", "show"],
    ["config", "check", "--format", "json"],
    ["reject", "1", "--yes", "--notify"],
    ["store", "init"],
    ["store", "check"],
]


@pytest.mark.parametrize("environ", PLACES.values(), ids=PLACES)
def test_no_secret_is_ever_shown(cli, environ):
    cli.environ |= environ
    for args in COMMANDS:
        ran = cli(*args)
        assert ran.code != 0 or args[0] in {"config", "store"}
        assert SECRET not in ran.out + ran.err, args
