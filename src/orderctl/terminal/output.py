"""Standard output for other programs: lines and documents."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO

from orderctl.core.text import safe
from orderctl.files.jsonl import json_listing
from orderctl.language import all_english

_BLOCK = 2_000


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
        self.lines([json.dumps(all_english(document), indent=None if form == "jsonl" else 2)])

    def documents(self, documents: Iterable[object], form: str) -> None:
        """Write JSON documents as they come, an array (`json`) or one on a line (`jsonl`)."""
        with self.listing(form) as write:
            for document in documents:
                write(document)

    @contextmanager
    def listing(self, form: str) -> Iterator[Callable[[object], None]]:
        """The writer of `json_listing`; each document is written when it is known."""

        def write_now(text: str) -> None:
            self.stream.write(text)
            self.stream.flush()

        with json_listing(write_now, form) as write:
            yield lambda document: write(all_english(document))

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
