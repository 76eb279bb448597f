"""Letters: what a buyer reads, in their language, and what no text from outside can do to it."""

from dataclasses import replace
from datetime import UTC, datetime
from html import unescape

import pytest
from babel.dates import format_date
from babel.numbers import format_decimal
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from orderctl.core.money import add_up
from orderctl.errors import UsageError
from orderctl.mail.letters import Composer, built_in_languages, text_table
from orderctl.mail.outbox import LetterContext
from orderctl.orders.orders import OrderSummary, Status
from support.factories import ACME as ACME_PARIS
from support.factories import KUMO

ACME = replace(ACME_PARIS, language="en")


def order(order_id="A1", **changes):
    fields = {
        "id": order_id,
        "buyer_name": "Acme Paris",
        "status": Status.REJECTED,
        "reference": "PO-7",
        "season": "26SS",
        "ordered_at": datetime(2026, 1, 15, 12, tzinfo=UTC),
        "delivery_from": None,
        "country": "FR",
        "currency": "EUR",
        "total": 1_234_550,
        "quantity": 5,
    }
    return OrderSummary(**(fields | changes))


def facts(*orders, buyer=ACME, **changes):
    orders = orders or (order(),)
    totals = add_up(each.amount for each in orders)
    plain = {"message": "", "reason": "internal", "brand": "nord", "language": buyer.language or ""}
    return LetterContext(buyer=buyer, orders=orders, totals=totals, **(plain | changes))


COMPOSER = Composer()


def the_day(language):
    """The day of these orders as Babel writes it: the words and signs of a locale change from version to version."""
    return format_date(order().ordered_at, locale=language)


def test_the_whole_text_of_a_letter():
    day = the_day("en")
    letter = COMPOSER.compose(
        facts(
            order("A1"),
            order("A2", reference="", currency="JPY", total=90_000),
            buyer=replace(ACME, contact="Zoé"),
            message="The mill closed.\n\nSorry.",
        )
    )
    assert letter.subject == "Your 2 orders were rejected by nord"
    assert letter.text == (
        "Hello Zoé,\n"
        "\n"
        "the following 2 orders were rejected by nord.\n"
        "This is final: the orders will not be delivered, and they cannot be\n"
        "reinstated.\n"
        "\n"
        f"Order  Your reference  Season  {'Ordered on':<{len(day)}}         Amount\n"
        f"-----  --------------  ------  {'-' * len(day)}  -------------\n"
        f"A1     PO-7            26SS    {day}  12,345.50 EUR\n"
        f"A2                     26SS    {day}     90,000 JPY\n"
        "\n"
        "Total: 12,345.50 EUR, 90,000 JPY\n"
        "\n"
        "The mill closed.\n"
        "\n"
        "Sorry.\n"
        "\n"
        "Kind regards\n"
        "nord\n"
    )
    assert "The mill closed.<br><br>Sorry.</p>" in letter.html
    for shown in ("A1", "A2", "PO-7", "12,345.50 EUR", "90,000 JPY", day, "Hello Zoé"):
        assert shown in letter.html
    assert "internal" not in letter.text + letter.html


def test_one_order_is_spoken_of_as_one():
    letter = COMPOSER.compose(facts(brand=""))
    assert letter.subject == "Your order A1 was rejected"
    assert "the following order was rejected.\nThis is final" in letter.text
    assert letter.text.endswith("Kind regards\n")


@pytest.mark.parametrize("language", ["ja", "ja-JP", "JA_jp"])
def test_a_japanese_letter(language):
    letter = COMPOSER.compose(facts(order(reference="注文七"), buyer=KUMO, language=language))
    assert letter.subject == "【nord】ご注文 A1 をお断りしました"
    assert letter.text.startswith("雲商店 様\n")
    day = the_day("ja")
    assert (
        f"注文番号  貴社注文番号  シーズン  注文日{' ' * (len(day) - 6)}           金額\n"
        f"--------  ------------  --------  {'-' * len(day)}  -------------\n"
        f"A1        注文七        26SS      {day}  12,345.50 EUR\n"
    ) in letter.text
    assert '<html lang="ja">' in letter.html


@pytest.mark.parametrize("language", ["", "pt", "x-klingon", "../ja", "e", "en-GB"])
def test_any_other_language_gets_the_default(language):
    assert COMPOSER.compose(facts(language=language)).subject.startswith("Your order")
    assert Composer(default_language="ja").compose(facts(language="pt")).subject.startswith("【nord】")


HOSTILE = "{{ 7*7 }}{% for x in y %}<b>&\r\nBcc: all@acme.example\x1b[2J\u202e"


