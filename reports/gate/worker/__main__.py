"""Read the job, do it, and finish with `done`; without it the process died.

The folder is started by its path, in an interpreter that cannot import `reports`. Its own modules can be imported once
only, so that none of them can shadow a module of the measured side.
"""

import importlib
import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    """One job: its first line says what to do; further lines, if any, are requests of the task `pairs`."""
    sys.path.insert(0, str(HERE.parent))
    tasks = importlib.import_module(f"{HERE.name}.tasks")
    sys.path[:] = [one for one in sys.path if Path(one) not in (HERE, HERE.parent)]
    lines = os.fdopen(os.dup(0), "rb", buffering=0)  # unbuffered, so that a fork finds the requests meant for it
    job = json.loads(lines.readline())
    job["requests"] = lines
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(**answer: object) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    sys.path.insert(0, job["suite"])
    tasks.TASKS[job["task"]](job, say)
    say(done=True)


if __name__ == "__main__":
    main()
