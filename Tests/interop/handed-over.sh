#!/bin/bash
# As Tunnels starts it: WG_TUN_FD, WG_UAPI_FD, SWG_CONFIG_FD, SWG_READY_FD, SWG_LIFE_FD.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/pair.sh"
need wg wireguard-go ping python3

make_wire
start_engine b wireguard-go
wg set wgb private-key b.key listen-port 2222 peer "$a_public" allowed-ips 10.0.0.1/32,fd00::1/128
ip netns add inside

hex() { base64 -d | od -An -v -tx1 | tr -d ' \n'; }
cat >config <<CONFIG
set=1
private_key=$(hex <a.key)
listen_port=1111
replace_peers=true
public_key=$(echo "$b_public" | hex)
endpoint=192.0.2.2:2222
allowed_ip=10.0.0.2/32
allowed_ip=fd00::2/128

CONFIG

cat >start.py <<'PY'
# start.py CONFIG [plain]: TUN, listener, configuration, readiness, life; prints the engine's words, then waits.
import fcntl, os, socket, struct, subprocess, sys, time
TUNSETIFF, IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x400454CA, 1, 0x1000, 0x4000
tun = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
flags = IFF_TUN | IFF_NO_PI | (0 if "plain" in sys.argv else IFF_VNET_HDR)
fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"temporary0", flags))
os.makedirs("/run/wireguard", exist_ok=True)
path = "/run/wireguard/tunnel1.sock"
if os.path.exists(path): os.unlink(path)
listener = socket.socket(socket.AF_UNIX); listener.bind(path); listener.listen()
config = os.open(sys.argv[1], os.O_RDONLY)
ready_r, ready_w = os.pipe(); life_r, life_w = os.pipe()
subprocess.check_call("ip link set temporary0 netns inside name wg0".split())
environment = dict(os.environ, WG_TUN_FD=str(tun), WG_UAPI_FD=str(listener.fileno()), SWG_CONFIG_FD=str(config),
                   SWG_READY_FD=str(ready_w), SWG_LIFE_FD=str(life_r))
engine = subprocess.Popen(["swg-engine", "-f", "tunnel1"], env=environment,
                          pass_fds=[tun, listener.fileno(), config, ready_w, life_r])
for number in (tun, config, ready_w, life_r): os.close(number)
listener.close()
words = b""
while True:
    more = os.read(ready_r, 4096)
    if not more: break
    words += more
print(words.decode(), end="", flush=True)
if words != b"ready\n": sys.exit(10 + engine.wait())
sys.stdin.read()
os.close(life_w)
started = time.time()
status = engine.wait()
print("ended with", status, "after", round(time.time() - started, 2), flush=True)
PY

up() {
    ip -n inside addr add 10.0.0.1/24 dev wg0
    ip -n inside addr add fd00::1/64 dev wg0 nodad
    ip -n inside link set wg0 mtu 1420 up
}
for flavour in vnet plain; do
    mkfifo life.$flavour
    in_a python3 start.py config $flavour <life.$flavour >words.$flavour 2>&1 &
    starter=$!
    exec 7>life.$flavour
    wait_until 5 grep -q ready words.$flavour || fail "not ready: $(cat words.$flavour)"
    wg show tunnel1 >/dev/null
    up
    expect_ping inside 10.0.0.2
    expect_ping b fd00::1
    exec 7>&-
    wait $starter
    grep -q "ended with 0" words.$flavour || fail "SWG_LIFE_FD: $(cat words.$flavour)"
    ! ip -n inside link show wg0 >/dev/null 2>&1 || fail "the interface stays"
    ok "handed over ($flavour): ready, traffic, end of life"
    # Both sides forget the old session, so that the second round begins with a handshake.
    wg set wgb peer "$a_public" remove
    wg set wgb peer "$a_public" allowed-ips 10.0.0.1/32,fd00::1/128
done

sed 's/^listen_port=.*/listen_port=nonsense/' config >bad
expect_status 11 in_a python3 start.py bad </dev/null
expect_output "refused.*EINVAL"
ok "a configuration that makes no sense is refused by name"

in_a env LOG_LEVEL=error wireguard-go other 2>/dev/null
in_a wg set other listen-port 1111
ip -n a link set other up
expect_status 11 in_a python3 start.py config </dev/null
expect_output "EADDRINUSE"
ok "a port in use is told before ready"
