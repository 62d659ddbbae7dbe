"""``make bench``: what fetching, parsing, waiting and landing cost, beside what one would use instead.

The numbers are for a person: a bound that is missed is said and is no failure, an answer that is not whole is one.
``python tools/bench fetching`` measures one part and renews its tables.
"""

from __future__ import annotations

import sys

import fetching
import landing
import parsing
import waiting
from report import FILE, ROOT, renew, write

PARTS = {"fetching": fetching, "parsing": parsing, "waiting": waiting, "landing": landing}


def main() -> int:
    """Measure all parts, or those that are named, and write them down."""
    named = sys.argv[1:]
    tables = [table for name in named or PARTS for table in PARTS[name].tables()]
    (renew if named else write)(tables)
    print(f"\nWritten to {FILE.relative_to(ROOT)} and README.md.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
