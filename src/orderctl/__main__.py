"""The program's entry. `--version` is answered before anything is imported."""

import os
import sys


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
    from orderctl.cli.app import run

    run()


if __name__ == "__main__":
    main()
