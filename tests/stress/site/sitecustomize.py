"""Python runs this at its start when this folder stands on PYTHONPATH: fault points for a fresh process."""

import os

if any(name.startswith("STRESS_") for name in os.environ):
    from stress.faultpoints import install

    install(os.environ)
