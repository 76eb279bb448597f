"""The encoding of a text file: the one that it was written in, or a refusal; never another text."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderctl.errors import UsageError
from orderctl.files.encodings import guess_encoding

# Names, towns and words of trade, as they stand in files of orders.
WORDS = {
    "de": "Müller Größe Jäger Straße Währung Übergröße Köln Bestellübersicht GRÖSSE Schäfer weiß Öl Zürich Stück",
    "fr": "Crème François Hélène Forêt Châlons Noël à été Société Générale Jérôme Benoît Garçon Œuvre où ÉTÉ dès",
    "es": "Muñoz España Córdoba Peña Hernández Martínez Güell niño Cáceres Málaga AÑO ¿Qué? Núñez Íñigo",
    "pt": "São João Conceição Informações Lourenço Simões Araújo Antônio três Évora CORAÇÃO Magalhães",
    "it": "Nicolò Città Perù caffè Niccolò libertà così più È Però Forlì",
    "nl": "Zoë coördinatie ruïne één België Financiën Noë",
    "da": "Sørensen Jørgen København Åse Grønland Ærø Smørrebrød Håndværk ØSTERGAARD Rødgrød Malmö Søren",
    "sv": "Åström Malmö Västerås Göteborg Sjöberg Håkan Björn ÅKERI Linköping Örebro",
    "fi": "Hämäläinen Mäkinen Jyväskylä Töölö Åbo Yrjö Šakki Järvi",
    "is": "Reykjavík Þórður Guðmundsdóttir Sigurðsson Ísafjörður Ægir Jón",
    "et": "Tõnu Põhja Õun Järv Jõgi Võru Šokolaad Pärnu Kõiv",
    "pl": "Łódź Wiśniewski Kraków Święty Żółć Gdańsk Wałęsa ZAMÓWIENIE Jabłoński Źródło część Muńko",
    "cs": "Dvořák Černý Novotná Zemědělská Kříž Šťastný Plzeň Žďár Růžička Brňák Jiří řeka Mařík",
    "sk": "Kováč Ľubica Šoltés Žilina Mŕtvy Stĺp Štúr Dôvera Košice Nováková",
    "hu": "Kőszegi Győr Nagy Béla Szűcs Őry Székesfehérvár Tűzoltó László Erdős Kovács",
    "hr": "Šibenik Čačak Đurđica Živković Kranjčević Lukšić Mišković Novak",
    "ro": "Braşov Constanţa Bucureşti Timişoara Ştefănescu România Iaşi câine",
    "tr": "Şişli İstanbul Güneş Işık Çağlar Özgür Doğan sipariş ÜRÜN Yıldız",
    "lt": "Šiauliai Žemaitė ąžuolas Jonušienė Vėžys Žalgirių Čiurlionis ūkis",
    "lv": "Rīga Kārlis Ģirts Jānis Ķekava Liepāja Čaks Vējonis šķūnis",
    "ru": "Иванов Москва доставка Санкт-Петербург заказ СУММА Щербаков Объект Кузнецов",
    "el": "Αθήνα Παπαδόπουλος Θεσσαλονίκη παραγγελία Γεώργιος ΣΥΝΟΛΟ Δημήτρης",
    "ja": "株式会社テスト 東京都 田中 ステータス 注文番号 有限会社さくら 大阪市北区 ｶﾌﾞｼｷｶﾞｲｼｬ シャツ(青) 佐藤商店 Tシャツ",
    "zh": "上海公司 北京市 有限公司 订单号 状态 金额 张伟 深圳贸易有限公司 衬衫",
    "zh-TW": "台北市 有限公司 訂單編號 狀態 金額 陳先生 貿易",
    "ko": "서울 김철수 주문번호 상태 금액 주식회사 부산광역시",
}  # fmt: skip
WRITTEN = {
    **{each: "de fr es pt it nl da sv fi is".split() for each in ("cp1252", "iso8859_15", "mac_roman", "cp850")},
    **{each: "pl cs sk hu hr ro de".split() for each in ("cp1250", "cp852", "iso8859_2")},
    "cp437": ["de", "fr", "es", "it", "sv"],
    "cp1254": ["tr", "de", "fr"],
    "cp1257": ["et", "lv", "lt", "pl"],
    "cp1251": ["ru"],
    "cp866": ["ru"],
    "koi8_r": ["ru"],
    "cp1253": ["el"],
    "cp932": ["ja"],
    "euc_jp": ["ja"],
    "gb18030": ["zh"],
    "big5": ["zh-TW"],
    "cp949": ["ko"],
}  # fmt: skip


def guessed(words: list[str], encoding: str) -> str:
    """What the file is read as; empty if it is refused."""
    content = ";".join(words).encode(encoding, "strict")
    try:
        return content.decode(guess_encoding(io.BytesIO(content), "o.csv").name)
    except UsageError as error:
        return "" if "--encoding" in str(error.hint) else "no way out"


def written_in(encoding: str, languages: list[str]) -> list[str]:
    found = []
    for word in (word for language in languages for word in WORDS[language].split()):
        try:
            word.encode(encoding)
        except UnicodeEncodeError:
            continue
        if not word.isascii():
            found.append(word)
    return found


@pytest.mark.parametrize("encoding", WRITTEN)
@settings(max_examples=20, deadline=None)
@given(choice=st.data())
def test_a_text_is_read_as_it_was_written_or_refused(encoding: str, choice: st.DataObject) -> None:
    languages = choice.draw(st.lists(st.sampled_from(WRITTEN[encoding]), min_size=1, max_size=3, unique=True))
    words = choice.draw(st.lists(st.sampled_from(written_in(encoding, languages)), min_size=1, max_size=12))
    assert guessed(words, encoding) in {";".join(words), ""}


# What these have beside ASCII could be words of another language in another encoding, too.
DOUBTFUL = {("cp850", "nl"), ("cp850", "it"), ("cp850", "fi"), ("cp1257", "et"), ("cp949", "ko")}


@pytest.mark.parametrize(
    ("encoding", "language"), [(encoding, each) for encoding in WRITTEN for each in WRITTEN[encoding]]
)
def test_the_words_of_one_language_are_enough(encoding: str, language: str) -> None:
    words = written_in(encoding, [language])
    assert guessed(words, encoding) == ("" if (encoding, language) in DOUBTFUL else ";".join(words))
