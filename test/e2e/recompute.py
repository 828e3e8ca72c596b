"""Recomputes what the store derives from reports, from their raw JSON alone, and compares. Usage: recompute.py DIR"""
import json
import math
import sys
from collections import defaultdict

folder = sys.argv[1]
problems = []


def rows(name):
    with open(f"{folder}/{name}.jsonl", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def check(what, got, want):
    if got is None or want is None:
        same = got is None and want is None
    elif isinstance(want, float) or isinstance(got, float):
        same = math.isclose(float(got), float(want), abs_tol=1e-4)
    else:
        same = str(got) == str(want)
    if not same:
        problems.append(f"{what}: the store has {got!r}, the reports say {want!r}")


reports = rows("report")
identities = [(r["site"], r["boot"], int(r["seq"])) for r in reports]
if len(set(identities)) != len(identities):
    problems.append("a report is there more than once under FINAL")
payloads = [json.loads(r["payload"]) for r in reports]
for row, payload in zip(reports, payloads):
    name = f"report {row['site']} {row['boot']} {row['seq']}"
    check(f"{name} site", row["site"], payload["site"])
    check(f"{name} boot", row["boot"], payload["boot"])
    check(f"{name} seq", row["seq"], payload["seq"])
    if row["score"] is None:
        problems.append(f"{name} has no score")

minutes = defaultdict(list)
links = defaultdict(list)
boots = defaultdict(list)
for row, payload in zip(reports, payloads):
    minute = payload["ts"] // 60000 * 60000
    minutes[(payload["site"], minute)].append((payload, row))
    boots[(payload["site"], payload["boot"])].append(payload)
    for link in payload.get("links", []):
        links[(payload["site"], link["name"], minute, link["epoch"])].append((payload, link))


def ratio(payload, *path):
    value = payload.get("host")
    for step in path:
        value = None if value is None else value.get(step)
    return value


def bp(value):
    return None if value is None else math.floor(value * 10000 + 0.5) / 10000


def most(values):
    known = [value for value in values if value is not None]
    return max(known) if known else None


stored_minutes = {(r["site"], int(r["minute_ms"])): r for r in rows("site_minute")}
if stored_minutes.keys() != minutes.keys():
    problems.append(f"site minutes differ: {sorted(stored_minutes.keys() ^ minutes.keys())[:5]}")
for key in minutes.keys() & stored_minutes.keys():
    got, members = stored_minutes[key], minutes[key]
    last, last_row = max(members, key=lambda member: (member[0]["boot"], member[0]["seq"]))
    check(f"{key} reports", got["reports"], len(members))
    check(f"{key} cpu", got["cpu"], bp(ratio(last, "cpu", "utilization")))
    check(f"{key} cpu_max", got["cpu_max"], most(bp(ratio(p, "cpu", "utilization")) for p, _ in members))
    check(f"{key} memory", got["memory"], bp(ratio(last, "memory", "utilization")))
    check(f"{key} memory_max", got["memory_max"], most(bp(ratio(p, "memory", "utilization")) for p, _ in members))
    check(f"{key} score", got["score"], last_row["score"])
    check(f"{key} score_min", got["score_min"], min(int(r["score"]) for _, r in members))

stored_links = {(r["site"], r["link"], int(r["minute_ms"]), int(r["epoch"])): r for r in rows("links_total")}
if stored_links.keys() != links.keys():
    problems.append(f"link minutes differ: {sorted(stored_links.keys() ^ links.keys())[:5]}")
for key in links.keys() & stored_links.keys():
    got, members = stored_links[key], links[key]
    for total in ("requests", "losses", "errors"):
        check(f"{key} {total}", got[total], max(link[total] for _, link in members))
    check(f"{key} up_min", int(got["up_min"]), int(min(link["up"] for _, link in members)))

stored_boots = {(r["site"], r["boot"]): r for r in rows("boot_ledger")}
if stored_boots.keys() != boots.keys():
    problems.append(f"boots differ: {sorted(stored_boots.keys() ^ boots.keys())[:5]}")
for key in boots.keys() & stored_boots.keys():
    got, members = stored_boots[key], boots[key]
    check(f"{key} stored", got["stored"], len(members))
    check(f"{key} seq_max", got["seq_max"], max(p["seq"] for p in members))
    check(f"{key} whole", len(members), max(p["seq"] for p in members))

newest = {}
for (site, boot), members in boots.items():
    newest[site] = max(newest.get(site, ("", 0)), (boot, max(p["seq"] for p in members)))
stored_newest = {r["site"]: (r["boot"], int(r["seq"])) for r in rows("site_current")}
check("newest reports", sorted(stored_newest.items()), sorted(newest.items()))

sites = {site for site, _ in minutes}
for got in rows("virtual_site_minute"):
    minute = int(got["minute_ms"])
    shown = []
    for site in sites:
        members = minutes.get((site, minute))
        if members:
            shown.append(int(max(members, key=lambda member: (member[0]["boot"], member[0]["seq"]))[1]["shown"]))
    check(f"minute {minute} members", got["members"], len(sites))
    check(f"minute {minute} green", got["green"], sum(score > 75 for score in shown))
    check(f"minute {minute} orange", got["orange"], sum(40 <= score <= 75 for score in shown))
    check(f"minute {minute} red", got["red"], sum(score < 40 for score in shown))
    check(f"minute {minute} unknown", got["unknown"], len(sites) - len(shown))
    check(f"minute {minute} score_min", got["score_min"], min(shown, default=None))
counted = len(rows("virtual_site_minute"))

if problems:
    print(f"{len(problems)} differences")
    print("\n".join(problems[:40]))
    sys.exit(1)
print(f"compared {len(reports)} reports, {len(minutes)} site minutes, {len(links)} link minutes, {len(boots)} boots, {counted} minutes of a virtual site: all equal")
