"""The program in a real terminal: keys go in through a pty, and what the screen shows comes out."""

import sys
import time

import pexpect
import pyte


class Terminal:
    """One run of the program in a terminal of so many columns."""

    def __init__(self, cli, *args: str, columns: int = 100, rows: int = 50, shell: str | None = None) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        command, arguments = (
            (sys.executable, ["-m", "orderctl", *args]) if shell is None else ("/bin/sh", ["-c", shell])
        )
        environ = {**cli.environ, "TERM": "xterm-256color", "PYTHON": sys.executable}
        self._process = pexpect.spawn(command, arguments, env=environ, dimensions=(rows, columns), timeout=30)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._process.close(force=True)

    @property
    def screen(self) -> pyte.Screen:
        return self._screen

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines).rstrip()

    def wait_for(self, words: str, seconds: float = 30) -> str:
        """Read until the screen shows the words."""
        end = time.monotonic() + seconds
        while words not in self.text:
            assert time.monotonic() < end, f"{words!r} never came:\n{self.text}"
            if not self._read():
                break
        assert words in self.text, f"{words!r} never came:\n{self.text}"
        return self.text

    def type(self, keys: str) -> None:
        self._process.send(keys)

    def resize(self, *, columns: int, rows: int) -> None:
        self._screen.resize(rows, columns)
        self._process.setwinsize(rows, columns)

    def end(self) -> int:
        """Read to the end; gives the exit code."""
        while self._read():
            pass
        self._process.close()
        return self._process.exitstatus

    def _read(self) -> bool:
        try:
            self._stream.feed(self._process.read_nonblocking(65_536, timeout=1))
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        return True
