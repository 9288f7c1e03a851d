"""``douga evaluate``: how well a folder of results agrees with the truth."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

from douga.errors import InputError

EXAMPLES = """\
examples:
  douga evaluate --pred result --truth shots/truth
  douga evaluate --pred result --truth shots/truth --out scores
  douga evaluate --pred result --truth shots/truth --json scores.json --html scores.html --tolerance 1
  douga evaluate --pred after --before result --truth shots/truth      what training has changed
  douga evaluate --pred cut --truth studio/test                        alphas, against studio/test/gt

Both folders hold classes/STEM.png (class ids, indexed or grey), cel_mask/STEM.png (0 and 255) or
alpha/STEM.png (soft, grey), or several of them, as `douga reconstruct`, `douga cutout` and `douga simulate`
write them; gt/ is taken for alpha/. Alphas may lie in sub-folders, alpha/NAME/STEM.png or
NAME/alpha/STEM.png; each has a row of its own. With frame/STEM.png in the truth the page shows the frames.

exit status: 0 all compared; 1 some predictions are missing; 2 nothing to compare, or an unusable file
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `douga evaluate`."""
    parser.add_argument(
        "--pred", type=Path, required=True, metavar="DIR", help="results, as reconstruct writes them"
    )
    parser.add_argument("--truth", type=Path, required=True, metavar="DIR", help="truth, in the same folders")
    parser.add_argument(
        "--before",
        type=Path,
        metavar="DIR",
        help="other results, such as of the weights before training: also say what has changed since",
    )
    parser.add_argument(
        "--tolerance", type=float, default=2.0, metavar="PX", help="how far a line may be off (default: 2 px)"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write DIR/scores.json and DIR/report.html")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with error overlays there")


def run(args: argparse.Namespace) -> int:
    """Compare, print, write. Returns 0, or 1 where predictions are missing; errors are raised as
    DougaError.
    """
    if not args.tolerance >= 0 or math.isinf(args.tolerance):
        raise InputError(f"--tolerance: expected pixels, 0 or more, got {args.tolerance}")
    from douga.evaluate import as_json, as_table, as_text, evaluate
    from douga.frame_io import write_text

    evaluation = evaluate(args.pred, args.truth, tolerance_px=args.tolerance)
    print(as_text(evaluation))
    if args.before:
        from douga.evaluate_change import change_rows

        before = evaluate(args.before, args.truth, tolerance_px=args.tolerance)
        for name in before.missing:
            print(f"douga: no prediction {args.before / name}", file=sys.stderr)
        print(f"\n{as_table(change_rows(before, evaluation))}")
    json_path = args.json or (args.out / "scores.json" if args.out else None)
    html_path = args.html or (args.out / "report.html" if args.out else None)
    if json_path:
        write_text(json_path, json.dumps(as_json(evaluation), indent=1) + "\n")
        print(f"numbers: {json_path}")
    if html_path:
        from douga.report import render_html  # only who wants a page waits for it

        write_text(html_path, render_html(evaluation))
        print(f"page: {html_path}")
    for name in evaluation.missing:
        print(f"douga: no prediction {args.pred / name}", file=sys.stderr)
    return 1 if evaluation.missing else 0
