#!/bin/bash
# The worker killed again and again in the middle of TCP: connections survive, nothing is forgotten, nothing
# leaves in clear, no recorded initiation is accepted again.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/pair.sh"
need wg wireguard-go ping iperf3 tcpdump

make_pair swg-engine wireguard-go
wg set wga peer "$b_public" endpoint 192.0.2.2:2222 persistent-keepalive 25
expect_ping a 10.0.0.2
ip -n b addr del 192.0.2.2/24 dev vb
ip -n b addr add 192.0.2.7/24 dev vb
wg set wgb peer "$a_public" endpoint 192.0.2.1:1111
expect_ping b 10.0.0.1
wg set wga peer "$b_public" allowed-ips +10.0.0.77/32 2>/dev/null ||
    wg set wga peer "$b_public" allowed-ips 10.0.0.2/32,fd00::2/128,10.0.0.77/32

ip netns exec b tcpdump --immediate-mode -n -U -i vb -w wire.pcap 2>wire.log &
dump=$!
wait_until 5 grep -q listening wire.log
in_b iperf3 -s -1 -D --logfile server.log
wait_until 5 sh -c 'ip netns exec b ss -Hltn | grep >/dev/null :5201'
in_a iperf3 -c 10.0.0.2 -t 9 -i 1 --connect-timeout 3000 >client.log 2>&1 &
client=$!
for round in 1 2 3 4 5; do
    sleep 1.2
    before=$(workers wga)
    kill -KILL $before
    wait_until 2 sh -c "p=\$(pgrep -f 'swg-engine --worker wga\$') && [ \"\$p\" != '$before' ]" || fail "no new worker"
    # One of ten: beside a full connection either end may drop one.
    in_a ping -q -c 10 -i 0.1 -W 1 10.0.0.2 >/dev/null || fail "no traffic one second after death $round"
done
wait $client || {
    cat client.log
    fail "the TCP connection broke"
}
ok "five workers killed, the TCP connection lives: $(grep -c '0.00 bits/sec' client.log || true) silent seconds of 9"

end_tcpdump $dump wire.log
clear=$(tcpdump -n -r wire.pcap 'ip and not udp port 2222 and not icmp' 2>/dev/null | wc -l)
[ "$clear" = 0 ] || fail "$clear packets left in clear"
ok "nothing left in clear"

[ "$(wg show wga endpoints | cut -f 2)" = 192.0.2.7:2222 ] || fail "the roamed endpoint is forgotten: $(wg show wga endpoints)"
[[ $(wg show wga allowed-ips) == *10.0.0.77/32* ]] || fail "an accepted change is forgotten"
[ "$(wg show wga persistent-keepalive | cut -f 2)" = 25 ] || fail "the keepalive is forgotten"
[ "$(wg show wga listen-port)" = 1111 ] || fail "the port is forgotten"
[ "$(wg show wga private-key)" = "$(cat a.key)" ] || fail "the key is forgotten"
# Not through grep -q: it ends at the match, and ip, which writes address by address, of SIGPIPE.
[[ $(ip -n a addr show dev wga) == *10.0.0.1/24* ]] || fail "the interface's address is gone"
ok "interface, changes and roamed endpoint outlive the worker"

# The other direction: a connection into the engine.
in_a iperf3 -s -1 -D --logfile server2.log
wait_until 5 sh -c 'ip netns exec a ss -Hltn | grep >/dev/null :5201'
in_b iperf3 -c 10.0.0.1 -t 4 -i 1 >client2.log 2>&1 &
client=$!
for round in 1 2; do
    sleep 1
    # shellcheck disable=SC2046 # several processes, several words
    kill -KILL $(workers wga)
done
wait $client || {
    cat client2.log
    fail "the incoming TCP connection broke"
}
ok "incoming connections survive, too"
