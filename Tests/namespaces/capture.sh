#!/bin/bash
# What a host interface sees during attach, traffic, the device's end and detach: WireGuard, and nothing else
# (P1, P2).
source "$(dirname "$0")/../lib/test.sh"
need tcpdump curl
make_gateway
ip link set lo up
capture "$test_folder/uplink.pcap" uplink

swg-ns attach "$test_folder/client1.conf" --netns blue --create --engine "$backend" --quiet --wait
ip netns exec blue curl -s -m 15 http://10.99.0.1/ >/dev/null
# Traffic in both families goes on while the engine dies (a driver's device is deleted), and after it is gone.
ip netns exec blue bash -c 'for i in $(seq 40); do ping -c 1 -W 1 -n 198.51.100.7; ping -6 -c 1 -W 1 -n 2001:db8:7::7; sleep 0.02; done' >/dev/null 2>&1 &
talker=$!
sleep 0.3
engine=$(swg-ns list --json | sed -n 's/.*"enginePID": \([0-9]*\).*/\1/p')
if on_kernel; then ip -n blue link delete wg0; else kill -9 "$engine"; fi
wait_until 5 bash -c '! ip -n blue link show wg0' || fail "the device outlives the engine"
ip netns exec blue curl -s -m 1 http://198.51.100.7/ && fail "there is a way out after the engine's death"
swg-ns detach client1 --quiet
wait "$talker" || true
stop_capture

tcpdump -n -r "$test_folder/uplink.pcap" 'udp port 51820' 2>/dev/null | grep >/dev/null . || fail "nothing was captured at all"
# What the two ends of the cable say by themselves: ARP, neighbour discovery, multicast reports, and that the port of a
# device that is gone is closed, when the other side goes on sending there.
others=$(tcpdump -n -r "$test_folder/uplink.pcap" 'not udp port 51820 and not arp and not icmp6 and not dst ff02::16
    and not (icmp[0] = 3 and icmp[1] = 3 and icmp[28:2] = 51820)' 2>/dev/null)
[ -z "$others" ] || fail "P1: something else left: $others"
neighbours=$(tcpdump -n -r "$test_folder/uplink.pcap" 'icmp6 and not ip6[40] == 135 and not ip6[40] == 136' 2>/dev/null)
[ -z "$neighbours" ] || fail "P1: ICMPv6 that is no neighbour discovery left: $neighbours"
first=$(tcpdump -n -r "$test_folder/uplink.pcap" -x 'udp port 51820 and src host 192.0.2.1' 2>/dev/null | grep -c 'IP ')
[ "$first" -gt 0 ] || fail "no packet of ours"
ok "P1: during attach, traffic, the device's end and detach only WireGuard left ($first packets)"
