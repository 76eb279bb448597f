"""Reads secrets that are not in the settings: from private files, and from the system's keyring."""

from pathlib import Path

from orderctl.errors import UsageError, os_reason
from orderctl.language import _

_SERVICE = "orderctl"


def private_text(path: Path, key: str) -> str:
    """The text of a file that only its owner may read. Raises UsageError that names the setting."""
    try:
        if path.stat().st_mode & 0o077:
            raise UsageError(
                _("{key}: others may read {path}", key=key, path=path), hint=_("chmod 600 {path}", path=path)
            )
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UsageError(
            _("{key}: {path} cannot be read: {why}", key=key, path=path, why=os_reason(error)), hint=_("check the path")
        ) from error
    except UnicodeDecodeError:
        raise UsageError(
            _("{key}: {path} is not a text", key=key, path=path),
            hint=_("write the secret into it, as one line of UTF-8"),
        ) from None


def from_keyring(user: str, key: str) -> str:
    """The password of a user in the system's keyring. Raises UsageError if it is not available."""
    try:
        import keyring  # noqa: PLC0415 - an extra that few install
    except ImportError:
        raise UsageError(
            _("{key} is set, but the keyring is not installed", key=key), hint=_("pip install 'orderctl[keyring]'")
        ) from None
    try:
        found: str | None = keyring.get_password(_SERVICE, user)
    except Exception as error:  # noqa: BLE001 - a backend is anyone's code; its words may tell more than is good
        raise UsageError(
            _("{key}: the keyring cannot be asked ({name})", key=key, name=type(error).__name__),
            hint=_("unlock it, or use a private file"),
        ) from None
    if not found:
        raise UsageError(
            _("{key}: the keyring has no password for {user}", key=key, user=user),
            hint=_("keyring set {service} '{user}'", service=_SERVICE, user=user),
        )
    return found
