"""Standard output for other programs: lines and documents."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO

from orderctl.core.text import safe
from orderctl.language import all_english

_BLOCK = 2_000
_BY_LINE = "jsonl"


class Output:
    """Writes results unchanged. On a terminal, control characters are escaped."""

    @property
    def stream(self) -> TextIO:
        """The text stream."""
        return sys.stdout

    @property
    def is_terminal(self) -> bool:
        """Whether standard output is a terminal."""
        return sys.stdout.isatty()

    def lines(self, texts: Iterable[str], *, end: str = "\n") -> None:
        """Write texts in blocks, each followed by `end`."""
        block: list[str] = []
        for text in map(safe, texts) if self.is_terminal else texts:
            block.append(text)
            if len(block) >= _BLOCK:
                self._write(block, end)
        self._write(block, end)
        self.stream.flush()

    def document(self, document: object, form: str) -> None:
        """Write one JSON document, indented (`json`) or on one line (`jsonl`); non-ASCII is escaped."""
        self.lines([json.dumps(all_english(document), indent=None if form == _BY_LINE else 2)])

    def documents(self, documents: Iterable[object], form: str) -> None:
        """Write JSON documents as they come, as by `listing`."""
        with self.listing(form) as write:
            for document in documents:
                write(document)

    @contextmanager
    def listing(self, form: str) -> Iterator[Callable[[object], None]]:
        """A function that writes one more JSON document: as an item of an array (`json`), or a line (`jsonl`).

        The array is closed only at the end, so that after an error a part is not taken for the whole.
        """
        if form == _BY_LINE:
            yield lambda document: self.lines([json.dumps(all_english(document))])
            return
        before = "["

        def write(document: object) -> None:
            nonlocal before
            self.lines([before])
            self.lines([json.dumps(all_english(document))], end="")
            before = ","

        yield write
        self.lines(["[]"] if before == "[" else ["", "]"])

    def message(self, message: bytes) -> None:
        """Write an internet message: its bytes to a file or pipe, its lines to a terminal."""
        if self.is_terminal:
            self.lines(message.decode("utf-8", "replace").split("\r\n"))
            return
        self.stream.flush()
        self.stream.buffer.write(message)
        self.stream.flush()

    def _write(self, block: list[str], end: str) -> None:
        if block:
            self.stream.write(end.join(block) + end)
            block.clear()
