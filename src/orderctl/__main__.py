"""The program's entry. `--version` is answered before anything is imported."""

import atexit
import gc
import os
import sys

_COLLECT_AFTER = 100_000


def main() -> None:
    """Run the command line."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from orderctl import __version__

        sys.stdout.write(f"orderctl {__version__}\n")
        return
    if "_ORDERCTL_COMPLETE" in os.environ:
        from orderctl.cli.shell_completion import answer

        answer(os.environ)
        return
    _collect_seldom()
    from orderctl.cli.app import run

    run()


def _collect_seldom() -> None:
    """Looking for garbage while modules load, and again when the process ends, takes a fifth of a short run."""
    gc.set_threshold(_COLLECT_AFTER)
    atexit.register(gc.freeze)


if __name__ == "__main__":
    main()
