"""Where the settings and the store are, unless somebody says otherwise."""

import os
from pathlib import Path


def config_file() -> Path:
    """The file of the settings."""
    import platformdirs

    named = os.environ.get("ORDERCTL_CONFIG")
    return Path(named) if named else platformdirs.user_config_path("orderctl") / "config.toml"


def page_text(name: str) -> str:
    """A page of the documentation: it lies beside the modules of an installed program, and in `docs` of a checkout."""
    package = Path(__file__).parent.parent
    shipped = package / "pages"
    folder = shipped if shipped.is_dir() else package.parent.parent / "docs"
    return (folder / name).read_text("utf-8")


def default_store() -> Path:
    """The SQLite file in the user's data folder."""
    import platformdirs

    return platformdirs.user_data_path("orderctl") / "orderctl.db"
