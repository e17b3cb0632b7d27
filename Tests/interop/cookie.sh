#!/bin/bash
# C2 to C6: cookies under load, in both directions: a flood of initiations with a valid mac1 from elsewhere, and a
# peer that wants in meanwhile. And nobody's data is held up by it.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/pair.sh"
need wg wireguard-go ping python3 tcpdump

make_pair swg-engine wireguard-go
cat >flood.py <<'PY'
# flood.py SOURCE TARGET PORT PUBLICKEY SECONDS: initiations of random bytes with a valid mac1.
import base64, hashlib, os, socket, struct, sys, time
source, target, port, key, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), base64.b64decode(sys.argv[4]), float(sys.argv[5])
mac_key = hashlib.blake2s(b"mac1----" + key).digest()
messages = []
for number in range(2000):
    body = struct.pack("<II", 1, number) + os.urandom(108)
    messages.append(body + hashlib.blake2s(body, key=mac_key, digest_size=16).digest() + bytes(16))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((source, 0)); s.connect((target, port))
s.setblocking(False)
end = time.time() + seconds
while time.time() < end:
    for message in messages:
        try: s.send(message)
        except OSError: pass
PY
# Whoever sends the most is a stranger of the side that is not flooded.
ip -n b addr add 192.0.2.66/24 dev vb
ip -n a addr add 192.0.2.67/24 dev va
wg set wga peer "$b_public" endpoint 192.0.2.2:2222
wg set wgb peer "$a_public" endpoint 192.0.2.1:1111
cookies() { tcpdump -n -r "$1" "src host $2 and dst host $3 and udp[8] = 3" 2>/dev/null | wc -l; }
watch_wire() { # watch_wire FILE
    ip netns exec b tcpdump --immediate-mode -n -U -i vb -w "$1" 'udp and udp[4:2] = 72 or udp[4:2] = 156' 2>"$1.log" &
    dump=$!
    wait_until 5 grep -q listening "$1.log"
}

# We are flooded: the other side gets a cookie reply, tries again with mac2, and is let in.
watch_wire ours.pcap
ip netns exec b python3 flood.py 192.0.2.66 192.0.2.1 1111 "$a_public" 16 &
flooding=$!
sleep 2
wait_until 25 in_b ping -q -c 1 -W 1 10.0.0.1 || fail "C5: not let in under load"
kill $flooding 2>/dev/null || true
wait $flooding || true
end_tcpdump $dump ours.pcap.log
[ "$(cookies ours.pcap 192.0.2.1 192.0.2.66)" -gt 10 ] || skip "this machine is too slow to flood the engine"
ok "C5: under load we ask for a cookie, and a peer that brings it is let in"

# The other side is flooded, and we are the ones who have to bring the cookie.
wg set wga peer "$b_public" remove
wg set wga peer "$b_public" allowed-ips 10.0.0.2/32,fd00::2/128 endpoint 192.0.2.2:2222
watch_wire theirs.pcap
ip netns exec a python3 flood.py 192.0.2.67 192.0.2.2 2222 "$b_public" 16 &
flooding=$!
sleep 2
wait_until 25 in_a ping -q -c 1 -W 1 10.0.0.2 || fail "C4: we did not get in under load"
kill $flooding 2>/dev/null || true
wait $flooding || true
end_tcpdump $dump theirs.pcap.log
ok "C4: we got in under load, $(cookies theirs.pcap 192.0.2.2 192.0.2.67) cookie replies went to the stranger, $(cookies theirs.pcap 192.0.2.2 192.0.2.1) to us"

[ -z "$(cat a.log)" ] || fail "$(cat a.log)"
