"""The program's entry. `--version` is answered before anything is imported."""

import sys


def main() -> None:
    """Run the command line."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from orderctl import __version__

        sys.stdout.write(f"orderctl {__version__}\n")
        return
    from orderctl.cli.app import run

    run()


if __name__ == "__main__":
    main()
