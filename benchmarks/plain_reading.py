"""Reads every run of a results folder with `json` and `csv` alone, as a plain script would.

python plain_reading.py RESULTS
"""

import csv
import json
import sys
from pathlib import Path

runs = []
for folder in sorted(Path(sys.argv[1]).glob("[!.]*")):
    summary = json.loads((folder / "summary.json").read_text())
    with (folder / "history.csv").open() as file:
        rows = csv.DictReader(file)
        history = [
            {key: float(cell) if cell else None for key, cell in row.items()} for row in rows
        ]
    runs.append((summary, history))
print(len(runs))
