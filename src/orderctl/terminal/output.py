"""Standard output as other programs read it: lines and documents, nothing drawn."""

import json
import sys
from collections.abc import Iterable
from typing import TextIO

from orderctl.domain.text import safe
from orderctl.language import all_english

_BLOCK = 2_000


class Output:
    """Writes results as they are; on a terminal, what could control it is shown instead of obeyed."""

    @property
    def stream(self) -> TextIO:
        """The stream itself."""
        return sys.stdout

    @property
    def is_terminal(self) -> bool:
        """Whether a person looks at it."""
        return sys.stdout.isatty()

    def lines(self, texts: Iterable[str], *, end: str = "\n") -> None:
        """Write texts one a line, or ended by NUL, in blocks."""
        block: list[str] = []
        for text in map(safe, texts) if self.is_terminal else texts:
            block.append(text)
            if len(block) >= _BLOCK:
                self._write(block, end)
        self._write(block, end)
        self.stream.flush()

    def document(self, document: object) -> None:
        """Write one JSON document; non-ASCII is escaped."""
        self.lines([json.dumps(all_english(document), indent=2)])

    def documents(self, documents: Iterable[object]) -> None:
        """Write one JSON document a line."""
        self.lines(json.dumps(all_english(document)) for document in documents)

    def message(self, message: bytes) -> None:
        """Write an internet message: byte by byte for a file, as lines for a person."""
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