def test_texts_from_outside_are_never_template_markup_header_or_control():
    buyer = replace(ACME, name=HOSTILE)
    hostile = order(HOSTILE, reference=HOSTILE, season=HOSTILE)
    letter = COMPOSER.compose(facts(hostile, buyer=buyer, brand=HOSTILE, message=HOSTILE))
    assert "{{ 7*7 }}{% for x in y %}" in letter.text
    assert "49" not in letter.text
    assert "\n" not in letter.subject
    assert "\r" not in letter.subject
    assert "\x1b" not in letter.subject + letter.text + letter.html
    assert "<b>" not in letter.html
    assert "&lt;b&gt;&amp;" in letter.html
    assert "\\x1b[2J\\u202e" in letter.text


def test_the_operators_message_keeps_its_lines_and_its_words():
    letter = COMPOSER.compose(facts(message="Hello {{ name }}\r\n\ta < b 👩‍👧\n"))
    assert "\nHello {{ name }}\n    a < b 👩‍👧\n" in letter.text
    assert "Hello {{ name }}<br>    a &lt; b 👩‍👧</p>" in letter.html


@given(st.text(), st.text(), st.text())
def test_any_text_makes_a_letter(name, reference, message):
    letter = COMPOSER.compose(facts(order(reference=reference), buyer=replace(ACME, name=name), message=message))
    assert len(letter.subject.splitlines()) == 1
    assert letter.text.encode().count(b"\r") == letter.html.encode().count(b"\r") == 0


@given(st.lists(st.tuples(st.text("ab雲商é"), st.text("12円")), max_size=5))
def test_columns_line_up_whatever_the_width_of_the_letters(rows):
    table = text_table([{"a": a, "b": b} for a, b in rows], a="Spalte", b="金額")
    assert len({cell_len(line) for line in table.splitlines()}) == 1


def own(folder, **files):
    for name, text in files.items():
        language, part = name.split("_")
        path = folder / language / {"subject": "subject.txt", "text": "body.txt", "html": "body.html"}[part]
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Composer(folder)


def test_a_brands_own_files_replace_ours_one_by_one(tmp_path):
    composer = own(tmp_path, en_subject="{{ buyer }}: {{ orders | length }} rejected ({{ reason }})\n")
    letter = composer.compose(facts())
    assert letter.subject == "Acme Paris: 1 rejected (internal)"
    assert letter.text.startswith("Hello Acme Paris")
    assert "<title>Acme Paris: 1 rejected (internal)</title>" in letter.html


def test_a_brand_may_add_a_language(tmp_path):
    composer = own(tmp_path, nl_subject="Nee", nl_text="Dag {{ orders[0].date }}", nl_html="<p>{{ message }}</p>")
    letter = composer.compose(facts(language="nl-NL", message="<3"))
    assert (letter.subject, letter.text, letter.html) == ("Nee", f"Dag {the_day('nl')}\n", "<p>&lt;3</p>\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n{{ ''.__class__ }}", "body.txt:2: the mail template is broken: access to attribute '__class__'"),
        ("{% for %}", "body.txt:1: the mail template is broken"),
        ("\n\n{{ nobody }}", "body.txt:3: the mail template is broken: 'nobody' is undefined"),
        ("{{ orders.append(1) }}", "body.txt:1: the mail template is broken"),
        ("{{ 1 / 0 }}", "body.txt:1: the mail template is broken: division by zero"),
        ("{% include 'en/../../secret' %}", "secret is missing"),
        ("{% include '/etc/passwd' %}", "passwd is missing"),
        ("{{ orders | table(colour='Colour') }}", "body.txt:1: the mail template is broken: 'colour'"),
    ],
)
def test_a_broken_template_is_named_with_its_line(tmp_path, text, said):
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    folder = tmp_path / "own"
    folder.mkdir()
    with pytest.raises(UsageError) as caught:
        own(folder, en_text=text).compose(facts())
    assert said in str(caught.value)


def test_a_language_that_lacks_a_part_is_not_half_a_letter(tmp_path):
    with pytest.raises(UsageError, match=r"nl/body.txt is missing"):
        own(tmp_path, nl_subject="Nee").compose(facts(language="nl"))


def test_a_missing_folder_or_default_language_is_refused_at_once(tmp_path):
    with pytest.raises(UsageError, match="no folder"):
        Composer(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="no template for 'pt'"):
        Composer(default_language="pt")


