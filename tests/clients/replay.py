"""Sends every packet of the fuzz corpus to a server, over UDP and TCP, and holds what comes back to the protocol.

    replay.py ADDRESS PORT FOLDER...

A second opinion: dnspython reads the replies. Behind each packet goes a question of our own, on the same socket,
and what comes before its answer belongs to the packet; so silence is seen without waiting for it. Prints how many
packets were sent and answered, and ends with 1 when something was wrong.
"""

import collections
import pathlib
import socket
import struct
import sys

import dns.exception
import dns.flags
import dns.message
import dns.rcode

DEADLINE_S = 10
UDP_SIZE = 1232
# RA, Z, AD, CD of the second octet of the flags.
ZERO_FLAGS = 0xF0
# What `dig +subnet=0` sends.
NO_SUBNET = bytes.fromhex("0008000400000000")


def is_question(packet):
    """Whether a packet is to be answered at all (RFC 1035 §4.1.1)."""
    return len(packet) >= 12 and not packet[2] & 0x80


def marker(number, packet):
    """A question whose answer ends the wait for that of a packet: its ID is another, and nobody else asks for its name."""
    own = struct.unpack(">H", packet[:2])[0] if len(packet) >= 2 else 0
    return dns.message.make_query(f"marker-{number}.gslb.example.", "A", id=(own + 1 + number % 1000) & 0xFFFF).to_wire()


def is_answer_to(reply, query):
    """Whether a reply has the ID and the question of a query without EDNS."""
    return reply[:2] == query[:2] and reply[12 : len(query)] == query[12:]


def fault(packet, reply, over_udp):
    """What is wrong with the reply to a packet, or None."""
    if len(reply) < 12:
        return f"{len(reply)} octets"
    if reply[:2] != packet[:2]:
        return "another ID"
    if not reply[2] & 0x80:
        return "QR is 0"
    if (reply[2] ^ packet[2]) & 0x78:
        return "another opcode"
    if reply[3] & ZERO_FLAGS:
        return f"flags {reply[3]:#04x}"
    if over_udp and len(reply) > UDP_SIZE:
        return f"{len(reply)} octets over UDP"
    try:
        # The keys of signatures are not known here; messages under way to whom they are need no check of ours.
        message = dns.message.from_wire(reply, ignore_trailing=False, keyring=False)
    except dns.exception.DNSException as error:
        # It knows no subnet of FAMILY 0, which says that none is disclosed; such a one comes back as it was sent.
        return None if NO_SUBNET in packet and NO_SUBNET in reply else f"dnspython does not read it: {error!r}"
    if message.rcode() == dns.rcode.SERVFAIL:
        return "SERVFAIL"
    return None


class Udp:
    """One socket, so that answers come in the order of their questions."""

    name, over_udp = "UDP", True

    def __init__(self, server):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(DEADLINE_S)
        self.socket.connect(server)

    def exchange(self, packet, query):
        """The replies to a packet, up to the answer of the query behind it."""
        self.socket.send(packet)
        self.socket.send(query)
        while not is_answer_to(reply := self.socket.recv(65535), query):
            yield reply


class Tcp:
    """A connection for some packets."""

    name, over_udp = "TCP", False

    def __init__(self, server):
        self.server, self.socket, self.left = server, None, 0

    def exchange(self, packet, query):
        """As that of Udp."""
        if self.left == 0:
            self.socket = socket.create_connection(self.server, DEADLINE_S)
            self.left = 100
        self.left -= 1
        self.socket.sendall(b"".join(struct.pack(">H", len(each)) + each for each in (packet, query)))
        while not is_answer_to(reply := self.message(), query):
            yield reply

    def message(self):
        return self.octets(struct.unpack(">H", self.octets(2))[0])

    def octets(self, count):
        octets = b""
        while len(octets) < count:
            some = self.socket.recv(count - len(octets))
            if not some:
                raise ConnectionError("the server closed the connection")
            octets += some
        return octets


def main():
    address, port, *folders = sys.argv[1:]
    server = (address, int(port))
    files = [file for folder in folders for file in sorted(pathlib.Path(folder).iterdir())]
    wrong = []
    for transport in (Udp(server), Tcp(server)):
        counts = collections.Counter()
        for number, file in enumerate(files):
            # The first octet tells the fuzz target who asks and how.
            packet = file.read_bytes()[1:]
            if not packet:
                continue
            try:
                replies = list(transport.exchange(packet, marker(number, packet)))
            except OSError as error:
                sys.exit(f"{transport.name}: {file}: not alive: {error!r}")
            counts["packets"] += 1
            counts["replies"] += len(replies)
            wanted = 1 if is_question(packet) else 0
            if len(replies) != wanted:
                wrong.append(f"{transport.name}: {file}: {len(replies)} replies, not {wanted}")
            for reply in replies:
                if found := fault(packet, reply, transport.over_udp):
                    wrong.append(f"{transport.name}: {file}: {found}: {reply.hex()}")
        print(f"{transport.name}: {counts['packets']} packets, {counts['replies']} replies")
    print(f"wrong: {len(wrong)}", *wrong, sep="\n")
    sys.exit(1 if wrong else 0)


main()
