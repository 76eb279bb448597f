"""What the operator tells the buyers: text from an option, a file, or the editor."""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from orderctl.domain.errors import UsageError
from orderctl.domain.os_errors import os_reason
from orderctl.language import later, say

MAX_MESSAGE = 20_000
_COMMENT = later("# The buyers read what stands above. Save an empty file to send no message.")


def read_message(text: str | None, file: str | None, *, edit: bool) -> str:
    """The operator's message as plain text; empty if it is still to be edited.

    Raises UsageError for two sources, or a file that is no text.
    """
    if sum((text is not None, file is not None, edit)) > 1:
        raise UsageError(
            say("--message, --message-file and --edit are three ways of one message"), hint=say("give one of them")
        )
    if file is not None:
        return _checked(_from_file(file), file)
    return _checked(text or "", say("the message"))


def edit_message() -> str:
    """What the operator writes in their editor. Raises UsageError if it cannot be started."""
    return _checked(_from_editor(), say("the message"))


def _from_file(file: str) -> str:
    try:
        with Path(file).open("rb") as stream:
            return stream.read(4 * MAX_MESSAGE + 4).decode("utf-8-sig")
    except OSError as error:
        raise UsageError(
            say("{file} cannot be read: {problem}", file=file, problem=os_reason(error)), hint=say("check the path")
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(
            say("{file} is not UTF-8 text, byte {position}", file=file, position=error.start + 1),
            hint=say("save it as UTF-8"),
        ) from error


def _checked(text: str, where: str) -> str:
    message = text.replace("\r\n", "\n").strip()
    if len(message) > MAX_MESSAGE:
        raise UsageError(
            say("{what} is longer than {most:,} characters", what=where, most=MAX_MESSAGE), hint=say("shorten it")
        )
    if "\0" in message:
        raise UsageError(say("{what} holds a NUL character", what=where), hint=say("take it out"))
    return message


def _from_editor() -> str:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="orderctl-") as folder:
        path = Path(folder) / "message.txt"
        comment = f"\n{say(_COMMENT)}\n"
        path.write_text(comment, encoding="utf-8")
        try:
            subprocess.run([*shlex.split(editor), str(path)], check=True)  # noqa: S603 - the user's own editor
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            raise UsageError(
                say("the editor {editor!r} failed", editor=editor), hint=say("set EDITOR, or use --message-file")
            ) from error
        return path.read_text(encoding="utf-8").replace(comment, "\n")
