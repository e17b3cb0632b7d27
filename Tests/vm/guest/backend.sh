#!/bin/bash
# limit: 350 s
# The kernel backend of swg-ns on the real driver: attach, detach, run, set, CNI; what appears where, and that
# nothing stays behind.
source "$(dirname "$0")/../../lib/test.sh"
make_gateway
# What the two sides say when a check fails.
trap 'status=$?; [ $status = 0 ] || { tail -n 5 "$test_folder/gateway.log"; find /run/swg-ns -name "*.log" -exec tail -n 10 {} +; }' EXIT
conf=$test_folder/client1.conf
fetch() { ip netns exec pod curl -s -m 20 http://10.99.0.1/; }
inventory >before

# Where the host's interfaces are watched, no WireGuard interface is ever seen.
ip -o monitor link >monitor 2>&1 &
monitor=$!
# An interface of no interest shows that it listens by now.
is_watched() {
    ip link add control type dummy
    ip link delete control
    grep ' control:' monitor
}
wait_until 10 is_watched || fail "interfaces are not watched"
ip netns add pod
expect_status 0 swg-ns attach --engine auto --id first --wait=60 "$conf" --netns pod
expect_output '[Kk]ernel'
ok "auto takes the kernel and says so"
[ "$(ip -n pod -o link show type wireguard | wc -l)" = 1 ] || fail "no wireguard interface in the target"
fetch | grep >/dev/null 'hello from behind' || fail "no page through the tunnel"
port=$(ip netns exec pod wg show wg0 listen-port)
ss -Huln | grep >/dev/null ":$port " || fail "the UDP socket is not in the birthplace"
[ -z "$(ip netns exec pod ss -Hulnp | grep ":$port " || true)" ] || fail "the UDP socket is in the target"
! grep -vE '^(Deleted )?[0-9]+: (lo|uplink|control)[:@]' monitor || fail "an interface was seen outside of its target: $(cat monitor)"
[ -z "$(ip -o link show type wireguard)" ] || fail "a wireguard interface is on the host"
ok "P2: the device appears in the target alone, its socket lives in the birthplace"
swg-ns doctor >doctor 2>&1 || true
grep -q "kernel's WireGuard.*auto takes it" doctor || { cat doctor; fail "doctor does not see the driver"; }
expect_status 0 swg-ns check first
ok "check proves P1 to P3, doctor knows the driver"

# A reload changes what differs and nothing else: the session lives on, with its index, its counters and its keys.
shaken=$(ip netns exec pod wg show wg0 latest-handshakes)
# same_session: no new handshake since. After 120 s (REKEY_AFTER_TIME) there is one by itself: on a machine that has been
# so slow, nothing can be told.
same_session() {
    [ "$(ip netns exec pod wg show wg0 latest-handshakes)" = "$shaken" ] || [ $(($(date +%s) - ${shaken#*$'\t'})) -gt 115 ]
}
transferred=$(ip netns exec pod wg show wg0 transfer | cut -f 3)
capture wire uplink udp port 51820
fetch >/dev/null
sed 's/^AllowedIPs.*/AllowedIPs = 10.99.0.0\/16, fd99::\/64, 0.0.0.0\/0\nPersistentKeepalive = 25/' "$conf" >changed.conf
chmod 600 changed.conf
expect_status 0 swg-ns set first "$PWD/changed.conf"
same_session || fail "the session was dropped by a reload"
ip netns exec pod wg showconf wg0 | grep >/dev/null 'PersistentKeepalive = 25' || fail "set did not set"
[ "$(ip netns exec pod wg show wg0 allowed-ips | cut -f 2 | tr ' ' '\n' | sort | paste -sd' ')" = "0.0.0.0/0 10.99.0.0/16 fd99::/64" ] ||
    fail "allowed IPs after set: $(ip netns exec pod wg show wg0 allowed-ips)"
fetch >/dev/null || fail "no page after set"
stop_capture
same_session || fail "a new handshake was made after a reload"
[ "$(ip netns exec pod wg show wg0 transfer | cut -f 3)" -gt "$transferred" ] || fail "counters began anew"
# The bytes behind the type of a data packet: the receiver's index.
tcpdump -n -x -r wire 'dst port 51820 and udp[8] = 4' 2>/dev/null | awk '$1 == "0x0020:" { print $2 $3 }' >indices
[ "$(wc -l <indices)" -gt 8 ] && [ "$(sort -u indices | wc -l)" = 1 ] || fail "session indices on the wire: $(sort indices | uniq -c)"
[ -z "$(tcpdump -n -r wire 'udp[8] < 4' 2>/dev/null)" ] || fail "a handshake on the wire: $(tcpdump -n -r wire 'udp[8] < 4' 2>/dev/null)"
[ "$(swg-ns set first)" = "nothing to change" ] || fail "a second set changes something"
ok "set applies the difference and keeps the session: handshake, counters, index on the wire"

# The driver takes mark and port one after the other: a port that is taken leaves neither.
ip link add taker type wireguard
wg set taker listen-port 51999
ip link set taker up
ip netns exec pod wg showconf wg0 >holds
sed 's/^\[Interface\]/&\nFwMark = 0x55\nListenPort = 51999/; s/= 25/= 26/' changed.conf >refused.conf
chmod 600 refused.conf
expect_status 1 swg-ns set first "$PWD/refused.conf"
expect_output 'EADDRINUSE.*taken'
ip netns exec pod wg showconf wg0 | cmp holds - || fail "a refused set was half applied: $(ip netns exec pod wg showconf wg0 | diff holds -)"
same_session || fail "a refused set dropped the session"
ok "a refused set is taken back"

# The driver binds the port when the interface goes up: all was made by then, and all of it goes.
ip netns add other
inventory >before.other
sed "s|^PrivateKey.*|PrivateKey = $(wg genkey)|" refused.conf >taken.conf
chmod 600 taken.conf
expect_status 1 swg-ns attach --engine kernel --id taken "$PWD/taken.conf" --netns other
expect_output 'EADDRINUSE.*ListenPort='
inventory >after.other
same_inventory before.other after.other
ip netns delete other
ip link delete taker
ok "P4: an attach that the driver refuses at the last step leaves nothing"

expect_status 0 swg-ns detach first
expect_status 0 swg-ns detach first
ip netns delete pod
kill $monitor
inventory >after
same_inventory before after
ok "P4: detach leaves nothing, twice"

# From the engine to the kernel and back, in one namespace with the same key.
ip netns add pod
for backend in userspace kernel userspace; do
    expect_status 0 swg-ns attach --engine $backend --id turn --wait=60 "$conf" --netns pod
    fetch | grep >/dev/null 'hello from behind' || fail "no page with $backend"
    expect_status 0 swg-ns detach turn
done
ok "a host goes from engine to kernel and back"

expect_status 0 swg-ns run --engine kernel "$conf" -- curl -s -m 20 http://10.99.0.1/
expect_output 'hello from behind'
ok "run with the kernel"

# 2,000 peers, 130,000 allowed IPs: written through attach, read back by wg.
{
    printf '[Interface]\nPrivateKey = %s\nAddress = 10.0.0.1/32\nTable = off\nListenPort = 51999\n' "$(cat client2.key)"
    head -c 66000 /dev/urandom | base64 -w 0 | fold -w 43 | head -n 2000 | awk '{
        # 43 characters of base64 whose last one leaves no bit over.
        printf "[Peer]\nPublicKey = %s%s=\nAllowedIPs = ", substr($0, 1, 42), "A"
        for (i = 0; i < 65; i++) { n = (NR - 1) * 65 + i; printf "%s10.%d.%d.%d/32", i ? ", " : "", n / 65536, n / 256 % 256, n % 256 }
        print ""
    }'
} >large.conf
chmod 600 large.conf
[ "$(grep -c PublicKey large.conf)" = 2000 ] || fail "the large configuration is not what it should be"
expect_status 0 swg-ns attach --engine kernel --id large "$PWD/large.conf" --netns pod
flat() { awk '/PublicKey/ { key = $3 } /AllowedIPs/ { sub(/.*= /, ""); n = split($0, a, /, */); for (i = 1; i <= n; i++) print key, a[i] }' | sort; }
flat <large.conf >wanted
ip netns exec pod wg showconf wg0 | flat >found
[ "$(wc -l <wanted)" = 130000 ] || fail "not 130,000 allowed IPs"
cmp wanted found || fail "what the driver holds is not what was written"
expect_status 0 swg-ns detach large
ok "2,000 peers and 130,000 allowed IPs are written exactly"

# Without the right to: the reason, and nothing half made.
# The driver takes its time to free the large device, in a child of detach.
wait_until 60 sh -c '! pgrep -x swg-ns'
inventory >before
for choice in kernel auto; do
    expect_status 1 setpriv --bounding-set -net_admin --inh-caps -net_admin swg-ns attach --engine $choice --id not "$conf" --netns pod
    expect_output 'CAP_NET_ADMIN|EPERM|not permitted'
done
inventory >after
same_inventory before after
ok "without CAP_NET_ADMIN it says so and leaves nothing"

cni() { # cni COMMAND
    CNI_COMMAND=$1 CNI_CONTAINERID=box1 CNI_NETNS=/run/netns/pod CNI_IFNAME=eth0 CNI_PATH=$SWG_BIN swg-cni
}
network() { # network [PREVRESULT]
    printf '{"cniVersion":"1.0.0","name":"egress","type":"swg-cni","engine":"kernel","config":"%s"%s}' "$conf" "${1:+,\"prevResult\":$1}"
}
result=$(network | cni ADD) || fail "CNI ADD: $result"
ip -n pod -o link show dev eth0 type wireguard | grep >/dev/null eth0 || fail "CNI made no wireguard interface"
wait_until 60 fetch || fail "no page through the CNI's tunnel"
network "$result" | cni CHECK || fail "CNI CHECK"
network "$result" | cni DEL || fail "CNI DEL"
network | cni DEL || fail "CNI DEL, again"
[ -z "$(ip -n pod -o link show type wireguard)" ] || fail "CNI left the interface"
ok "CNI ADD, CHECK, DEL with the kernel"
