"""Runs a command in a network of its own that leads nowhere, and writes down every packet that wants to leave it.

    unshare --net --mount --pid --fork --kill-child --mount-proc python watched_network.py REPORT [--hide PATH]... -- COMMAND...

The namespace has the loopback device and one more: a TUN device, whose only reader is this program, with the default routes
of IPv4 and IPv6 and the address of the resolver behind it. A namespace without any route would only refuse; here whoever
tries to leave, be it by a question to the resolver, is seen with its process. The standard library only: the checkout and
its environment are among what is hidden from the command.
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
DEVICE = "leaving0"
# addresses for documentation: they are nobody's
COMMANDS = (
    "ip link set lo up",
    f"ip address add 192.0.2.2/24 dev {DEVICE}",
    f"ip -6 address add 2001:db8::2/64 dev {DEVICE} nodad",
    f"ip link set {DEVICE} up",
    f"ip route add default via 192.0.2.1 dev {DEVICE}",
    f"ip -6 route add default via 2001:db8::1 dev {DEVICE}",
)
RESOLVER = "nameserver 192.0.2.53\noptions timeout:1 attempts:1\n"
TCP, UDP, ICMP6, HOP_BY_HOP = 6, 17, 58, 0


def open_device() -> int:
    """The TUN device of this namespace, as a file that yields one packet a read."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH", DEVICE.encode(), IFF_TUN | IFF_NO_PI))
    return descriptor


def described(packet: bytes) -> dict[str, object] | None:
    """Who wants to go where; None for what the kernel itself says to its neighbours (IPv6)."""
    if packet[0] >> 4 == 4:
        protocol, source, target = packet[9], packet[12:16], packet[16:20]
        rest = packet[(packet[0] & 15) * 4 :]
    else:
        protocol, source, target, rest = packet[6], packet[8:24], packet[24:40], packet[40:]
        if protocol in {ICMP6, HOP_BY_HOP} and ipaddress.ip_address(target).is_multicast:
            return None
    found: dict[str, object] = {
        "from": str(ipaddress.ip_address(source)),
        "to": str(ipaddress.ip_address(target)),
        "protocol": {TCP: "tcp", UDP: "udp"}.get(protocol, str(protocol)),
        "time": time.time(),
    }
    if protocol in {TCP, UDP}:
        own, other = struct.unpack("!HH", rest[:4])
        found |= {"port": other, "process": process_of(own)}
    if protocol == UDP and found.get("port") == 53:
        found["question"] = question_of(rest[8:])
    return found


def question_of(message: bytes) -> str:
    """The name that a message to a resolver asks for."""
    labels, place = [], 12
    with suppress(IndexError):
        while length := message[place]:
            labels.append(message[place + 1 : place + 1 + length].decode(errors="replace"))
            place += 1 + length
    return ".".join(labels)


def process_of(port: int) -> str:
    """The command line of whoever has a socket at this local port; empty where it is gone already."""
    inodes = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text(encoding="utf-8").splitlines()[1:]:
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with suppress(OSError):
                if any(str(entry.readlink()) in inodes for entry in (process / "fd").iterdir()):
                    return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


def watch(descriptor: int, report: Path) -> None:
    """Write every packet down, one JSON object a line."""
    with report.open("a", encoding="utf-8") as stream:
        while True:
            found = described(os.read(descriptor, 65536))
            if found is not None:
                stream.write(json.dumps(found, ensure_ascii=False) + "\n")
                stream.flush()


def main(arguments: list[str]) -> int:
    """Make the network, hide the paths, run the command."""
    split = arguments.index("--")
    report, hidden, command = Path(arguments[0]), arguments[1:split], arguments[split + 1 :]
    report.touch()
    descriptor = open_device()
    for line in COMMANDS:
        subprocess.run(line.split(), check=True)
    threading.Thread(target=watch, args=(descriptor, report), daemon=True).start()
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as resolver:
        resolver.write(RESOLVER)
        resolver.flush()
        Path(resolver.name).chmod(0o644)
        subprocess.run(["mount", "--bind", resolver.name, "/etc/resolv.conf"], check=True)
        for path in hidden[1::2]:
            if Path(path).is_dir():
                subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", path], check=True)
        ended = subprocess.run(command, check=False, cwd="/")
        # a last packet finds its way
        time.sleep(0.2)
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
