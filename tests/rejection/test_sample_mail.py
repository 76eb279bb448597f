"""`mail send --sample`: one letter to oneself, marked, and the outbox as it was; on both engines."""

import email
from email.policy import default

import pytest

from support.cli import maildir_cli
from support.factories import KUMO, MUTE, make_order, put
from support.stores import open_store


@pytest.fixture
def cli(store_url, tmp_path):
    with open_store(store_url) as store:
        put(store, make_order("M1"), make_order("M2", buyer=KUMO, season="26FW"), make_order("M3", buyer=MUTE))
    return maildir_cli(store_url, tmp_path)


def the_mail(tmp_path):
    (path,) = (tmp_path / "mails" / "new").iterdir()
    found = email.message_from_bytes(path.read_bytes(), policy=default)
    path.unlink()
    return found


def sample(cli, *args):
    return cli("mail", "send", "--sample", "me@brand.example", *args)


def test_a_sample_of_what_is_chosen_goes_to_oneself_and_nothing_else_does(cli, tmp_path):
    ran = sample(cli, "--filter", "season:26FW")
    assert (ran.code, ran.out) == (0, "")
    mail = the_mail(tmp_path)
    assert (mail["To"], mail["Subject"]) == ("me@brand.example", "[Sample] 【nord】ご注文 M2 をお断りしました")
    assert ran.err == f"a sample was sent to me@brand.example: {mail['Subject']}\n"
    cli("select", "M1")
    assert sample(cli).code == 0
    assert the_mail(tmp_path)["Subject"] == "[Sample] Votre commande M1 a été refusée par nord"
    assert cli("mail", "list", "--format", "json").json == []
    assert cli("search", "status:rejected").lines == []


def test_a_sample_of_a_batch_leaves_its_mails_alone(cli, tmp_path):
    batch = cli("reject", "M1", "--yes", "--notify", "--message", "Sorry.", "--format", "json").json["batch"]
    first = the_mail(tmp_path)
    before = cli("mail", "list", "--format", "json").out
    assert sample(cli, "--batch", batch).code == 0
    mail = the_mail(tmp_path)
    assert mail["Subject"] == f"[Sample] {first['Subject']}"
    assert mail["Message-ID"] != first["Message-ID"]
    assert "Sorry." in mail.get_body(("plain",)).get_content()
    assert cli("mail", "list", "--format", "json").out == before


def test_without_orders_one_is_invented(cli, tmp_path):
    assert sample(cli).code == 0
    assert the_mail(tmp_path)["Subject"] == "[Sample] Your order 10001 was rejected by Nordlys"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--sample", "me"], "--sample: 'me' is not one e-mail address"),
        (["--sample", "a@b.example, c@d.example"], "is not one e-mail address"),
        (["--sample", "me@b.example", "--filter", "id:M3"], "no buyer would be told of these orders"),
        (["--sample", "me@b.example", "--batch", "none"], "there is no batch 'none'"),
        (["--sample", "me@b.example", "--batch", "none", "--name", "x"], "are two sources of a letter"),
        (["--filter", "id:M1"], "choose the orders of a --sample"),
    ],
)
def test_what_is_no_sample(cli, tmp_path, args, said):
    ran = cli("mail", "send", *args)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert not list((tmp_path / "mails" / "new").glob("*"))
