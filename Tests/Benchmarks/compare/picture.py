"""The medians as an SVG: a small bar chart for each of the numbers that matter most."""

from xml.sax.saxutils import escape

PANELS = [
    ("tcp_gbit_per_s", "TCP, one stream", "Gbit/s", 1, "more is better"),
    ("tcp_machine_s_per_gb", "CPU of the whole machine", "s per GB", 2, "less is better"),
    ("small_loss_free_kpps", "64-byte packets without loss", "thousand/s", 0, "more is better"),
    ("tcp_rr_p50_us", "TCP round trip, median", "µs", 0, "less is better"),
    ("rss_after_load_mb", "resident memory after load", "MB", 1, "less is better"),
    ("start_to_first_echo_ms", "start to first echo", "ms", 0, "less is better"),
]
COLOURS = ["#2f6fb3", "#9a9a9a", "#c0c0c0", "#dedede", "#eeeeee"]
WIDTH, PANEL_WIDTH, BAR, GAP, LABEL = 860, 410, 18, 6, 130


def picture(result):
    names = result["engines"]
    height_of_panel = 44 + len(names) * (BAR + GAP) + 10
    rows = (len(PANELS) + 1) // 2
    height = 40 + rows * height_of_panel + 26
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="12" fill="#222222">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        text(20, 24, f"Both ends on one machine: {result['processor']}, {result['cpus']} CPUs", 14, "bold"),
    ]
    for index, panel in enumerate(PANELS):
        x = 20 + index % 2 * (PANEL_WIDTH + 10)
        y = 40 + index // 2 * height_of_panel
        parts += bars(result["summary"], names, panel, x, y)
    note = f"medians of {len(result['rounds'])} interleaved rounds, {result['date']}, Linux {result['kernel']}, {result['commit']}"
    parts += [text(20, height - 10, note, 11), "</svg>"]
    return "\n".join(parts) + "\n"


def bars(summary, names, panel, x, y):
    key, title, unit, digits, direction = panel
    parts = [text(x, y + 18, title, 13, "bold"), text(x, y + 34, f"{unit}, {direction}", 11)]
    values = {name: summary[name][key]["median"] for name in names if key in summary[name]}
    greatest = max(values.values(), default=0) or 1
    y += 44
    for place, name in enumerate(names):
        if name not in values:
            continue
        width = max(1.0, values[name] / greatest * (PANEL_WIDTH - LABEL - 60))
        colour = COLOURS[min(place, len(COLOURS) - 1)]
        parts.append(text(x + LABEL - 6, y + BAR - 5, name, 12, anchor="end"))
        parts.append(f'<rect x="{x + LABEL}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>')
        parts.append(text(x + LABEL + width + 6, y + BAR - 5, f"{values[name]:.{digits}f}", 12))
        y += BAR + GAP
    return parts


def text(x, y, words, size, weight="normal", anchor="start"):
    return (f'<text x="{x:.1f}" y="{y}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}">'
            f"{escape(words)}</text>")
