"""Run a command, and measure its seconds, its CPU seconds and its maximum memory.

The result is JSON on standard error. Standard input and output belong to the command. This is a small separate
process, since the system counts the memory of the parent process as memory of the command.
"""

import json
import os
import subprocess
import sys
import time


def main() -> None:
    begun = time.perf_counter()
    process = subprocess.Popen(sys.argv[1:], stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    cost = [process.returncode, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]
    sys.stderr.write(json.dumps(cost))


if __name__ == "__main__":
    main()
