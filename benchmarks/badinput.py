"""Hand in every bad input of the tests, and write what each is refused with, for the book.

    python benchmarks/badinput.py [--output book/measurements/refusals.json]

Half a minute; nothing is trained. Ends with status 1, and writes nothing, where a sentence is not
the one that it must be or a file was changed.
"""

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

from common import machine, markdown

# Read when torch is imported: threads beyond free cores cost tenfold.
os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))


def main() -> int:
    """Write the refusals; the exit status."""
    from badinput import all_cases, refusal, row

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    measurements = ROOT / "book" / "measurements"
    parser.add_argument("--output", type=Path, default=measurements / "refusals.json")
    output = parser.parse_args().output
    rows, wrong = [], 0
    for case in all_cases():
        with tempfile.TemporaryDirectory() as folder:
            said, unchanged = refusal(case, Path(folder).resolve())
        if said != case.sentence or not unchanged:
            wrong += 1
            print(f"{case.kind}: {case.what}\n  {said}\n  {case.sentence}", file=sys.stderr)
        rows.append(row(case, said))
    kinds = Counter(one["kind"] for one in rows)
    print(markdown([{"kind": kind, "inputs": count} for kind, count in kinds.items()]))
    print(f"{len(rows)} bad inputs, {wrong} refused otherwise than they must be; {machine()}")
    if not wrong:
        output.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
