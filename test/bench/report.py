# SPDX-License-Identifier: MIT
"""Turns the records of scripts/bench on stdin into a table, JSON, and a picture.

    report.py table|brief|json [FILE.svg]

A record is a line of fields with tabs between them:

    load NAME TITLE UNIT BETTER COST THAN
    peer NAME TITLE FRAMES
    figure ROUND LOAD PEER FIGURE PROCESSOR_SECONDS AMOUNT

What a figure is compared with is of the same round and the same size of frames: the kernel's TCP behind the
relay, and the bare device. THAN names a load that this one is compared with, on the same peer.
"""
import json
import os
import platform
import statistics
import sys
from xml.sax.saxutils import escape

BASELINES = {"64k": ("relay", "bare"), "1500": ("relay1500", "bare1500")}


class Records:
    def __init__(self, lines):
        self.loads, self.peers, self.figures = {}, {}, {}
        for line in lines:
            kind, *rest = line.rstrip("\n").split("\t")
            getattr(self, "take_" + kind)(*rest)

    def take_load(self, name, title, unit, better, cost, than):
        self.loads[name] = {"title": title, "unit": unit, "better": better, "cost": cost, "than": than}

    def take_peer(self, name, title, frames):
        self.peers[name] = {"title": title, "frames": frames}

    def take_figure(self, number, load, peer, figure, seconds, amount):
        self.figures.setdefault((load, peer), {})[int(number)] = (
            float(figure), float(seconds), float(amount))

    def values(self, load, peer):
        return {n: f for n, (f, _, _) in self.figures.get((load, peer), {}).items()}


def median(values):
    return statistics.median(values) if values else None


def ratio(records, load, peer, other_load, other_peer):
    """The median of the ratios of the rounds that have both."""
    own, base = records.values(load, peer), records.values(other_load, other_peer)
    return median([own[n] / base[n] for n in own if base.get(n)])


def cost(records, load, peer):
    """Processor seconds for a GB, or microseconds for each."""
    by = {"GB": 1e9, "each": 1e-6}.get(records.loads[load]["cost"])
    if by is None:
        return None
    return median([s / a * by if by > 1 else s / a / by
                   for _, s, a in records.figures[load, peer].values()])


def summary(records, load, peer):
    figures = list(records.values(load, peer).values())
    relay, bare = BASELINES[records.peers[peer]["frames"]]
    return {"peer": peer, **records.peers[peer], "figures": figures,
            "min": min(figures), "median": median(figures), "max": max(figures),
            "to_relay": ratio(records, load, peer, load, relay),
            "to_bare": ratio(records, load, peer, load, bare),
            "to_than": ratio(records, load, peer, records.loads[load]["than"], peer),
            "cost": cost(records, load, peer)}


def results(records):
    return [{"load": load, **about,
             "peers": [summary(records, load, peer) for peer in records.peers
                       if (load, peer) in records.figures]}
            for load, about in records.loads.items()
            if any(known == load for known, _ in records.figures)]


# ---- the table ----

def number(value):
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 100 else f"{value:.2f}"


def cost_text(value, by):
    if value is None:
        return ""
    return f"{value:.2f} s/GB" if by == "GB" else f"{number(value)} us"


def with_than(load, row):
    """The table has no column for what three loads have."""
    ratio_text = number(row["to_than"])
    return number(row["median"]) + (f" ({ratio_text} of {load['than']})" if ratio_text else "")


def table(loads):
    lines = ["| load | on | min | median | max | to the kernel behind a relay | to the bare device | CPU |",
             "|---|---|---|---|---|---|---|---|"]
    for load in loads:
        title = f"**{load['title']}**, {load['unit']} ({load['better']} is better)"
        for row in load["peers"]:
            frames = ", 1500-byte frames" if row["frames"] == "1500" else ""
            lines.append("| " + " | ".join([
                title, row["title"] + frames, number(row["min"]), with_than(load, row),
                number(row["max"]), number(row["to_relay"]), number(row["to_bare"]),
                cost_text(row["cost"], load["cost"])]) + " |")
            title = ""
    return "\n".join(lines)


# In the brief table a load has one line, and a second one for small frames where bytes are counted.
BRIEF = {"64k": ("lo", "relay", "gvisor", "lwip", "bare", "utcp"),
         "1500": (None, "relay1500", None, None, "bare1500", "utcp1500")}


def brief_line(load, frames):
    rows = {row["peer"]: row for row in load["peers"]}
    utcp = rows.get(BRIEF[frames][-1])
    if utcp is None or frames == "1500" and (load["cost"] != "GB" or load["than"]):
        return []
    title = load["title"] + (", 1500-byte frames" if frames == "1500" else "")
    cells = [number(rows[peer]["median"]) if peer in rows else "" for peer in BRIEF[frames]]
    ratios = [number(utcp["to_relay"]), number(utcp["to_bare"])]
    mark = "" if load["better"] == "more" else " (less is better)"
    return ["| " + " | ".join([f"{title}, {load['unit']}{mark}", *cells, *ratios]) + " |"]


def brief(loads):
    lines = ["| load | kernel, loopback | kernel, relay | gVisor | lwIP | bare device | **utcp** | to the relay | to the device |",
             "|---|---|---|---|---|---|---|---|---|"]
    for load in loads:
        lines += brief_line(load, "64k") + brief_line(load, "1500")
    return "\n".join(lines)


# ---- the picture ----

BAR, GAP, LEFT, WIDTH = 16, 5, 220, 420


def bar(y, row, largest):
    scale = WIDTH / largest
    middle = y + BAR / 2
    label = row["title"] + (", 1500" if row["frames"] == "1500" else "")
    colour = "#c0392b" if row["peer"].startswith("utcp") else "#8899aa"
    low, high, end = (LEFT + row[key] * scale for key in ("min", "max", "median"))
    return (f'<text x="{LEFT - 8}" y="{middle + 4}" text-anchor="end">{escape(label)}</text>'
            f'<rect x="{LEFT}" y="{y}" width="{end - LEFT:.1f}" height="{BAR}" fill="{colour}"/>'
            f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="black"/>'
            f'<text x="{max(high, end) + 6:.1f}" y="{middle + 4}">{number(row["median"])}</text>')


def picture(loads):
    parts, y = [], 10
    for load in loads:
        title = f"{load['title']}, {load['unit']} ({load['better']} is better)"
        parts.append(f'<text x="{LEFT}" y="{y + 14}" font-weight="bold">{escape(title)}</text>')
        y += 22
        largest = max(row["max"] for row in load["peers"]) or 1
        for row in load["peers"]:
            parts.append(bar(y, row, largest))
            y += BAR + GAP
        y += 14
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 90}" height="{y}" '
            'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>\n'
            + "\n".join(parts) + "\n</svg>\n")


def main(form, plot=""):
    loads = results(Records(sys.stdin))
    machine = {"kernel": platform.release(), "processors": os.cpu_count(),
               "congestion": os.environ.get("CONGESTION", "")}
    if form == "json":
        print(json.dumps({"machine": machine, "loads": loads}, indent=1))
    else:
        print(brief(loads) if form == "brief" else table(loads))
        print("\nLinux {kernel} with {congestion}, {processors} processors".format(**machine))
    if plot:
        with open(plot, "w", encoding="utf-8") as file:
            file.write(picture(loads))


main(*sys.argv[1:])
