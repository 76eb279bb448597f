"""Long output on a terminal, read at one's own pace."""

import os
import shlex
import signal
import subprocess
from typing import IO

from rich.console import Console

_DEFAULT = "less -FIRX"


def show_paged(text: str, console: Console) -> None:
    """Show what was drawn for the terminal: in the pager if it does not fit."""
    if text.count("\n") < console.height or not page(text, console.file):
        console.file.write(text)
        console.file.flush()


def page(text: str, to: IO[str]) -> bool:
    """Show the text in the pager that `PAGER` names, or less; False if there is none, or none is wanted.

    `to` is the terminal: what else goes to standard output may be redirected.
    """
    command = shlex.split(os.environ.get("PAGER", _DEFAULT))
    if not command or command[0] == "cat":
        return False
    # Ctrl-C belongs to the pager while it runs.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        subprocess.run(command, input=text.encode("utf-8", "surrogateescape"), stdout=to, check=False)  # noqa: S603 - the user's own
    except OSError:
        return False
    finally:
        signal.signal(signal.SIGINT, before)
    return True
