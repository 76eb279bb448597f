"""Text by terminal cells: nothing is lost, no line is too long, and English is as it was."""

import textwrap
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.core.text import cell_width, padded, pieces, wrapped
from support.cli import Cli

WIDE = st.text("注文を拒否しますア、。「」(): abcd-", max_size=80)


@given(st.text(st.characters(max_codepoint=126, min_codepoint=32), max_size=200), st.integers(10, 80))
def test_english_is_wrapped_as_ever(text, cells):
    assert wrapped(text, cells) == textwrap.wrap(text, cells)


@given(WIDE, st.integers(20, 60))
def test_nothing_is_lost_and_no_line_is_too_long(text, cells):
    lines = wrapped(text, cells)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert [line for line in lines if cell_width(line) > cells and len(list(pieces(line))) > 1] == []


@given(WIDE)
def test_no_line_begins_with_what_closes_or_ends_with_what_opens(text):
    found = list(pieces(text))
    assert "".join(found) == text
    assert [piece for piece in found[1:] if piece[0] in "、。」)"] == []
    assert [piece for piece in found[:-1] if piece[-1] in "「("] == []


@pytest.mark.parametrize(
    ("text", "cells"), [("", 0), ("abc", 3), ("注文", 4), ("注文 3", 6), ("é", 1), ("e\u0301", 1), ("→", 1)]
)
def test_wide_characters_take_two_cells(text, cells):
    assert cell_width(text) == cells
    assert cell_width(padded(text, 10)) == 10


def test_long_words_of_wide_characters_are_broken_between_them():
    assert wrapped("注文を拒否します。取り消せません。", 14) == ["注文を拒否しま", "す。取り消せま", "せん。"]


class TestHelpInJapanese:
    @pytest.mark.parametrize("columns", ["60", "80", "120"])
    def test_no_line_is_wider_than_the_terminal(self, tmp_path, columns):
        cli = Cli("", tmp_path / "home", LANG="ja_JP.UTF-8", COLUMNS=columns, NO_COLOR="1")
        page = cli("mail", "send", "--help").out.partition("使い方")[2]
        assert [line for line in page.splitlines() if cell_width(line) > int(columns)] == []

    def test_the_words_about_options_begin_in_one_column(self, tmp_path):
        page = Cli("", tmp_path / "home", LANG="ja_JP.UTF-8")("help", "statuses").out
        rows = [line for line in page.splitlines() if line.startswith("  ") and line.split()[0].startswith("oc-")]
        ends = {cell_width(line[: line.rindex("  ")]) for line in rows}
        assert len(rows) == 4
        assert len(ends) == 1

    def test_the_manual_page_may_be_broken_between_wide_characters(self, tmp_path):
        page = Cli("", tmp_path / "home", LANG="ja_JP.UTF-8")("man").out
        about = page.partition("orderctl \\- ")[2].partition("\n")[0]
        assert [char for char in about if char not in "\\:" and unicodedata.east_asian_width(char) not in "WF"] == []
        assert about.startswith("多\\:数\\:の\\:卸")

    def test_completion_says_what_each_is(self, tmp_path):
        asked = {"_ORDERCTL_COMPLETE": "complete_zsh", "_ORDERCTL_LINE": "orderctl reject --dry"}
        ran = Cli("", tmp_path / "home", LANG="ja_JP.UTF-8", **asked)()
        assert ran.out == "--dry-run\t計画を表示して終了します。\n"
