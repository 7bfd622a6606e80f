"""Network interfaces and the addresses that others reach the device by."""

import re
import socket
import struct

from ..files import list_folder, read_int, read_text
from ..process import capture, find_tool

_CLASS = "/sys/class/net"


def read():
    """interfaces, one dict per interface, default_ipv4, default_ipv6, all_ipv4_addresses, all_ipv6_addresses."""
    names = list_folder(_CLASS)
    found = {name: _interface(name) for name in names}
    four, six = [], []
    for name, family, address in _addresses():
        interface = found.setdefault(name, {"device": name})
        if family == "inet":
            if "ipv4" in interface:
                interface.setdefault("ipv4_secondaries", []).append(address)
            else:
                interface["ipv4"] = address
            if not address["address"].startswith("127."):
                four.append(address["address"])
        else:
            interface.setdefault("ipv6", []).append(address)
            if address["address"] != "::1":
                six.append(address["address"])
    facts = {
        "interfaces": sorted(found),
        "all_ipv4_addresses": four,
        "all_ipv6_addresses": six,
        "default_ipv4": _default(found),
        "default_ipv6": _default_six(found),
    }
    facts.update({re.sub(r"[-.:]", "_", name): interface for name, interface in found.items()})
    return facts


def _interface(name):
    folder = "{}/{}".format(_CLASS, name)
    kind = "loopback" if name == "lo" else "bridge" if list_folder(folder + "/bridge") else "ether"
    interface = {"device": name, "active": read_text(folder + "/operstate") in ("up", "unknown"), "type": kind}
    mtu = read_int(folder + "/mtu")
    if mtu is not None:
        interface["mtu"] = mtu
    mac = read_text(folder + "/address")
    if mac and name != "lo":
        interface["macaddress"] = mac
    return interface


def _addresses():
    """(interface, family, address) as `ip` lists them; nothing where there is no ip."""
    tool = find_tool("/sbin/ip", "/usr/sbin/ip", "ip")
    if tool is None:
        return
    for line in capture([tool, "-o", "addr", "show"], timeout_s=10).stdout.splitlines():
        match = re.match(r"\d+:\s+(\S+)\s+(inet6?)\s+([0-9a-fA-F.:]+)/(\d+)(?:\s+brd\s+(\S+))?.*?scope\s+(\w+)", line)
        if not match:
            continue
        name, family, address, prefix, broadcast, scope = match.groups()
        if family == "inet6":
            yield name, family, {"address": address, "prefix": prefix, "scope": scope}
            continue
        mask = (0xFFFFFFFF << (32 - int(prefix))) & 0xFFFFFFFF
        network = struct.unpack("!I", socket.inet_aton(address))[0] & mask
        yield (
            name,
            family,
            {
                "address": address,
                "prefix": prefix,
                "netmask": _dotted(mask),
                "network": _dotted(network),
                "broadcast": broadcast or "",
            },
        )


def _dotted(number):
    return socket.inet_ntoa(struct.pack("!I", number))


def _default(found):
    """The interface of the default route, with its address and gateway; empty without one."""
    for line in (read_text("/proc/net/route") or "").splitlines()[1:]:
        fields = line.split()
        if len(fields) > 3 and fields[1] == "00000000" and int(fields[3], 16) & 2:
            gateway = socket.inet_ntoa(struct.pack("=I", int(fields[2], 16)))
            return _summary(found.get(fields[0], {}), fields[0], gateway, "ipv4")
    return {}


def _default_six(found):
    for line in (read_text("/proc/net/ipv6_route") or "").splitlines():
        fields = line.split()
        if len(fields) > 9 and set(fields[0]) == {"0"} and fields[1] == "00" and fields[9] != "lo":
            gateway = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(fields[4]))
            return _summary(found.get(fields[9], {}), fields[9], gateway, "ipv6")
    return {}


def _summary(interface, name, gateway, family):
    address = interface.get(family) or {}
    address = (address or [{}])[0] if isinstance(address, list) else address
    summary = {key: interface[key] for key in ("macaddress", "mtu", "type") if key in interface}
    return dict(summary, interface=name, alias=name, gateway=gateway, **address)
