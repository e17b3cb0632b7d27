"""Medians of all rounds as a table, and the ratios of the first engine to each other one."""

from statistics import median

# Key of the result, what a reader sees, digits after the point, whether more is better.
ROWS = [
    ("tcp_gbit_per_s", "TCP, one stream, Gbit/s", 2, True),
    ("tcp_reverse_gbit_per_s", "TCP, one stream, other way, Gbit/s", 2, True),
    ("tcp_8_streams_gbit_per_s", "TCP, eight streams, Gbit/s", 2, True),
    ("tcp_machine_s_per_gb", "whole machine, CPU s per GB", 2, False),
    ("tcp_sender_s_per_gb", "engine at the sender, CPU s per GB", 2, False),
    ("tcp_receiver_s_per_gb", "engine at the receiver, CPU s per GB", 2, False),
    ("tcp_retransmits", "TCP retransmits in 3 s of one stream", 0, False),
    ("lost_segments", "TCP segments really lost, all three together", 0, False),
    ("small_loss_free_kpps", "64-byte packets without loss, thousands per s", 0, True),
    ("small_flood_kpps", "64-byte packets that arrive of a flood, thousands per s", 0, True),
    ("small_engines_us_per_packet", "both engines, CPU µs per 64-byte packet", 2, False),
    ("tcp_rr_p50_us", "TCP round trip p50, µs", 0, False),
    ("tcp_rr_p99_us", "TCP round trip p99, µs", 0, False),
    ("udp_rr_p50_us", "UDP round trip p50, µs", 0, False),
    ("udp_rr_p99_us", "UDP round trip p99, µs", 0, False),
    ("tcp_rr_engines_us", "both engines, CPU µs per round trip", 0, False),
    ("rss_idle_mb", "resident memory idle, MB", 1, False),
    ("rss_after_load_mb", "resident memory after load, MB", 1, False),
    ("idle_wake_ups_per_10_s", "wake-ups in 10 s idle", 0, False),
    ("start_to_first_echo_ms", "start to first echo, both ends, ms", 0, False),
]


def summarise(rounds, names):
    """{engine: {key: {median, min, max}}} of a list of {engine: {key: number}}."""
    summary = {}
    for name in names:
        summary[name] = {}
        for key in {key for one in rounds for key in one.get(name, {})}:
            values = [one[name][key] for one in rounds if key in one.get(name, {})]
            summary[name][key] = {"median": median(values), "min": min(values), "max": max(values)}
    return summary


def ratios(rounds, ours, other):
    """Median, least and greatest of the ratio within each round; what the other has zero of is left out."""
    found = {}
    for key, *_ in ROWS:
        values = [
            one[ours][key] / one[other][key]
            for one in rounds
            if key in one.get(ours, {}) and one.get(other, {}).get(key)
        ]
        if values:
            found[key] = {"median": median(values), "min": min(values), "max": max(values)}
    return found


def table(result):
    """Markdown: a column for each engine, then one for each ratio."""
    names = result["engines"]
    others = [name for name in names[1:] if name in result["ratios"]]
    head = ["median of %d rounds [least..greatest]" % len(result["rounds"]), *names]
    head += [f"{names[0]} ÷ {name}" for name in others]
    lines = ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    for key, title, digits, _ in ROWS:
        cells = [title]
        for name in names:
            cells.append(spread(result["summary"][name].get(key), digits))
        for name in others:
            ratio = result["ratios"][name].get(key)
            cells.append("" if ratio is None else f"**{ratio['median']:.2f}** [{ratio['min']:.2f}..{ratio['max']:.2f}]")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def short_table(result):
    """Medians alone, for the README."""
    names = result["engines"]
    head = ["", *names]
    lines = ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    for key, title, digits, _ in ROWS:
        values = [result["summary"][name].get(key) for name in names]
        lines.append("| " + " | ".join([title] + ["" if v is None else f"{v['median']:.{digits}f}" for v in values]) + " |")
    return "\n".join(lines) + "\n"


BEGIN, END = "<!-- engines: begin -->\n", "<!-- engines: end -->\n"


def publish(result, readme):
    """Puts the short table between the two marks of the README."""
    loads = ", ".join(f"{one['load_average']:.1f}" for one in result["rounds"])
    words = (f"Medians of {len(result['rounds'])} rounds in turn on {result['date']}, commit {result['commit']}: "
             f"{result['cpus']} CPUs ({result['processor']}), Linux {result['kernel']}, load average before each round "
             f"{loads}.\n")
    with open(readme) as file:
        before, _, rest = file.read().partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise RuntimeError(f"no marks for the table in {readme}")
    with open(readme, "w") as file:
        file.write(before + BEGIN + words + "\n" + short_table(result) + END + after)


def spread(value, digits):
    if value is None:
        return ""
    return f"{value['median']:.{digits}f} [{value['min']:.{digits}f}..{value['max']:.{digits}f}]"
