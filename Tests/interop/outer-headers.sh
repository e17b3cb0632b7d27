#!/bin/bash
# D5, D6: what the packets outside look like: DSCP and ECN, no DF, fragments over a narrow path.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/pair.sh"
need wg ping tcpdump iperf3 nft

make_pair swg-engine swg-engine
ip netns exec b tcpdump --immediate-mode -n -U -v -i vb -w wire.pcap udp or 'ip[6:2] & 0x1fff != 0' 2>wire.log &
dump=$!
wait_until 5 grep -q listening wire.log
wg set wga peer "$b_public" endpoint 192.0.2.2:2222
in_a ping -q -c 1 -W 20 10.0.0.2 >/dev/null
in_a ping -q -c 1 -W 20 -Q 0xb9 10.0.0.2 >/dev/null
in_a ping -q -c 1 -W 20 -Q 0x02 10.0.0.2 >/dev/null
in_a ping -q -c 1 -W 20 -Q 0x01 fd00::2 >/dev/null
end_tcpdump $dump wire.log
tcpdump -n -v -r wire.pcap >dump.text 2>&1
tos() { # tos LENGTH: TOS of the datagrams from a with this UDP payload
    tcpdump -n -v -r wire.pcap 'src host 192.0.2.1' 2>/dev/null | paste - - | grep "length $1\$" | sed 's/.*tos \(0x[0-9a-f]*\).*/\1/'
}
[ "$(tos 148)" = 0x88 ] || fail "D5: the initiation has no 0x88: $(cat dump.text)"
[ "$(tos 128 | sort -u | tr '\n' ' ')" = "0x0 0x1 0x2 " ] || fail "D5: data has $(tos 128)"
[ "$(tos 144 | sort -u)" = 0x1 ] || fail "D5: data in IPv6 has $(tos 144)"
response=$(tcpdump -n -v -r wire.pcap 'src host 192.0.2.2' 2>/dev/null | paste - - | grep 'length 92$' | sed 's/.*tos \(0x[0-9a-f]*\).*/\1/')
[ "$response" = 0x88 ] || fail "D5: the response has $response"
! tcpdump -n -v -r wire.pcap 2>/dev/null | grep >/dev/null 'flags \[DF\]' || fail "D6: DF is set"
ok "D5, D6: DSCP of handshakes, ECN of data, no DF"

# D5 inbound: a router that marks congestion outside is heard inside.
in_b nft -f - <<'NFT'
table ip congestion {
    chain early {
        type filter hook prerouting priority -300
        udp dport 2222 ip ecn set ce
    }
}
NFT
ip netns exec b tcpdump --immediate-mode -n -U -v -i wgb -w inner.pcap icmp 2>inner.log &
dump=$!
wait_until 5 grep -q listening inner.log
in_a ping -q -c 1 -W 20 -Q 0x02 10.0.0.2 >/dev/null
in_a ping -q -c 1 -W 20 -Q 0x00 10.0.0.2 >/dev/null
end_tcpdump $dump inner.log
seen=$(tcpdump -n -v -r inner.pcap 'src host 10.0.0.1' 2>/dev/null | sed -n 's/.*tos \(0x[0-9a-f]*\).*/\1/p' | tr '\n' ' ')
[ "$seen" = "0x3 0x0 " ] || fail "D5: inside they have $seen"
in_b nft delete table ip congestion
ok "D5: a mark of congestion outside reaches an ECN-capable packet inside, and no other"

# D6: trains over a link of 1280: fragments, and all of it arrives.
ip -n a link set va mtu 1280
ip netns exec b tcpdump --immediate-mode -n -U -v -i vb -w narrow.pcap ip 2>narrow.log &
dump=$!
wait_until 5 grep -q listening narrow.log
in_b iperf3 -s -1 -D --logfile server.log
wait_until 5 sh -c 'ip netns exec b ss -Hltn | grep >/dev/null :5201'
in_a iperf3 -c 10.0.0.2 -n 20M >client.log 2>&1 || fail "no traffic over a narrow path: $(cat client.log)"
end_tcpdump $dump narrow.log
[ "$(tcpdump -n -r narrow.pcap 'src host 192.0.2.1 and ip[6:2] & 0x3fff != 0' 2>/dev/null | wc -l)" -gt 100 ] || fail "D6: no fragments"
[ "$(tcpdump -n -r narrow.pcap 'src host 192.0.2.1 and ip[6] & 0x40 != 0' 2>/dev/null | wc -l)" = 0 ] || fail "D6: DF is set"
ok "D6: trains are fragmented over a link of 1280"
