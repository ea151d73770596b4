#!/usr/bin/env python3
"""A cable between two network namespaces that loses packets on purpose: two TUN devices and this process between them.

Run as root: lossy_link.py --loss 0.01 --mtu 9000 NAMESPACE_A 10.77.0.1 NAMESPACE_B 10.77.0.2
SIGUSR1 cuts the cable, SIGUSR2 mends it. Prints "ready" when packets flow, and at SIGTERM how many passed and were lost.
(tc's netem would do, but not every kernel has it.)"""
import argparse, fcntl, os, random, select, signal, struct, subprocess, sys

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("--loss", type=float, default=0.0, help="share of packets that are lost, each way")
arguments.add_argument("--mtu", type=int, default=9000)
arguments.add_argument("--seed", type=int, default=1)
arguments.add_argument("ends", nargs=4, metavar=("NAMESPACE_A", "ADDRESS_A", "NAMESPACE_B", "ADDRESS_B"))
options = arguments.parse_args()


def end(name, namespace, address, peer):
    """Opens a TUN device and moves it into the namespace; the file stays here."""
    file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    subprocess.run(["ip", "link", "set", name, "netns", namespace], check=True)
    for command in (["link", "set", "lo", "up"], ["link", "set", name, "mtu", str(options.mtu), "txqueuelen", "4000"],
                    ["addr", "add", address, "peer", peer, "dev", name], ["link", "set", name, "up"]):
        subprocess.run(["ip", "-n", namespace] + command, check=True)
    return file


space_a, address_a, space_b, address_b = options.ends
pid = os.getpid()
a = end(f"mx{pid % 100000}a", space_a, address_a, address_b)
b = end(f"mx{pid % 100000}b", space_b, address_b, address_a)
passed = lost = 0
cut = False
dice = random.Random(options.seed)


def switch(to):
    def handler(*_):
        global cut
        cut = to
    return handler


def end_all(*_):
    print(f"passed {passed} packets, lost {lost}", flush=True)
    sys.exit(0)


signal.signal(signal.SIGUSR1, switch(True))
signal.signal(signal.SIGUSR2, switch(False))
signal.signal(signal.SIGTERM, end_all)
print("ready", flush=True)
poll = select.poll()
poll.register(a, select.POLLIN)
poll.register(b, select.POLLIN)
while True:
    for file, _ in poll.poll():
        other = b if file == a else a
        for _ in range(64):
            try:
                packet = os.read(file, 65536)
            except BlockingIOError:
                break
            if cut or dice.random() < options.loss:
                lost += 1
                continue
            try:
                os.write(other, packet)
                passed += 1
            except (BlockingIOError, OSError):
                lost += 1
