"""The operator's message by language: who gets which, what is kept, and what the preview says; on both engines."""

import email
import json
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.mail.wording import Wording
from support.cli import maildir_cli
from support.factories import ACME, KUMO, make_order, put
from support.stores import open_store

TAGS = st.sampled_from(["de", "fr", "pt-br", "ja"])
SAID = st.text(min_size=1) | st.sampled_from(['{"by_language":{}}', '{"by_language":', "Sorry."])
WORDINGS = st.builds(Wording, for_all=st.just("") | SAID, by_language=st.dictionaries(TAGS, SAID))


@given(WORDINGS)
def test_what_is_kept_reads_as_it_was(wording):
    assert Wording.read(wording.kept()) == wording


@given(st.text().filter(lambda text: not text.startswith('{"by_language":')))
def test_a_message_for_all_is_kept_as_it_is(text):
    assert Wording.read(text).kept() == text
    assert Wording.read(text) == Wording(for_all=text, by_language={})


@pytest.mark.parametrize("text", ['{"by_language":', '{"by_language":3}', '{"by_language":[]} and more'])
def test_what_only_looks_like_json_is_a_message(text):
    assert Wording.read(text).said_to("de", "de") == text


@given(WORDINGS, TAGS | st.just(""), TAGS)
def test_nobody_gets_the_words_of_another_language(wording, tag, written_in):
    found = wording.tag_for(tag, written_in)
    assert found in {None, "", tag, tag.partition("-")[0], written_in}
    assert (found is None) == (wording.said_to(tag, written_in) == "")


@pytest.mark.parametrize(
    ("tag", "written_in", "said"),
    [
        ("de", "de", "Leider."),
        ("de-AT", "de", "Leider."),
        ("DE_at", "de", "Leider."),
        ("pt", "en", "Sorry."),  # the letter falls back to English, and the message with it
        ("fr", "fr", "For all."),
        ("", "de", "Leider."),
    ],
)
def test_the_buyers_own_language_comes_first_and_then_that_of_the_letter(tag, written_in, said):
    wording = Wording(for_all="For all.", by_language={"de": "Leider.", "en": "Sorry."})
    assert wording.said_to(tag, written_in) == said


HANS = ACME.__class__(id="hans", name="Hans GmbH", email="hans@hans.example", country="DE", language="de-AT")
JOAO = ACME.__class__(id="joao", name="Casa Joao", email="joao@joao.example", country="PT", language="pt")


@pytest.fixture
def cli(store_url, tmp_path):
    with open_store(store_url) as store:
        put(
            store,
            make_order("M1"),
            make_order("M2", buyer=KUMO),
            make_order("M3", buyer=HANS),
            make_order("M4", buyer=JOAO),
        )
    (tmp_path / "de.txt").write_text("Die Weberei hat geschlossen.", encoding="utf-8")
    (tmp_path / "all.txt").write_text("The mill closed.", encoding="utf-8")
    return maildir_cli(store_url, tmp_path)


def told(tmp_path):
    """The text of each mail, by its recipient."""
    mails = [
        email.message_from_bytes(path.read_bytes(), policy=default) for path in (tmp_path / "mails" / "new").iterdir()
    ]
    return {mail["To"]: mail.get_body(("plain",)).get_content() for mail in mails}


def test_each_buyer_gets_the_message_of_their_language(cli, tmp_path):
    files = ("--message-file", str(tmp_path / "all.txt"), "--message-file", f"de={tmp_path / 'de.txt'}")
    ran = cli("reject", "M1", "M2", "M3", "M4", "--yes", *files)
    assert ran.code == 0
    mails = told(tmp_path)
    assert "Die Weberei hat geschlossen." in mails.pop("hans@hans.example")
    assert len(mails) == 3
    for text in mails.values():
        assert "The mill closed." in text
        assert "Weberei" not in text
    preview = " ".join(ran.err.split())
    assert "Letters 1 of 4 will be written in English: no Portuguese letter" in preview
    assert "Message in German; 3 of 4 get the one for all languages: none in French, Japanese, Portuguese" in preview


