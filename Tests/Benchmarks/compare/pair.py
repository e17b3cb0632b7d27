"""Two ends of a tunnel, each in a container's namespace, and what their engines cost.

    inside-left (10.9.0.1, wgleft) - left (engine, 192.0.2.1) = veth = right (engine, 192.0.2.2) - inside-right (10.9.0.2)

The namespaces are made once; `start` and `stop` are for one engine. Everything is in a box that ends with us.
"""

import glob
import os
import signal
import subprocess
import time

SIDES = ("left", "right")
TICKS = os.sysconf("SC_CLK_TCK")


def run(*command, within=None, limit=60, check=True):
    """A command's output, perhaps in a named namespace; never longer than `limit` seconds."""
    if within:
        command = ("ip", "netns", "exec", within) + command
    done = subprocess.run(command, timeout=limit, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()[-400:]}")
    return done.stdout


def make_wire():
    for side in SIDES:
        for name in (side, "inside-" + side):
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        # Router solicitations would wake the engines: none of theirs.
        run("ip", "netns", "exec", "inside-" + side, "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6")
    run("ip", "link", "add", "veth0", "netns", "left", "type", "veth", "peer", "name", "veth0", "netns", "right")
    for number, side in enumerate(SIDES, 1):
        run("ip", "-n", side, "link", "set", "veth0", "addrgenmode", "none")
        run("ip", "-n", side, "addr", "add", f"192.0.2.{number}/24", "dev", "veth0")
        run("ip", "-n", side, "link", "set", "veth0", "up")


class RawPath:
    """The veth pair alone: what the machine can do without a tunnel."""

    name = "no tunnel"
    client, server, address = "left", "right", "192.0.2.2"

    def start(self, load):
        pass

    def stop(self):
        pass

    def cpu_seconds(self, side):
        return 0.0


class Tunnel:
    client, server, address = "inside-left", "inside-right", "10.9.0.2"

    def __init__(self, program, name, number):
        self.program = program
        self.name = name
        self.pids = {}
        self.keys = {}
        for side in SIDES:
            private = run("wg", "genkey")
            public = subprocess.run(["wg", "pubkey"], input=private, text=True, capture_output=True, check=True).stdout
            path = f"/run/test/{number}-{side}.key"
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.write(private)
            self.keys[side] = (path, public.strip())

    def start(self, load):
        """Milliseconds from the start of the first engine to the first answer through the tunnel."""
        begin = time.monotonic()
        for number, side in enumerate(SIDES, 1):
            other = SIDES[2 - number]
            # It goes to the background with whatever streams it was given: a pipe would never end.
            subprocess.run(["ip", "netns", "exec", side, self.program, "wg" + side], timeout=20, check=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            # UAPI sockets lie in the box's mount namespace: wg finds them from anywhere.
            run("wg", "set", "wg" + side, "private-key", self.keys[side][0], "listen-port", "51820", "peer",
                self.keys[other][1], "endpoint", f"192.0.2.{3 - number}:51820", "allowed-ips", f"10.9.0.{3 - number}/32")
            run("ip", "-n", side, "link", "set", "wg" + side, "netns", "inside-" + side)
            run("ip", "-n", "inside-" + side, "addr", "add", f"10.9.0.{number}/24", "dev", "wg" + side)
            run("ip", "-n", "inside-" + side, "link", "set", "wg" + side, "mtu", "1420", "up")
        if load:
            run(load, "first", self.address, "7001", "20", within=self.client)
        milliseconds = (time.monotonic() - begin) * 1000
        self.pids = {side: self.processes("wg" + side) for side in SIDES}
        return milliseconds

    @staticmethod
    def processes(last_word):
        found = []
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                with open(path, "rb") as file:
                    words = file.read().split(b"\0")
            except OSError:
                continue
            if len(words) > 1 and words[-2] == last_word.encode():
                found.append(int(path.split("/")[2]))
        return found

    def stop(self):
        """Both engines end when their UAPI socket is removed."""
        for side in SIDES:
            path = f"/run/wireguard/wg{side}.sock"
            if os.path.exists(path):
                os.remove(path)
        end = time.monotonic() + 5
        while any(self.processes("wg" + side) for side in SIDES):
            if time.monotonic() > end:
                for side in SIDES:
                    for pid in self.processes("wg" + side):
                        os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def cpu_seconds(self, side):
        """Of the engine's threads of that side, the kernel's work for them included; to the nanosecond where the
        kernel counts so."""
        total = 0.0
        for pid in self.pids[side]:
            for task in glob.glob(f"/proc/{pid}/task/*/schedstat"):
                with open(task) as file:
                    total += int(file.read().split()[0]) / 1e9
        return total

    def memory(self, side):
        """Resident megabytes (10^6 bytes) of all its processes, and their proportional share."""
        rss = pss = 0
        for pid in self.pids[side]:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                for line in file:
                    if line.startswith("Rss:"):
                        rss += int(line.split()[1])
                    if line.startswith("Pss:"):
                        pss += int(line.split()[1])
        return rss * 1024 / 1e6, pss * 1024 / 1e6

    def wake_ups(self, side):
        total = 0
        for pid in self.pids[side]:
            for task in glob.glob(f"/proc/{pid}/task/*/status"):
                with open(task) as file:
                    total += sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
        return total


def machine_seconds():
    """CPU seconds of the whole machine that were not idle, interrupts included."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq = (int(word) for word in file.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / TICKS
