"""``python tests/chaos --cycles N [--seed S]``: kills, stalls, repeats, and what must hold after each cycle.

The last line of standard output is one JSON object; the exit code is 0 only if every check was made and nothing found.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from chaos_run import Options, run_chaos
from real_kafka import missing


def main() -> int:
    parser = argparse.ArgumentParser(prog="python tests/chaos", description="Chaos run of Cuepoint's workers.")
    parser.add_argument("--cycles", type=int, default=3, help="how many (default 3)")
    parser.add_argument("--seed", type=int, help="repeats a run: the same input, the same faults (default: random)")
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1, help="nodes of Apache Kafka (default 1)")
    parser.add_argument("--embedded", action="store_true", help="the embedded broker: in memory, so it is not killed")
    parser.add_argument("--seconds", type=float, default=6.0, help="of input in a cycle (default 6)")
    parser.add_argument("--faults", type=int, default=4, help="in a cycle (default 4)")
    parser.add_argument("--keep", action="store_true", help="keep logs and data of a run without findings, too")
    given = vars(parser.parse_args())
    reason = None if given["embedded"] else missing()
    if reason:
        parser.error(f"Apache Kafka cannot run here: {reason} (--embedded does without)")
    if given["seed"] is None:
        given["seed"] = random.randrange(1_000_000)
    options = Options(**given)
    outcome = run_chaos(options)
    print(json.dumps(outcome.line(options)))
    return 1 if outcome.findings.total or outcome.cycles < options.cycles else 0


sys.exit(main())
