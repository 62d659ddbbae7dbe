"""``make bench``: what fetching, parsing, waiting and landing cost, beside what one would use instead.

The numbers are for a person: a bound that is missed is said and is no failure, an answer that is not whole is one.
``python tools/bench fetching`` measures one part and only prints it.
"""

from __future__ import annotations

import sys

import fetching
import landing
import parsing
import waiting
from report import FILE, ROOT, write

PARTS = {"fetching": fetching, "parsing": parsing, "waiting": waiting, "landing": landing}


def main() -> int:
    """Measure all parts and write them down, or those that are named and print them."""
    named = sys.argv[1:]
    tables = [table for name in named or PARTS for table in PARTS[name].tables()]
    if named:
        print("", *tables, sep="\n\n")
    else:
        write(tables)
        print(f"\nWritten to {FILE.relative_to(ROOT)} and README.md.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
