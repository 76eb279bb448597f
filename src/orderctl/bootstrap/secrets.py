"""Secrets, from the places that the settings name."""

from orderctl.settings import Settings


def secret(settings: Settings, *, file: str, keyring: str, user: str) -> str | None:
    """A secret from the place that the settings name; None if they name none. Raises UsageError."""
    from orderctl.files.secrets import from_keyring, private_text

    if path := settings.path(file):
        return private_text(path, file)
    return from_keyring(user, keyring) if settings.flag(keyring) else None
