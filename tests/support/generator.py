"""The programs in `docs/` that make pages and catalogues, as modules."""

import importlib.util
import sys
from types import ModuleType

from support.project import ROOT

DOCS = ROOT / "docs"


def docs_module(name: str) -> ModuleType:
    """One of them by its name."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