def test_a_message_in_one_language_goes_to_nobody_else(cli, tmp_path):
    ran = cli("reject", "M1", "M3", "--yes", "--message-file", f"de={tmp_path / 'de.txt'}")
    assert "Message in German; 1 of 2 get no message: none in French" in " ".join(ran.err.split())
    mails = told(tmp_path)
    assert "Weberei" in mails["hans@hans.example"]
    assert "Weberei" not in mails["achats@acme.example"]


def test_a_message_that_no_buyer_reads_is_named(cli, tmp_path):
    ran = cli("reject", "M1", "--dry-run", "--message-file", f"de={tmp_path / 'de.txt'}")
    assert "Message none; 1 of 1 get no message: none in French; no buyer gets the one in German" in " ".join(
        ran.err.split()
    )


def test_one_message_to_buyers_of_several_languages_is_named(cli):
    ran = cli("reject", "M1", "M2", "--dry-run", "--notify", "--message", "The mill closed.")
    said = "Message the same for letters in French, Japanese; --message-file de=FILE is for one language"
    assert said in " ".join(ran.err.split())
    alone = cli("reject", "M1", "--dry-run", "--notify", "--message", "The mill closed.")
    assert "the same for letters" not in alone.err


def test_the_messages_are_kept_with_plan_and_batch(cli, tmp_path):
    files = ("--message", "The mill closed.", "--message-file", f"de={tmp_path / 'de.txt'}")
    texts = {"": "The mill closed.", "de": "Die Weberei hat geschlossen."}
    saved = cli("reject", "M1", "M3", "--notify", "--save-plan", *files, "--format", "json").json
    assert saved["plan"]["mail"]["messages"] == texts
    plan = saved["saved"]["id"]
    shown = " ".join(cli("plan", "show", plan).out.split())
    assert "Message in German; 1 of 2 get the one for all languages: none in French" in shown
    assert cli("plan", "run", plan, "--yes").code == 0
    assert "Weberei" in told(tmp_path)["hans@hans.example"]
    batch = cli("log", plan, "--format", "json").json
    assert batch["messages"] == texts
    assert "German: Die Weberei hat geschlossen.; all others: The mill closed." in " ".join(
        cli("log", plan).out.split()
    )
    assert cli("log", "verify").code == 0


def test_a_batch_with_one_message_is_digested_as_before(cli):
    batch = cli("reject", "M1", "--yes", "--notify", "--message", "Sorry.", "--format", "json").json["batch"]
    kept = cli("log", batch, "--format", "json").json
    assert (kept["message"], kept["messages"]) == ("Sorry.", {"": "Sorry."})


def test_the_letters_of_a_dry_run_name_the_message_that_they_have(cli, tmp_path):
    files = ("--message-file", f"de={tmp_path / 'de.txt'}", "--message-file", f"en={tmp_path / 'all.txt'}")
    ran = cli("reject", "M1", "M2", "M3", "M4", "--dry-run", *files, "--format", "json")
    found = {each["language"]: (each["written_in"], each["message_in"]) for each in json.loads(ran.out)["letters"]}
    assert found == {"fr": ("fr", None), "ja": ("ja", None), "de-AT": ("de", "de"), "pt": ("en", "en")}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--message-file", "de=x", "--message-file", "DE=y"], "--message-file gives two messages in 'de'"),
        (["--message", "a", "--message-file", "x"], "are three ways of one message"),
        (["--message-file", "x", "--message-file", "y"], "are three ways of one message"),
        (["--message-file", "de=nowhere.txt"], "nowhere.txt cannot be read"),
    ],
)
def test_what_is_no_message(cli, args, said):
    ran = cli("reject", "M1", "--yes", *args)
    assert ran.code == 2
    assert said in ran.err
    assert cli("search", "status:rejected").lines == []
