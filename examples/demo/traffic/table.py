"""Lines and tables on the terminal, with Japanese names in them."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Sequence

_COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


class Table:
    """Rows printed as they come, under a heading."""

    def __init__(self, *columns: tuple[str, int]) -> None:
        self._widths = [width for _, width in columns]
        self.row(*(name for name, _ in columns))
        print("  " + "  ".join("-" * width for width in self._widths), flush=True)

    def row(self, *cells: object) -> None:
        texts = [_padded(str(cell), width) for cell, width in zip(cells, self._widths, strict=True)]
        print("  " + "  ".join(texts).rstrip(), flush=True)


def heading(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if _COLOUR else f"\n{text}", flush=True)


def mark(good: bool) -> str:
    if not _COLOUR:
        return "ok" if good else "NO"
    return "\033[32m✓\033[0m" if good else "\033[31m✗\033[0m"


def lines(texts: Sequence[str]) -> None:
    for text in texts:
        print(f"  {text}", flush=True)
