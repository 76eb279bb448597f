"""Completion in zsh and fish as somebody types it, where they are: `PYTHONPATH=tests python -m stress.shells`.

The suite presses the same keys in bash, which is everywhere; these are tried by hand after a change of their scripts.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pexpect
import pyte

from orderctl.database.address import parse_address
from orderctl.database.schema import init_store
from support.completion import fill

_WIDTH, _HEIGHT = 100, 30
# What is typed, and what must then stand on the screen.
KEYS = {
    "orderctl rej\t": "orderctl reject",
    "orderctl search sta\t": "orderctl search status:",
    "orderctl search status:n\t": "orderctl search status:needs-oc",
    "orderctl search buyer:acm\t": "orderctl search buyer:acme\\ Paris",
    "orderctl search buyer:Ev\t": "buyer:Evil\\ ",
    "orderctl show 100\t\t": "1002",
    "orderctl reject --saved d\t": "orderctl reject --saved dropped",
    "orderctl search tag:late,\t\t": "tag:late,vip",
    "orderctl plan \t\t": "approve",
    "orderctl import /et\t": "orderctl import /etc/",
    "orderctl search buyer:esc\t": "orderctl search buyer:esc",
}
SHELLS = {"zsh": ["-i"], "fish": ["--private"]}


def main() -> None:
    """Press the keys in each shell that is here; ends with 1 if a screen is wrong."""
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="orderctl-shells-") as folder:
        environ = _set_up(Path(folder))
        for shell, arguments in SHELLS.items():
            if shutil.which(shell) is None:
                sys.stdout.write(f"{shell}: not here\n")
                continue
            for keys, expected in KEYS.items():
                shown = _press([shell, *arguments], keys, environ)
                good = expected in shown
                wrong += not good
                sys.stdout.write(f"{shell}: {keys!r}: {'as it should be' if good else shown}\n")
    sys.exit(min(wrong, 1))


def _set_up(home: Path) -> dict[str, str]:
    """A home with a store and both scripts where their shells look for them."""
    store = str(home / "store.db")
    init_store(parse_address(store))
    fill(store)
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    environ = {"PATH": path, "HOME": str(home), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    environ |= {"ORDERCTL_STORE": store, "ORDERCTL_ACTOR": "mia"}
    for shell, script in (("zsh", ".zfunc/_orderctl"), ("fish", ".config/fish/completions/orderctl.fish")):
        (home / script).parent.mkdir(parents=True)
        run = [sys.executable, "-m", "orderctl", "completion", shell]
        (home / script).write_text(subprocess.check_output(run, env=environ, text=True))
    (home / ".zshrc").write_text("fpath+=~/.zfunc\nautoload -Uz compinit\ncompinit -u\nunsetopt beep\n")
    return environ


def _press(command: list[str], keys: str, environ: dict[str, str]) -> str:
    """What the screen shows once the shell has answered."""
    screen = pyte.Screen(_WIDTH, _HEIGHT)
    stream = pyte.ByteStream(screen)
    shell = pexpect.spawn(command[0], command[1:], env=environ, dimensions=(_HEIGHT, _WIDTH), cwd=environ["HOME"])
    _draw(shell, stream, 2)
    shell.send(keys.rstrip("\t"))
    for _ in range(keys.count("\t")):
        _draw(shell, stream, 0.5)
        shell.send("\t")
    _draw(shell, stream, 2)
    shell.close(force=True)
    return "\n".join(line.rstrip() for line in screen.display if line.strip())


def _draw(shell: pexpect.spawn, stream: pyte.ByteStream, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            read = shell.read_nonblocking(65_536, timeout=0.1)
        except pexpect.TIMEOUT:
            continue
        except pexpect.EOF:
            return
        if b"\x1b[6n" in read:  # fish asks where the cursor is, and waits
            shell.send("\x1b[1;1R")
        stream.feed(read)


if __name__ == "__main__":
    main()
