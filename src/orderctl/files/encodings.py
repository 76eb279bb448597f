"""Finds out which encoding a text file is in; where its bytes are words in several of them, it is refused."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

from charset_normalizer import from_bytes

from orderctl.core.text import safe
from orderctl.errors import UsageError
from orderctl.files.decoding import Encoding
from orderctl.language import _, ngettext

_CHUNK = 1_000_000
_SAMPLE = 60_000
_LONGEST_CELL = 200
_SHOWN = 3
# A reading is right in all its words but a few brand names; a wrong one shows in many.
_FEW, _MANY, _MOST = 0.05, 0.2, 0.5
_COMMON = 0.75
# So many words of one language are not those of so many others by chance.
_ENOUGH, _MANY_LANGUAGES = 6, 3
# How many words have to differ before languages are counted: the more languages it would take, the fewer.
_ENOUGH_BY_LANGUAGES = {2: 6, 3: 4}

# How each language writes a word, but for capitals: its letters, and those of which a neighbour is certain.
_WORDS = {
    "de": "[a-zäöüß]", "fr": "[a-zàâæçéèêëîïôœùûüÿ]", "es": "[a-záéíñóúüç]", "pt": "[a-zàáâãçéêíóôúü]|õe",
    "it": "[a-zàèéìíîòóùú]", "nl": "[a-záèéëïóöü]", "da": "[a-zæøåéö]", "sv": "[a-zåäöéü]", "fi": "[a-zäöåšž]",
    "is": "[a-záðéíóúýþæö]", "ca": "[a-zàçèéíïòóúü·]", "et": "[abdefghijklmnoprstuväöüõšž]", "sq": "[a-zçë]",
    "pl": "[a-prstuwyząćęłóśźż]|(?<=[aeiouyóąę])ń(?![aeiouyóąę])", "cs": "[a-pr-vyzáčďéíňóšťúýž]|(?<=[bdfmnptv])ě|(?<=[a-z])ů|(?<!r)ř(?!r)",
    "sk": "[a-pr-vyzáäčďéíľňóôšťúýž]|(?<=[b-df-hj-np-tvz])[ĺŕ](?=[b-df-hj-np-tvz])", "hu": "[a-pr-vyzáéíóöőúüű]",
    "hr": "[a-pr-vzćđšžč]", "ro": "[a-zăâîşţșțéö]", "lv": "[a-pr-vzāēģīķļšūž]|č(?=[aāeēiīouū]|$)|ņ(?=[a-zāēīū])",
    "lt": "[a-pr-vyząęėįšūž]|č(?=[aąeęėiįouųūy])|ų(?=st|d|$)", "tr": "[a-zçğıi̇öşüâîû]", "ru": "[а-яё]",
    "uk": "[абвгґдеєжзиіїйклмнопрстуфхцчшщьюя]", "sr": "[а-ик-пр-шјђљњћџ]", "el": "[α-ωάέήίόύώϊϋΐ]", "he": "[א-ת]",
    "ar": "[ء-ي]", "th": "[เ-ไ]?[ก-ฮ](?![ก-ฮ]{3})[\u0e31-\u0e3a]?[\u0e47-\u0e4e]?[ะาำๅๆ]?",
    "ja": "[ｦ-ﾝ][ｦ-ﾟ]{3,}|[A-Zぁ-ヶー々一-龥、。，．・（）「」：！？Ａ-Ｚａ-ｚ０-９　]+", "zh": "[A-Z一-龥、。，．（）：；！？　]+",
    "zh-TW": "[A-Z一-龥、。，．（）：；！？　]+", "ko": "[A-Z가-힣]+",
}  # fmt: skip
# The national standards, and the last lead byte of the common characters, which stand first in each.
_IDEOGRAPHS = {"ja": ("euc_jp", 0xCF), "zh": ("gb2312", 0xD7), "zh-TW": ("big5", 0xC6), "ko": ("euc_kr", 0xC8)}
_WESTERN = "de fr es pt it nl da sv fi is ca sq"
_EASTERN = "pl cs sk hu hr ro de"
_CYRILLIC = "ru uk sr"
# The encodings that files of orders are in, the likeliest first, and the languages that are written in each.
_ENCODINGS = {
    "cp1252": f"{_WESTERN} et", "cp1250": _EASTERN, "iso8859_15": f"{_WESTERN} et", "iso8859_2": _EASTERN,
    "cp1254": "tr de fr", "cp1257": "et lv lt pl", "cp1251": _CYRILLIC, "cp1253": "el", "cp1255": "he", "cp1256": "ar",
    "mac_roman": _WESTERN, "cp850": _WESTERN, "cp437": _WESTERN, "cp852": _EASTERN, "cp866": "ru", "koi8_r": "ru",
    "iso8859_5": _CYRILLIC, "iso8859_7": "el", "iso8859_9": "tr de fr", "cp874": "th", "cp932": "ja", "euc_jp": "ja",
    "gb18030": "zh", "big5": "zh-TW", "cp949": "ko",
}  # fmt: skip
# Those of DOS and of old Macs, each as rare as the other: neither is believed for want of a language in the other.
_OLD = {"mac_roman", "cp850", "cp437", "cp852"}
_HIGH = re.compile(rb"[\x80-\xff]")
_CELL = re.compile(rb'[^,;\t"\r\n]*[\x80-\xff][^,;\t"\r\n]*')
_WORD = re.compile(r"[A-Za-z\x80-\U0010ffff]*[\x80-\U0010ffff][A-Za-z\x80-\U0010ffff]*")
_SPLIT = re.compile("[\u2018\u2019\u2013\u2014\u00a0\u202f\ufeff]+")
_MARKS = re.compile("^[«“„‚¿¡‹]+|[»”“…®™°ºª²³›]+$")
_SYMBOLS = re.compile("[€£¥§©®™°±×·•…²³½¼µ№º]+|°[CF]|[mc]*m[²³]|µ[a-z]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ue000-\uf8ff\ufffd]")
_WRONG_CASE = re.compile("[al]U|[AU]U[al]|[AU]l[AU]")


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the words of a file are in one encoding, or in several, of which the first is the likeliest."""

    encodings: tuple[str, ...]
    words: tuple[str, ...]

    @property
    def encoding(self) -> str:
        """The likeliest encoding."""
        return self.encodings[0]

    def languages(self, word: str) -> frozenset[str]:
        """The languages of the encodings in which the word may be one."""
        return frozenset[str]().union(*(_languages(word, encoding) for encoding in self.encodings))


