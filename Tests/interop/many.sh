#!/bin/bash
# 130,560 allowed IPs on one peer, 10,000 peers on one device: set, shown and found again.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/pair.sh"
need wg ping python3

make_pair swg-engine swg-engine
wg set wga peer "$b_public" endpoint 192.0.2.2:2222
wg genkey >many.key
cat >make.py <<'PY'
import base64, os, sys
kind, key = sys.argv[1], sys.argv[2]
print("[Interface]\nPrivateKey = %s\nListenPort = 1111" % open("a.key").read().strip())
if kind == "addresses":
    print("[Peer]\nPublicKey = %s\nEndpoint = 192.0.2.2:2222" % key)
    # As the kernel's selftest: 255 * 256 of each family.
    for high in range(1, 256):
        print("AllowedIPs = " + ", ".join("10.%d.%d.%d/32" % (high, low >> 8 & 255, low & 255) for low in range(256)))
        print("AllowedIPs = " + ", ".join("fd00:%x:%x::/64" % (high, low) for low in range(256)))
    print("AllowedIPs = 10.0.0.2/32, fd00::2/128")
else:
    for number in range(10000):
        public = base64.b64encode(os.urandom(32)).decode()
        print("[Peer]\nPublicKey = %s\nAllowedIPs = 10.%d.%d.0/24" % (public, 1 + number // 256, number % 256))
    print("[Peer]\nPublicKey = %s\nEndpoint = 192.0.2.2:2222\nAllowedIPs = 10.0.0.2/32, fd00::2/128" % key)
PY
python3 make.py addresses "$b_public" >addresses.conf
wg setconf wga addresses.conf
[ "$(wg show wga allowed-ips | cut -f 2 | wc -w)" = $((130560 + 2)) ] || fail "$(wg show wga allowed-ips | wc -w) allowed IPs"
expect_ping a 10.0.0.2
expect_ping a fd00::2
ok "130,560 allowed IPs on one peer"

python3 make.py peers "$b_public" >peers.conf
wg setconf wga peers.conf
[ "$(wg show wga peers | wc -l)" = 10001 ] || fail "$(wg show wga peers | wc -l) peers"
expect_ping a 10.0.0.2
wg showconf wga | grep -c '^PublicKey' | grep >/dev/null -x 10001 || fail "showconf"
kill -KILL "$(workers wga)"
wait_until 10 sh -c "[ \"\$(wg show wga peers | wc -l)\" = 10001 ]" || fail "peers are forgotten with the worker"
expect_ping a 10.0.0.2 20
private=$(awk '/^Private/ { sum += $2 } END { print sum }' "/proc/$(workers wga)/smaps")
ok "10,000 peers on one device, also for a new worker; it has $((private / 1024)) MiB of private memory"