def test_the_whole_text_of_a_german_letter():
    day, amount = the_day("de"), f"{format_decimal(12345.5, '#,##0.00', 'de')} EUR"
    letter = COMPOSER.compose(facts(order("A1"), buyer=replace(ACME, contact="Jörg Müller"), language="de"))
    assert letter.subject == "Ihre Bestellung A1 wurde von nord abgelehnt"
    assert letter.text == (
        "Guten Tag Jörg Müller,\n"
        "\n"
        "wir müssen Ihnen leider mitteilen, dass die folgende Bestellung von nord abgelehnt\n"
        "wurde.\n"
        "Diese Entscheidung ist endgültig: Die Bestellung wird nicht ausgeliefert\n"
        "und kann nicht wieder aufgenommen werden.\n"
        "\n"
        f"Bestellung  Ihre Referenz  Saison  {'Bestellt am':<{max(11, len(day))}}  {'Betrag':>{len(amount)}}\n"
        f"----------  -------------  ------  {'-' * max(11, len(day))}  {'-' * len(amount)}\n"
        f"A1          PO-7           26SS    {day:<11}  {amount}\n"
        "\n"
        f"Summe: {amount}\n"
        "\n"
        "Mit freundlichen Grüßen\n"
        "nord\n"
    )


@pytest.mark.parametrize(
    ("language", "one", "several"),
    [
        ("de", "Ihre Bestellung A0 wurde von nord abgelehnt", "Ihre 3 Bestellungen wurden von nord abgelehnt"),
        ("en", "Your order A0 was rejected by nord", "Your 3 orders were rejected by nord"),
        ("es", "Su pedido A0 ha sido rechazado por nord", "Sus 3 pedidos han sido rechazados por nord"),
        ("fr", "Votre commande A0 a été refusée par nord", "Vos 3 commandes ont été refusées par nord"),
        ("it", "Il Suo ordine A0 è stato rifiutato da nord", "I Suoi 3 ordini sono stati rifiutati da nord"),
        ("ja", "【nord】ご注文 A0 をお断りしました", "【nord】ご注文3件をお断りしました"),
    ],
)
def test_the_subject_of_one_order_and_of_several(language, one, several):
    assert COMPOSER.compose(numbered(1, language=language)).subject == one
    assert COMPOSER.compose(numbered(3, language=language)).subject == several


def numbered(number, **changes):
    return facts(*(order(f"A{each}", reference=f"PO-{each}") for each in range(number)), **changes)


# Numbers of every plural form that a language of letters has, and of those that a brand may add.
@pytest.mark.parametrize("number", [1, 2, 3, 5, 11, 21, 100, 101])
@pytest.mark.parametrize("language", built_in_languages())
@pytest.mark.parametrize("brand", ["nord", ""])
@pytest.mark.parametrize("message", ["Häh?\n\nEs tut uns leid.", ""])
def test_every_letter_is_whole_in_every_language(language, number, brand, message):
    letter = COMPOSER.compose(numbered(number, language=language, brand=brand, message=message))
    text = f"{letter.subject}\n{letter.text}"
    for left_over in ("{", "}", "None", "Undefined", "\n\n\n", "[]", " ."):
        assert left_over not in text
    # Each of the brand's names stands apart from the words around it.
    assert all(part[:1] in " .\n】" or not part for part in text.split("nord")[1:])
    assert f'<html lang="{language}">' in letter.html
    assert letter.html.count("<tr") - letter.html.count("</tr>") == letter.html.count("<p") - letter.html.count("</p>")
    for each in range(number):
        assert f"\nA{each} " in letter.text
        assert f">A{each}</td>" in letter.html
    if number > 1:
        assert str(number) in letter.subject
        assert str(number) in letter.text.partition("A0")[0]
    assert ("Es tut uns leid." in letter.text) == ("Es tut uns leid.</p>" in letter.html) == bool(message)
    if language != "en":
        for english in ("Order", "Kind regards", "rejected", "Hello", "Amount", "Season"):
            assert english not in text + letter.html


@pytest.mark.parametrize("language", [*built_in_languages(), "de-CH", "fr-CA", "es-MX", "en-GB"])
@pytest.mark.parametrize(("currency", "shape"), [("EUR", "#,##0.00"), ("JPY", "#,##0"), ("KWD", "#,##0.000")])
def test_days_and_amounts_are_written_as_the_buyer_writes_them(language, currency, shape):
    locale = language.replace("-", "_")
    letter = COMPOSER.compose(facts(order(currency=currency, total=-1_234_550), language=language))
    places = shape.partition(".")[2].count("0")
    amount = f"{format_decimal(-1_234_550 / 10**places, shape, locale)} {currency}"
    assert letter.text.count(amount) == 2
    assert unescape(letter.html).count(amount) == 2
    assert format_date(order().ordered_at, locale=locale) in letter.text
