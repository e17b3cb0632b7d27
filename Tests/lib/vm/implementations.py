"""The two implementations as `operations` and `refusals` speak to them: the kernel's driver by generic netlink, an
engine by the UAPI. Both have set(request), get() and exchange(…), which raises OSError with what they answered.
Written from the driver's netlink specification and the UAPI's page (wireguard.com/xplatform), not from the code under
test.
"""
import ipaddress
import os
import socket
import struct

NETLINK_GENERIC, REQUEST, ACK, DUMP = 16, 1, 4, 0x300
DEVICE = {"name": 2, "private": 3, "flags": 5, "port": 6, "mark": 7, "peers": 8}
PEER = {"key": 1, "psk": 2, "flags": 3, "endpoint": 4, "keepalive": 5, "allowed": 9}
REPLACE_PEERS, REMOVE, REPLACE_ALLOWED, UPDATE_ONLY = 1, 1, 2, 4
NONE = bytes(32)


def attribute(kind, value):
    return struct.pack("<HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)


def nest(kind, items):
    return attribute(kind | 0x8000, b"".join(items))


def attributes(data):
    while len(data) >= 4:
        length, kind = struct.unpack_from("<HH", data)
        yield kind & 0x3FFF, data[4:length]
        data = data[(length + 3) & ~3 :]


def sockaddr(endpoint):
    address, port = endpoint
    if address.version == 4:
        return struct.pack("<H", 2) + struct.pack("!H", port) + address.packed + bytes(8)
    return struct.pack("<H", 10) + struct.pack("!HI", port, 0) + address.packed + bytes(4)


class Driver:
    """The kernel's WireGuard by generic netlink, family version 1."""

    def __init__(self, name):
        self.name = name.encode() + b"\0"
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
        self.socket.bind((0, 0))
        self.sequence = 0
        replies = self.exchange(16, REQUEST, struct.pack("<BBH", 3, 1, 0) + attribute(2, b"wireguard\0"))
        self.family = struct.unpack("<H", dict(attributes(replies[0][4:]))[1])[0]

    def exchange(self, kind, flags, body):
        self.sequence += 1
        self.socket.send(struct.pack("<IHHII", 16 + len(body), kind, flags, self.sequence, 0) + body)
        replies = []
        while True:
            data = self.socket.recv(65536)
            while data:
                length, kind, flags_of_reply, sequence, _ = struct.unpack_from("<IHHII", data)
                if kind == 2:
                    error = struct.unpack_from("<i", data, 16)[0]
                    if error:
                        raise OSError(-error, os.strerror(-error))
                    return replies
                if kind == 3:
                    return replies
                replies.append(data[16:length])
                data = data[(length + 3) & ~3 :]
            if flags == REQUEST and replies:
                return replies

    def set(self, request):
        items = []
        if request["replace"]:
            items.append(attribute(DEVICE["flags"], struct.pack("<I", REPLACE_PEERS)))
        for word, form in (("private", None), ("port", "<H"), ("mark", "<I")):
            if word in request:
                items.append(attribute(DEVICE[word], struct.pack(form, request[word]) if form else request[word]))
        peers = []
        for peer in request["peers"]:
            flags = (REMOVE if peer["remove"] else 0) | (REPLACE_ALLOWED if peer["replace"] else 0)
            flags |= UPDATE_ONLY if peer["update"] else 0
            parts = [attribute(PEER["key"], peer["key"]), attribute(PEER["flags"], struct.pack("<I", flags))]
            if "psk" in peer:
                parts.append(attribute(PEER["psk"], peer["psk"]))
            if "endpoint" in peer:
                parts.append(attribute(PEER["endpoint"], sockaddr(peer["endpoint"])))
            if "keepalive" in peer:
                parts.append(attribute(PEER["keepalive"], struct.pack("<H", peer["keepalive"])))
            if peer["allowed"]:
                parts.append(nest(PEER["allowed"], [nest(0, self.prefix(one)) for one in peer["allowed"]]))
            peers.append(nest(0, parts))
        if peers:
            items.append(nest(DEVICE["peers"], peers))
        self.set_attributes(items)

    def set_attributes(self, items):
        """SET_DEVICE with these attributes, right or wrong."""
        body = struct.pack("<BBH", 1, 1, 0) + attribute(DEVICE["name"], self.name) + b"".join(items)
        self.exchange(self.family, REQUEST | ACK, body)

    @staticmethod
    def prefix(one):
        sign, address, length = one
        family = 2 if address.version == 4 else 10
        parts = [attribute(1, struct.pack("<H", family)), attribute(2, address.packed), attribute(3, bytes([length]))]
        return parts + ([attribute(4, struct.pack("<I", 1))] if sign else [])

    @staticmethod
    def removes_single():
        """Whether the kernel knows the flag that takes one allowed IP from a peer: from Linux 6.16 on."""
        return tuple(int(number) for number in os.uname().release.split(".")[:2]) >= (6, 16)

    def get(self):
        body = struct.pack("<BBH", 0, 1, 0) + attribute(DEVICE["name"], self.name)
        device, peers = {"private": NONE, "port": 0, "mark": 0}, []
        for reply in self.exchange(self.family, REQUEST | ACK | DUMP, body):
            for kind, value in attributes(reply[4:]):
                if kind == DEVICE["private"]:
                    device["private"] = value
                elif kind == DEVICE["port"]:
                    device["port"] = struct.unpack("<H", value)[0]
                elif kind == DEVICE["mark"]:
                    device["mark"] = struct.unpack("<I", value)[0]
                elif kind == DEVICE["peers"]:
                    for _, parts in attributes(value):
                        self.add_peer(peers, dict(attributes(parts)))
        return device, [(key, psk, end, keep, sorted(allowed)) for key, psk, end, keep, allowed in peers]

    def add_peer(self, peers, parts):
        """A peer that did not fit goes on in the next message, under the same key."""
        key = parts[PEER["key"]]
        if not peers or peers[-1][0] != key:
            endpoint = None
            if PEER["endpoint"] in parts:
                raw = parts[PEER["endpoint"]]
                port = struct.unpack_from("!H", raw, 2)[0]
                packed = raw[4:8] if struct.unpack_from("<H", raw)[0] == 2 else raw[8:24]
                endpoint = (ipaddress.ip_address(packed), port)
            keepalive = struct.unpack("<H", parts.get(PEER["keepalive"], b"\0\0"))[0]
            peers.append((key, parts.get(PEER["psk"], NONE), endpoint, keepalive, []))
        for _, one in attributes(parts.get(PEER["allowed"], b"")):
            fields = dict(attributes(one))
            peers[-1][4].append(f"{ipaddress.ip_address(fields[2])}/{fields[3][0]}")


class Engine:
    """The cross-platform interface: text over a UNIX socket, one request per connection."""

    def __init__(self, path):
        self.path = path

    def exchange(self, text):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.path)
            client.sendall(text.encode())
            answer = b""
            while not answer.endswith(b"\n\n"):
                more = client.recv(65536)
                if not more:
                    break
                answer += more
        lines = [line.split("=", 1) for line in answer.decode().split("\n") if line]
        # Negative, as wg(8) expects it: an engine that answers 22 for EINVAL has answered something else.
        error = -int(lines.pop()[1])
        if error:
            raise OSError(error, os.strerror(abs(error)))
        return lines

    def set(self, request):
        lines = ["set=1"]
        if "private" in request:
            lines.append("private_key=" + request["private"].hex())
        if "port" in request:
            lines.append(f"listen_port={request['port']}")
        if "mark" in request:
            lines.append(f"fwmark={request['mark']}")
        if request["replace"]:
            lines.append("replace_peers=true")
        for peer in request["peers"]:
            lines.append("public_key=" + peer["key"].hex())
            if peer["remove"]:
                lines.append("remove=true")
            if peer["update"]:
                lines.append("update_only=true")
            if "psk" in peer:
                lines.append("preshared_key=" + peer["psk"].hex())
            if "endpoint" in peer:
                address, port = peer["endpoint"]
                lines.append(f"endpoint={address}:{port}" if address.version == 4 else f"endpoint=[{address}]:{port}")
            if "keepalive" in peer:
                lines.append(f"persistent_keepalive_interval={peer['keepalive']}")
            if peer["replace"]:
                lines.append("replace_allowed_ips=true")
            lines += [f"allowed_ip={sign}{address}/{length}" for sign, address, length in peer["allowed"]]
        self.exchange("\n".join(lines) + "\n\n")

    def get(self):
        device, peers = {"private": NONE, "port": 0, "mark": 0}, []
        for word, value in self.exchange("get=1\n\n"):
            if word == "private_key":
                device["private"] = bytes.fromhex(value)
            elif word == "listen_port":
                device["port"] = int(value)
            elif word == "fwmark":
                device["mark"] = int(value, 0)
            elif word == "public_key":
                peers.append([bytes.fromhex(value), NONE, None, 0, []])
            elif word == "preshared_key":
                peers[-1][1] = bytes.fromhex(value)
            elif word == "endpoint":
                host, _, port = value.rpartition(":")
                peers[-1][2] = (ipaddress.ip_address(host.strip("[]")), int(port))
            elif word == "persistent_keepalive_interval":
                peers[-1][3] = int(value)
            elif word == "allowed_ip":
                peers[-1][4].append(value)
        return device, [(key, psk, end, keep, sorted(allowed)) for key, psk, end, keep, allowed in peers]