def guess_encoding(stream: BinaryIO, name: str) -> Encoding:
    """The encoding of a text that is not UTF-8, from a sample of its whole in bounded memory.

    Raises UsageError naming the candidates where more than one gives words and nothing decides between them.
    """
    cells = _sample(stream)
    readings = list(_readings(cells))
    found = [reading for reading in readings if all(_decides(reading, other) for other in readings)]
    if len(found) != 1:
        raise _doubtful(name, readings, cells)
    [reading] = found
    shown = list(dict.fromkeys(safe(cell.decode(reading.encoding).strip()) for cell in cells))
    more = ", …" if len(shown) > _SHOWN else ""
    return Encoding(
        reading.encoding,
        ngettext(
            "{name} is read as {encoding}, which shows in {number:,} text: {shown}; --encoding says otherwise",
            "{name} is read as {encoding}, which shows in {number:,} texts: {shown}; --encoding says otherwise",
            len(shown),
            name=name,
            encoding=reading.encoding,
            shown=", ".join(shown[:_SHOWN]) + more,
        ),
    )


def _sample(stream: BinaryIO) -> list[bytes]:
    """Different cells that are not ASCII: the first ones, and later on each with a byte that was in none before."""
    cells: dict[bytes, None] = {}
    size, seen = 0, set[int]()
    for line in iter(lambda: stream.readline(_CHUNK), b""):
        if line.isascii():
            continue
        for cell in _CELL.findall(line):
            text = cell[:_LONGEST_CELL] if len(cell) > _LONGEST_CELL and not _HIGH.search(cell, _LONGEST_CELL) else cell
            high = set(_HIGH.findall(text))
            new = {byte[0] for byte in high} - seen
            if text not in cells and (new or size < _SAMPLE):
                cells[text] = None
                size += len(text)
                seen |= new
    return list(cells)


def _readings(cells: Sequence[bytes]) -> Iterator[_Reading]:
    """What the cells may say, each text once, under the likeliest of its encodings."""
    text = b"\n".join(cells)
    proposed = [match.encoding for match in from_bytes(text[:_SAMPLE]) if _keeps_ascii(match.encoding)]
    known: dict[str, list[str]] = {}
    for encoding in dict.fromkeys([*_ENCODINGS, *proposed]):
        try:
            decoded = text.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not _CONTROL.search(decoded.replace("\n", "")):
            known.setdefault(decoded, []).append(encoding)
    for decoded, encodings in known.items():
        yield _Reading(tuple(encodings), tuple(_words(decoded)))


def _keeps_ascii(encoding: str) -> bool:
    """Whether separators and line breaks are what the sample was cut at."""
    return not encoding.startswith("utf") and "a;,\n".encode(encoding) == b"a;,\n"


def _words(text: str) -> Iterable[str]:
    return dict.fromkeys(_WORD.findall(text))


