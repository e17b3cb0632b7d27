#!/bin/bash
# U2, U3, U5: the UAPI as bytes: several requests per connection, errors by number, slow and silent clients, a
# worker that does not answer.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/pair.sh"
need wg python3

swg-engine one
cat >talk.py <<'PY'
import re, socket, sys, time
path = "/var/run/wireguard/one.sock"
def connect():
    s = socket.socket(socket.AF_UNIX); s.settimeout(60); s.connect(path); return s
def ask(text, close=True, s=None):
    s = s or connect(); s.sendall(text.encode())
    if close: s.shutdown(socket.SHUT_WR)
    answer = b""
    while True:
        more = s.recv(65536)
        # The random port is not the matter here.
        if not more: return re.sub("listen_port=[0-9]*\n", "", answer.decode())
        answer += more
        if not close and answer.endswith(b"\n\n"): return answer.decode()
def check(name, got, wanted):
    if got != wanted: print("FAIL:", name, repr(got), "instead of", repr(wanted)); sys.exit(1)
def errno(text): return text.rsplit("errno=", 1)[-1].strip() if "errno=" in text else None
key = "11" * 31 + "51"
peer = "public_key=" + "22" * 32
check("get", ask("get=1\n\n"), "errno=0\n\n")
check("several", ask("get=1\n\nset=1\nfwmark=5\n\nget=1\n\n"), "errno=0\n\nerrno=0\n\nfwmark=5\nerrno=0\n\n")
check("trailing byte", errno(ask("get=1\nx\n\n")), "-22")
check("unknown operation", ask("put=1\n\n"), "")
check("bad value", errno(ask("set=1\nlisten_port=70000\n\n")), "-22")
check("unknown key", errno(ask("set=1\nnonsense=1\n\n")), "-22")
check("no =", errno(ask("set=1\nlisten_port\n\n")), "-71")
check("short key", errno(ask("set=1\nprivate_key=1234\n\n")), "-22")
check("version", errno(ask("set=1\n" + peer + "\nprotocol_version=2\n\n")), "-22")
check("EOF without blank line", errno(ask("set=1\nprivate_key=" + key + "\n" + peer + "\nallowed_ip=10.0.0.0/8\n")), "0")
answer = ask("get=1\n\n")
check("order", [line.split("=")[0] for line in answer.split("\n") if line], ["private_key", "fwmark", "public_key",
      "preshared_key", "protocol_version", "last_handshake_time_sec", "last_handshake_time_nsec", "tx_bytes", "rx_bytes",
      "persistent_keepalive_interval", "allowed_ip", "errno"])
# Clamped: N7.
check("clamped", [l for l in answer.split("\n") if l.startswith("private_key")], ["private_key=10" + "11" * 30 + "51"])
check("refused changes nothing", (errno(ask("set=1\nreplace_peers=true\n" + peer + "\nallowed_ip=nonsense\n\n")),
      "10.0.0.0/8" in ask("get=1\n\n")), ("-22", True))
# Forty idle connections: the oldest go, new ones are served.
idle = [connect() for _ in range(40)]
check("with idle clients", errno(ask("get=1\n\n")), "0")
# Byte by byte is fine, half a request for more than five seconds is not.
slow = connect()
for byte in "get=1\n\n": slow.sendall(byte.encode()); time.sleep(0.01)
check("byte by byte", errno(ask("", close=False, s=slow)), "0")
half = connect(); half.sendall(b"set=1\nfwmark=")
started = time.time()
try: rest = half.recv(100)
except ConnectionResetError: rest = b""
check("half a request", (rest, 4 < time.time() - started < 20), (b"", True))
# An endless line, an endless request.
flood = connect()
try:
    flood.sendall(b"set=1\n")
    for _ in range(2000): flood.sendall(b"a" * 1000)
    print("FAIL: an endless line is read"); sys.exit(1)
except (BrokenPipeError, ConnectionResetError): pass
# A client that asks and asks and never reads must not be answered into memory without end.
greedy = connect(); greedy.setblocking(False)
try:
    for _ in range(200000): greedy.send(b"get=1\n\n")
except BlockingIOError: pass
check("beside a greedy client", errno(ask("get=1\n\n")), "0")
PY
python3 talk.py || fail "the UAPI"
ok "U2, U3, U5: requests, errors, slow and greedy clients"
private=$(awk '/^Private/ { sum += $2 } END { print sum }' "/proc/$(workers one)/smaps")
[ "$private" -lt 8192 ] || fail "the worker has $private KiB of private memory after that"

# A worker that does not serve is replaced after five seconds.
worker=$(workers one)
kill -STOP "$worker"
start=$SECONDS
timeout 60 wg show one >shown || fail "never answered"
[ "$(workers one)" != "$worker" ] || fail "the same worker"
grep -q "allowed ips: 10.0.0.0/8" shown || fail "what was configured is forgotten: $(cat shown)"
[ $((SECONDS - start)) -le 20 ] || fail "took $((SECONDS - start)) s"
ok "a worker that leaves a client unserved for 5 s is replaced"
