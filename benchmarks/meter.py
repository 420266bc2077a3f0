"""A command in; its seconds, those of the processor, and the most memory that it held, out.

They come as JSON on standard error; standard input and output are the command's. This is a process of its own, and
a small one: what the one that starts a command holds is counted as held by the command.
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
