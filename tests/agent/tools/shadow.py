"""useradd, usermod, userdel, groupadd, groupmod, groupdel and chpasswd over PREFIX/etc; every call is logged."""

import sys
from datetime import date
from pathlib import Path

tool, prefix, args = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
with (prefix / f"fake/{tool}.calls").open("a") as log:
    log.write(" ".join(args) + "\n")


def load(name):
    return [line.split(":") for line in (prefix / "etc" / name).read_text().splitlines()]


def save(name, rows):
    (prefix / "etc" / name).write_text("".join(":".join(row) + "\n" for row in rows))


def option(*flags):
    return next((args[args.index(flag) + 1] for flag in flags if flag in args), None)


passwd, group, shadow = load("passwd"), load("group"), load("shadow")
name = args[-1] if args else ""


def gid_of(text):
    return next(row[2] for row in group if text in (row[0], row[2]))


def days(text):
    return str((date.fromisoformat(text) - date(1970, 1, 1)).days) if text else ""


def join(user, groups, append):
    for row in group:
        members = [m for m in row[3].split(",") if m and (append or m != user)]
        if {row[0], row[2]} & set(groups) and user not in members:
            members.append(user)
        row[3] = ",".join(members)


if tool == "groupadd":
    if any(row[0] == name for row in group):
        sys.exit(f"groupadd: group '{name}' already exists")
    taken = {int(row[2]) for row in group}
    start = 999 if "-r" in args else 1000
    step = -1 if "-r" in args else 1
    while start in taken:
        start += step
    group.append([name, "x", option("-g") or str(start), ""])
elif tool == "groupmod":
    next(row for row in group if row[0] == name)[2] = option("-g")
elif tool == "groupdel":
    group = [row for row in group if row[0] != name]
elif tool == "useradd":
    uid = option("-u") or str(max([999, *(int(row[2]) for row in passwd if int(row[2]) < 60000)]) + 1)
    if any(row[2] == uid for row in passwd) and "-o" not in args:
        sys.exit(f"useradd: UID {uid} is not unique")
    gid = gid_of(option("-g")) if option("-g") else uid
    if not option("-g") and "-N" not in args:
        group.append([name, "x", uid, ""])
    home = option("-d") or f"/home/{name}"
    passwd.append([name, "x", uid, gid, option("-c") or "", home, option("-s") or "/bin/sh"])
    shadow.append([name, "!", "19000", "0", "99999", "7", "", days(option("-e")), ""])
    join(name, (option("-G") or "").split(","), True)
    if "-m" in args:
        (prefix / home.lstrip("/")).mkdir(parents=True)
elif tool == "usermod":
    row = next(row for row in passwd if row[0] == name)
    secret = next(row for row in shadow if row[0] == name)
    for flag, field in (("-u", 2), ("-c", 4), ("-d", 5), ("-s", 6)):
        row[field] = option(flag) or row[field]
    if option("-g"):
        row[3] = gid_of(option("-g"))
    if option("-G") is not None:
        join(name, option("-G").split(","), "-a" in args)
    if "-L" in args:
        secret[1] = "!" + secret[1]
    if "-U" in args:
        secret[1] = secret[1].lstrip("!")
    if option("-e") is not None:
        secret[7] = days(option("-e"))
elif tool == "userdel":
    passwd = [row for row in passwd if row[0] != name]
    shadow = [row for row in shadow if row[0] != name]
    group = [row for row in group if row[0] != name]
elif tool == "chpasswd":
    user, _, secret = sys.stdin.read().strip().partition(":")
    next(row for row in shadow if row[0] == user)[1] = secret
save("passwd", passwd)
save("group", group)
save("shadow", shadow)
