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

        # What cannot be written is said by the whole program, which is asked the same below.
        if _wrote(1, f"orderctl {__version__}\n"):
            return
    if "_ORDERCTL_COMPLETE" in os.environ:
        from orderctl.cli.completion import answer

        answer(os.environ)
        return
    _collect_seldom()
    import signal

    # Until the one place that answers signals is there, they wait: `cli/ending.py` lets them in.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        from orderctl.cli.app import run
    except (OSError, MemoryError, ImportError) as error:
        # Too few files, or too little memory: nothing of the program is there to say so in other words.
        _wrote(2, f"orderctl: the program cannot be loaded: {error or type(error).__name__}\n")
        sys.exit(1)
    run()


def _wrote(descriptor: int, text: str) -> bool:
    try:
        os.write(descriptor, text.encode())
    except OSError:
        return False
    return True


def _collect_seldom() -> None:
    """Looking for garbage while modules load, and again when the process ends, takes a fifth of a short run."""
    gc.set_threshold(_COLLECT_AFTER)
    atexit.register(gc.freeze)


if __name__ == "__main__":
    main()
