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

        # If this cannot be written, the whole program is asked below, and says so.
        if _wrote(1, f"orderctl {__version__}\n"):
            return
    if "_ORDERCTL_COMPLETE" in os.environ:
        from orderctl.cli.completion import answer

        answer(os.environ)
        return
    _collect_seldom()
    import signal

    # Signals wait until `cli/ending.py` is loaded, which handles and unblocks them.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        from orderctl.cli.app import app
    except (OSError, MemoryError, ImportError) as error:
        # Too few file descriptors or too little memory: nothing else of the program can say so.
        _wrote(2, f"orderctl: the program cannot be loaded: {error or type(error).__name__}\n")
        sys.exit(1)
    app()


def _wrote(descriptor: int, text: str) -> bool:
    try:
        os.write(descriptor, text.encode())
    except OSError:
        return False
    return True


def _collect_seldom() -> None:
    """Collect garbage rarely: collections while modules load and at the end take a fifth of a short run."""
    gc.set_threshold(_COLLECT_AFTER)
    atexit.register(gc.freeze)


if __name__ == "__main__":
    main()
