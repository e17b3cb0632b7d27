"""main.py LOAD FOLDER ROUNDS NAME=ENGINE…: the rounds; called by Tests/Benchmarks/engines inside a box.

Writes results.json, table.md and engines.svg into FOLDER after each round, so that a run that is broken off leaves
what it has. SWG_README names a file whose table is replaced at the end.
"""

import json
import os
import platform
import sys
import time

from measures import measure
from pair import RawPath, Tunnel, make_wire
from picture import picture
from report import publish, ratios, summarise, table


def processor():
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def write(folder, result):
    names, rounds = result["engines"], result["rounds"]
    result["summary"] = summarise(rounds, names)
    result["ratios"] = {name: ratios(rounds, names[0], name) for name in names[1:] if name != RawPath.name}
    for file_name, content in (
        ("results.json", json.dumps(result, indent=1, sort_keys=True, ensure_ascii=False) + "\n"),
        ("table.md", table(result)),
        ("engines.svg", picture(result)),
    ):
        with open(os.path.join(folder, file_name), "w") as file:
            file.write(content)


def main():
    load, folder, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    make_wire()
    named = [argument.rpartition("=") for argument in sys.argv[4:]]
    paths = [Tunnel(program, name, number) for number, (name, _, program) in enumerate(named)] + [RawPath()]
    result = {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": os.environ.get("SWG_COMMIT", "unknown"),
        "kernel": platform.release(),
        "processor": processor(),
        "cpus": os.cpu_count(),
        "engines": [path.name for path in paths],
        "rounds": [],
    }
    for number in range(1, count + 1):
        one = {"load_average": os.getloadavg()[0]}
        for path in paths:
            begin = time.monotonic()
            try:
                one[path.name] = measure(path, load)
            except Exception as error:
                # One engine's failure is a result, too.
                one[path.name] = {}
                print(f"{path.name}: {error}", file=sys.stderr)
            found = one[path.name]
            print(f"round {number} of {count}, load {os.getloadavg()[0]:.1f}: {path.name:16} "
                  f"{found.get('tcp_gbit_per_s', 0):5.2f} Gbit/s  {found.get('tcp_machine_s_per_gb', 0):5.2f} CPU s/GB  "
                  f"{found.get('small_loss_free_kpps', 0):4.0f} kpps  {found.get('tcp_rr_p50_us', 0):4.0f} µs  "
                  f"({time.monotonic() - begin:.0f} s)", file=sys.stderr, flush=True)
        result["rounds"].append(one)
        write(folder, result)
    print(table(result), end="")
    if os.environ.get("SWG_README"):
        publish(result, os.environ["SWG_README"])


main()
