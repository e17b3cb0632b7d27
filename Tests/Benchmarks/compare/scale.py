"""scale.py TUNNELS PEERS ALLOWED_IPS: called by Tests/Benchmarks/scale inside a box, where it leaves everything."""

import base64
import glob
import json
import os
import subprocess
import sys
import time

from pair import Tunnel, make_wire, run

PROGRAMS = os.environ["SWG_BIN"]


def row(title, value):
    print(f"| {title} | {value} |", flush=True)


def timed(body):
    begin = time.monotonic()
    body()
    return time.monotonic() - begin


def available_megabytes():
    with open("/proc/meminfo") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def engines():
    """The living processes of all engines, by what the kernel calls them."""
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as file:
                pid, name, state = file.read().split()[:3]
        except OSError:
            continue
        if name == "(swg-engine)" and state != "Z":
            found.append(int(pid))
    return found


def proportional_megabytes(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return total * 1024 / 1e6


def wake_ups(pids):
    total = 0
    for pid in pids:
        for path in glob.glob(f"/proc/{pid}/task/*/status"):
            with open(path) as file:
                total += sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
    return total


def random_key():
    return base64.b64encode(os.urandom(32)).decode()


def idle_tunnels(count):
    """Each as a container has it: a namespace, its only way out a tunnel, an engine."""
    os.makedirs("configurations")
    for number in range(count):
        with open(os.open(f"configurations/t{number}.conf", os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(f"[Interface]\nPrivateKey = {random_key()}\nAddress = 10.{number >> 8}.{number & 255}.2/32\n"
                       f"[Peer]\nPublicKey = {random_key()}\nEndpoint = 192.0.2.2:51820\nAllowedIPs = 0.0.0.0/0\n")
    before = available_megabytes()
    seconds = []
    for number in range(count):
        seconds.append(timed(lambda: run(
            f"{PROGRAMS}/swg-ns", "attach", "--quiet", "--no-wait", "--engine", "userspace", "--netns", f"n{number}",
            "--create", f"configurations/t{number}.conf")))
    # The gap between one sample and the next is more than what the last of them do after they started.
    time.sleep(5)
    pids = engines()
    row("idle tunnels", f"{count} in {sum(seconds):.0f} s: {count / sum(seconds):.1f} each second")
    tenth = max(1, count // 10)
    row("one `attach`, ms, the first and the last tenth",
        f"{1000 * sum(seconds[:tenth]) / tenth:.0f}, {1000 * sum(seconds[-tenth:]) / tenth:.0f}")
    row("memory of a tunnel's processes, MB (proportional share)", f"{proportional_megabytes(pids) / count:.2f}")
    row("memory the machine has less for each tunnel, namespace and device included, MB",
        f"{(before - available_megabytes()) / count:.2f}")
    first = wake_ups(pids)
    time.sleep(10)
    row("wake-ups of all engines together in 10 s", str(wake_ups(pids) - first))
    row("one `swg-ns list` of all, s", f"{timed(lambda: run(f'{PROGRAMS}/swg-ns', 'list', '--json')):.2f}")


def configuration(tunnel, peers, allowed_each):
    """One real peer, and so many others with their shares of 11.0.0.0/8 and up."""
    lines = ["[Interface]", f"PrivateKey = {open(tunnel.keys['left'][0]).read().strip()}", "ListenPort = 51820"]
    lines += ["[Peer]", f"PublicKey = {tunnel.keys['right'][1]}", "Endpoint = 192.0.2.2:51820", "AllowedIPs = 10.9.0.2/32"]
    address = 11 << 24
    for _ in range(peers - 1):
        lines += ["[Peer]", f"PublicKey = {random_key()}"]
        for _ in range(allowed_each):
            # Every second address: nothing can be merged.
            lines.append(f"AllowedIPs = {address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}/32")
            address += 2
    return "\n".join(lines) + "\n"


def one_device(peers, allowed):
    tunnel = Tunnel(f"{PROGRAMS}/swg-engine", "scale", 0)
    server = subprocess.Popen(["ip", "netns", "exec", tunnel.server, "iperf3", "-s"], stdout=subprocess.DEVNULL)
    tunnel.start(None)
    for count, each in ((1, 1), (100, 1), (peers, 1), (peers, max(1, allowed // peers))):
        with open("many.conf", "w") as file:
            file.write(configuration(tunnel, count, each))
        words = f"{count} peers, {(count - 1) * each + 1} allowed IPs"
        setting = timed(lambda: run("wg", "setconf", "wgleft", "many.conf", within="left", limit=600))
        getting = timed(lambda: run("wg", "show", "wgleft", "dump", within="left", limit=600))
        rss, _ = tunnel.memory("left")
        run("ping", "-c", "1", "-W", "5", tunnel.address, within=tunnel.client)
        end = json.loads(run("iperf3", "-c", tunnel.address, "-t", "4", "-J", within=tunnel.client))["end"]
        row(words, f"set {setting:.2f} s, shown {getting:.2f} s, {rss:.0f} MB resident, "
                   f"TCP {end['sum_received']['bits_per_second'] / 1e9:.2f} Gbit/s")
    server.kill()
    tunnel.stop()


def main():
    tunnels, peers, allowed = (int(word) for word in sys.argv[1:4])
    make_wire()
    print("| what | measured |\n| --- | --- |")
    one_device(peers, allowed)
    idle_tunnels(tunnels)


main()