def _decides(reading: _Reading, other: _Reading) -> bool:
    """Whether the words tell that it is this reading and not the other one."""
    if reading is other:
        return True
    ours, theirs = set(reading.words) - set(other.words), set(other.words) - set(reading.words)
    if _share(reading, ours) > _FEW:
        return False
    if _share(other, theirs) >= _MANY:
        return True
    both = set(reading.words) & set(other.words)
    if _share(other, both) >= _MOST and _share(reading, both) <= _FEW:
        return True
    if _is_one_language(reading) and _languages_needed(other, set(other.words)) >= _MANY_LANGUAGES:
        return True
    needed = _languages_needed(other, theirs)
    enough = min((words for number, words in _ENOUGH_BY_LANGUAGES.items() if needed >= number), default=None)
    if enough is not None and {reading.encoding, other.encoding} <= _OLD:
        enough *= 2
    return enough is not None and len(theirs) >= enough and _languages_needed(reading, ours) == 1


def _is_one_language(reading: _Reading) -> bool:
    """Whether all words are of one language, and enough to say so."""
    words = set(reading.words)
    return len(words) >= _ENOUGH and all(map(reading.languages, words)) and _languages_needed(reading, words) == 1


def _share(reading: _Reading, words: set[str]) -> float:
    """How many of the words are none in any language, as a share."""
    return sum(not reading.languages(word) for word in words) / max(1, len(words))


def _languages_needed(reading: _Reading, words: set[str]) -> int:
    """How many languages it takes to have all the words."""
    left = [found for word in words if (found := reading.languages(word))]
    number = 0
    while left:
        counts: dict[str, int] = {}
        for languages in left:
            for language in languages:
                counts[language] = counts.get(language, 0) + 1
        commonest = max(counts, key=lambda language: counts[language])
        left = [languages for languages in left if commonest not in languages]
        number += 1
    return number


@lru_cache(maxsize=100_000)
def _languages(word: str, encoding: str) -> frozenset[str]:
    languages = _ENCODINGS.get(encoding, "").split()
    parts = [part for part in _SPLIT.split(_MARKS.sub("", word)) if not part.isascii()]
    parts = [part for part in parts if not _SYMBOLS.fullmatch(part)]
    if any(map(_is_mixed_up, parts)):
        return frozenset()
    return frozenset(language for language in languages if all(_is_of(language, part) for part in parts))


def _is_of(language: str, word: str) -> bool:
    if language not in _IDEOGRAPHS:
        return _pattern(language).fullmatch(word.lower()) is not None
    codec, last = _IDEOGRAPHS[language]
    coded = [char.encode(codec, "replace") for char in word]
    common = sum(char != b"?" and char[0] <= last and len(char) <= len("ab") for char in coded)
    return common > _COMMON * len(word) and _pattern(language).fullmatch(word) is not None


@lru_cache
def _pattern(language: str) -> re.Pattern[str]:
    return re.compile(_WORDS[language] if language in _IDEOGRAPHS else f"(?:{_WORDS[language]})+")


def _doubtful(name: str, readings: Sequence[_Reading], cells: Sequence[bytes]) -> UsageError:
    """The refusal: the readings with the fewest words that are none, each with a sample."""
    ranked = sorted(readings, key=lambda reading: _share(reading, set(reading.words)))[:_SHOWN]
    told = [f"{reading.encoding} ({safe(_different(reading, ranked, cells))})" for reading in ranked]
    if not told:
        return UsageError(
            _("{name} is text in no known encoding", name=name), hint=_("save it as UTF-8, or say --encoding")
        )
    if mixed := [cell for cell in cells if not _is_utf_8(cell)][: None if any(map(_is_utf_8, cells)) else 0]:
        return UsageError(
            _("{name} is UTF-8, but not in {text!r}", name=name, text=safe(mixed[0].decode("utf-8", "replace"))),
            hint=_("save it as UTF-8, or say --encoding"),
        )
    return UsageError(
        _(
            "{name} is not UTF-8, and nothing says which of these it is: {candidates}",
            name=name,
            candidates=", ".join(told),
        ),
        hint=_("say which with --encoding, such as --encoding {encoding}", encoding=ranked[0].encoding),
    )


def _is_utf_8(cell: bytes) -> bool:
    try:
        cell.decode()
    except UnicodeDecodeError:
        return False
    return True


def _different(reading: _Reading, others: Sequence[_Reading], cells: Sequence[bytes]) -> str:
    """A cell that the readings show in different ways."""
    texts = [[cell.decode(each.encoding).strip() for each in others] for cell in cells]
    place = next((number for number, each in enumerate(texts) if len({*each}) > 1), 0)
    return texts[place][others.index(reading)]


def _is_mixed_up(word: str) -> bool:
    """Whether capitals stand where nobody writes them."""
    return _WRONG_CASE.search("".join(map(_case, word))) is not None


def _case(char: str) -> str:
    if char.isupper():
        return "A" if char.isascii() else "U"
    if char.islower() and char != "ß":
        return "a" if char.isascii() else "l"
    return "."
