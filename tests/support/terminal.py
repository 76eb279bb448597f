"""The program in a real terminal: keys go in through a pty, and what the screen shows comes out."""

import os
import sys
import termios
import time

import pexpect
import pyte
from pexpect.fdpexpect import fdspawn

from stress.forkserver import warm_server


class _Forked(fdspawn):
    """The program, forked from the warm process, in a pty; as far as it is used the same as `pexpect.spawn`."""

    def __init__(self, args: tuple[str, ...], environ: dict[str, str], *, rows: int, columns: int) -> None:
        ours, theirs = os.openpty()
        super().__init__(ours, timeout=30)
        self.setwinsize(rows, columns)
        self._run = warm_server().begin(*args, environ=environ, terminal=os.ttyname(theirs))
        os.close(theirs)

    @property
    def exitstatus(self) -> int | None:
        return self._run.returncode

    @exitstatus.setter
    def exitstatus(self, status: int | None) -> None:
        """What pexpect sets at first: that there is none yet."""

    def send(self, keys: str) -> int:
        """As nobody types faster than a program that has just asked begins to listen; `pexpect.spawn` does the same."""
        time.sleep(0.05)
        return super().send(keys)

    def setwinsize(self, rows: int, columns: int) -> None:
        termios.tcsetwinsize(self.child_fd, (rows, columns))

    def close(self, *, force: bool = False) -> None:
        """Hang up, and wait for its end."""
        if self.exitstatus is None:
            super().close()
            if force:
                self._run.kill()
            self._run.wait()


class Terminal:
    """One run of the program in a terminal of so many columns."""

    def __init__(self, cli, *args: str, columns: int = 100, rows: int = 50, shell: str | None = None) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        environ = {**cli.environ, "TERM": "xterm-256color", "PYTHON": sys.executable}
        if shell is None:
            self._process = _Forked(args, environ, rows=rows, columns=columns)
        else:
            self._process = pexpect.spawn("/bin/sh", ["-c", shell], env=environ, dimensions=(rows, columns), timeout=30)

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
