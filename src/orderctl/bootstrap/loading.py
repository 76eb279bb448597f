"""Loads modules in a thread of its own while the database is at work."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def loading_meanwhile(load: Callable[[], None]) -> Iterator[None]:
    """Run `load` beside the block; what it raises is raised at the end of the block, if that got so far."""
    with ThreadPoolExecutor(1) as thread:
        loading = thread.submit(load)
        yield
        loading.result()
