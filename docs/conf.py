"""How Sphinx builds this folder; `make docs` runs it."""

from orderctl import __version__

project = "orderctl"
release = __version__
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "orderctl"
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
exclude_patterns = ["_site"]
# A link that leads nowhere ends the build: it is run with warnings as errors.
nitpicky = True
