"""What is measured of one engine in one round: a dictionary of numbers, named with their units."""

import json
import math
import signal
import subprocess
import time

from pair import SIDES, machine_seconds, run

# An inner packet of 64 bytes: 20 of IPv4, 8 of UDP.
SMALL_PAYLOAD_BYTES = 36
IDLE_SECONDS = 2.0
SEARCH_LOW, SEARCH_HIGH, SEARCH_STEPS = 10_000, 640_000, 7


def measure(path, load):
    """Everything, with the servers at the other end; the engine ends with it."""
    servers = [
        subprocess.Popen(["ip", "netns", "exec", path.server, *command], stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
        for command in ([load, "serve", "7001"], ["iperf3", "-s"])
    ]
    try:
        time.sleep(0.2)
        found = {}
        first_echo = path.start(load)
        if first_echo is not None:
            found["start_to_first_echo_ms"] = first_echo
            found.update(idle(path))
        before = lost_segments(path)
        for name, options, seconds in (("tcp", [], 3), ("tcp_reverse", ["-R"], 2), ("tcp_8_streams", ["-P", "8"], 2)):
            found.update(bulk(path, name, options, seconds))
        found["lost_segments"] = max(0, lost_segments(path) - before)
        for kind in ("tcp", "udp"):
            found.update(round_trips(path, load, kind))
        found.update(small_packets(path, load))
        if first_echo is not None:
            memory = [path.memory(side) for side in SIDES]
            found["rss_after_load_mb"] = max(rss for rss, _ in memory)
            found["pss_after_load_mb"] = max(pss for _, pss in memory)
        return found
    finally:
        for server in servers:
            server.send_signal(signal.SIGKILL)
            server.wait()
        path.stop()


def idle(path):
    """Memory and wake-ups of the worse side, with a session but without traffic."""
    time.sleep(0.3)
    before = {side: path.wake_ups(side) for side in SIDES}
    time.sleep(IDLE_SECONDS)
    memory = [path.memory(side) for side in SIDES]
    return {
        "idle_wake_ups_per_10_s": max(path.wake_ups(side) - before[side] for side in SIDES) * 10 / IDLE_SECONDS,
        "rss_idle_mb": max(rss for rss, _ in memory),
        "pss_idle_mb": max(pss for _, pss in memory),
    }


class Costs:
    """CPU seconds between its making and `since`."""

    def __init__(self, path):
        self.path = path
        self.machine = machine_seconds()
        self.engines = [path.cpu_seconds(side) for side in SIDES]

    def since(self):
        machine = machine_seconds() - self.machine
        return machine, *(self.path.cpu_seconds(side) - before for side, before in zip(SIDES, self.engines))


def lost_segments(path):
    """Segments that both ends have sent again, without those that had arrived the first time.

    When a core is busy elsewhere an acknowledgement comes late, TCP sends the last segment once more (a tail loss
    probe), and the other end says that it had it (DSACK): nobody lost anything.
    """
    total = 0
    for name in (path.client, path.server):
        counters = {}
        lines = run("cat", "/proc/net/snmp", "/proc/net/netstat", within=name).splitlines()
        for head, values in zip(lines[::2], lines[1::2]):
            counters.update(zip(head.split()[1:], values.split()[1:]))
        total += int(counters["RetransSegs"]) - int(counters.get("TCPDSACKRecvSegs", 0))
    return total


def bulk(path, name, options, seconds):
    costs = Costs(path)
    text = run("iperf3", "-c", path.address, "-t", str(seconds), "-J", *options, within=path.client, limit=seconds + 30)
    machine, left, right = costs.since()
    result = json.loads(text)
    if "error" in result:
        raise RuntimeError(f"iperf3: {result['error']}")
    end = result["end"]
    gigabytes = end["sum_received"]["bytes"] / 1e9
    sender, receiver = (right, left) if "-R" in options else (left, right)
    return {
        f"{name}_gbit_per_s": end["sum_received"]["bits_per_second"] / 1e9,
        f"{name}_retransmits": end["sum_sent"].get("retransmits", 0),
        f"{name}_machine_s_per_gb": machine / gigabytes,
        f"{name}_sender_s_per_gb": sender / gigabytes,
        f"{name}_receiver_s_per_gb": receiver / gigabytes,
    }


def round_trips(path, load, kind):
    costs = Costs(path)
    found = json.loads(run(load, kind + "-rr", path.address, "7001", "1", within=path.client))
    _, left, right = costs.since()
    return {
        f"{kind}_rr_p50_us": found["p50"],
        f"{kind}_rr_p99_us": found["p99"],
        f"{kind}_rr_engines_us": (left + right) * 1e6 / found["count"],
    }


def rate(path, load, packets_per_second, seconds):
    return json.loads(run(load, "rate", path.address, "7001", str(packets_per_second), str(seconds),
                          str(SMALL_PAYLOAD_BYTES), within=path.client))


def small_packets(path, load):
    """The highest rate of 64-byte packets at which none is lost, within 3 %, and what arrives in a flood.

    A rate is free of loss when one of two tries of half a second lost nothing: others use the machine, too.
    """
    low, high = SEARCH_LOW, SEARCH_HIGH
    best = 0.0
    costs = Costs(path)
    packets = 0
    for _ in range(SEARCH_STEPS):
        middle = math.sqrt(low * high)
        for _ in range(2):
            found = rate(path, load, int(middle), 0.5)
            packets += found["received"]
            # The generator itself may not reach the rate.
            achieved = found["sent"] / found["seconds"]
            good = found["received"] == found["sent"] and achieved > 0.97 * middle
            if good:
                best = max(best, achieved)
                break
        low, high = (middle, high) if good else (low, middle)
    _, left, right = costs.since()
    flood = rate(path, load, 0, 1)
    return {
        "small_loss_free_kpps": best / 1e3,
        "small_engines_us_per_packet": (left + right) * 1e6 / max(1, packets),
        "small_flood_kpps": flood["received"] / flood["seconds"] / 1e3,
    }
