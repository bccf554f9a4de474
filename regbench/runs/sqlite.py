"""SQLite databases of other tools: opened to be read, and never changed."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database, also while its tool is writing to it. Raises ValueError if it is none."""
    try:
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5)
        with contextlib.closing(database):
            yield database
    except sqlite3.Error as error:
        raise ValueError(f"{path.name}: {error}") from error


def tables(path: Path) -> set[str]:
    """Return the names of the tables; none of a file that is no database."""
    try:
        with opened(path) as database:
            return {
                str(name)
                for (name,) in database.execute("select name from sqlite_master where type='table'")
            }
    except ValueError:
        return set()


def rows(path: Path, query: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query. Raises ValueError if the database can't answer it."""
    with opened(path) as database:
        yield from database.execute(query)
