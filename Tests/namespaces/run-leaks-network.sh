#!/bin/bash
# `run`: the tunnel is the only way out, also for IPv6, and after the engine's death. Leak rows 18 to 21, promise P1.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/run-modes.sh"
prepare_modes
need tcpdump

for mode in $modes; do
    links=$(behind "$mode" ip -o link show | awk -F': ' '{ print $2 }' | grep -vE '^(tunl0|sit0|gre0|gretap0|erspan0|ip_vti0|ip6_vti0|ip6tnl0|ip6gre0)(@|$)' | tr '\n' ' ')
    [ "$links" = "lo wg0 " ] || fail "P1, leak row 18 ($mode): interfaces $links"
    strangers=$(behind "$mode" "$BASH" -c 'ip -4 route show table all; ip -6 route show table all' | grep -vE 'dev (lo|wg0)' || true)
    [ -z "$strangers" ] || fail "P1, leak row 18 ($mode): $strangers"
    ok "leak row 18 ($mode): lo and the tunnel, no route elsewhere (P1)"
done

# What leaves this host while a command tries everything: WireGuard, and neighbour discovery of the veth pair.
for mode in root rootless-strict; do
    capture "$test_folder/$mode.pcap" uplink
    behind "$mode" "$BASH" -c '
        /srv/bin/leak-probe udp 192.0.2.2 9; /srv/bin/leak-probe tcp 192.0.2.2 80
        /srv/bin/leak-probe udp 2001:db8::2 9; /srv/bin/leak-probe udp 198.51.100.7 53
        /srv/bin/leak-probe udp 10.99.0.1 9; busybox wget -q -O- http://10.99.0.1/ || true' >"$test_folder/output" </dev/null
    grep -q 'hello from behind the tunnel' "$test_folder/output" || fail "($mode): $(cat "$test_folder/output")"
    stop_capture
    # A gateway that still asks for the tunnel of the round before hears that its port is closed.
    others=$(tcpdump -n -r "$test_folder/$mode.pcap" 2>/dev/null | grep -vE 'ARP|ICMP6, neighbor|192\.0\.2\.[12]\.[0-9]+ > 192\.0\.2\.[12]\.[0-9]+: UDP|192\.0\.2\.1 > 192\.0\.2\.2: ICMP 192\.0\.2\.1 udp port [0-9]+ unreachable' || true)
    [ -z "$others" ] || fail "leak row 18 ($mode): on the wire: $others"
    [ "$(tcpdump -n -r "$test_folder/$mode.pcap" 'udp and not port 51820' 2>/dev/null | wc -l)" = 0 ] ||
        fail "leak row 18 ($mode): UDP past the tunnel"
    [ "$(tcpdump -n -r "$test_folder/$mode.pcap" 'udp port 51820' 2>/dev/null | wc -l)" -gt 4 ] || fail "nothing was captured"
    ok "leak row 18 ($mode): the wire carries WireGuard and nothing else"
done

for mode in root rootless; do
    folder=$(dirname "$(configuration_of $mode)")
    sed -e 's/^Address.*/Address = 10.99.0.2\/32/' "$(configuration_of $mode)" >"$folder/v4-$mode.conf"
    [ $mode = root ] || sed -i 's/10.99.0.2/10.99.0.3/' "$folder/v4-$mode.conf"
    chmod 600 "$folder/v4-$mode.conf"
    [ $mode = root ] || chown $tester "$folder/v4-$mode.conf"
    answer=$(swg $mode run --quiet "$folder/v4-$mode.conf" -- /srv/bin/leak-probe udp 2001:db8::2 9)
    [[ $answer =~ ^(ENETUNREACH|EADDRNOTAVAIL|EACCES|EHOSTUNREACH)$ ]] || fail "leak row 19 ($mode): $answer"
    [ -z "$(swg $mode run --quiet "$folder/v4-$mode.conf" -- ip -6 route show table all | grep -v 'dev lo')" ] ||
        fail "leak row 19 ($mode): an IPv6 route is left"
    ok "leak row 19 ($mode): a tunnel without IPv6 address has no IPv6"
done

# The engine dies under a running command, or the driver's device is deleted.
for mode in root rootless; do
    mkfifo "$test_folder/go"
    chmod 666 "$test_folder/go"
    : >"$test_folder/output"
    # What is sent while the device still goes away is the capture's business; then nothing may even be tried.
    behind $mode "$BASH" -c 'echo here; read -r
        for try in {1..50}; do
            /srv/bin/leak-probe udp 198.51.100.7 53 >/dev/null; [ -e /proc/sys/net/ipv4/conf/wg0 ] || break; sleep 0.1
        done
        for round in 1 2 3 4 5; do
            /srv/bin/leak-probe udp 198.51.100.7 53; /srv/bin/leak-probe tcp 192.0.2.2 80; done; ip -o link' \
        <"$test_folder/go" >"$test_folder/output" 2>&1 &
    command=$!
    exec 8>"$test_folder/go"
    wait_until 10 grep -q here "$test_folder/output" || fail "($mode) $(cat "$test_folder/output")"
    capture "$test_folder/death.pcap" uplink 'not port 51820'
    if on_kernel && [ $mode = root ]; then
        nsenter -t "$(pgrep -n -f '^[^ ]*bash -c .*echo here')" -n ip link delete wg0
    else
        pkill -KILL -f '^/srv/bin/swg-engine|^swg-engine' || fail "no engine to kill"
    fi
    wait_until 5 sh -c '! pgrep -f "^/srv/bin/swg-engine|^swg-engine"' || fail "the engine lives on"
    echo >&8
    exec 8>&-
    wait $command || true
    stop_capture
    # Ten attempts were made, and each said why not.
    [ "$(grep -cE '^E[A-Z]+$' "$test_folder/output")" = 10 ] && grep -q ' lo: ' "$test_folder/output" ||
        fail "leak row 20 ($mode): not tried: $(cat "$test_folder/output")"
    ! grep -q '^open' "$test_folder/output" || fail "leak row 20 ($mode): $(cat "$test_folder/output")"
    ! grep -q wg0 "$test_folder/output" || fail "leak row 20 ($mode): the device outlives its engine"
    others=$(tcpdump -n -r "$test_folder/death.pcap" 2>/dev/null |
        grep -vE 'ARP|ICMP6, neighbor|192\.0\.2\.1 > 192\.0\.2\.2: ICMP 192\.0\.2\.1 udp port [0-9]+ unreachable' || true)
    [ -z "$others" ] || fail "leak row 20 ($mode): on the wire: $others"
    rm "$test_folder/go"
    ok "leak row 20 ($mode): after the engine's death there is no way out"
done
expect_status 125 swg root run --wait=1 --quiet <(sed 's/51820/51821/' "$(configuration_of root)") -- touch /srv/started
[ ! -e /srv/started ] || fail "leak row 20: the command was started without a tunnel"
ok "leak row 20: nothing is started before the handshake"

# FwMark= marks the outer packets: a rule for the mark decides about them.
sed '/^\[Interface\]/a FwMark = 0x77' "$(configuration_of root)" >/srv/marked.conf
chmod 600 /srv/marked.conf
expect_status 0 swg root run --quiet /srv/marked.conf -- true
ip rule add fwmark 0x77 unreachable
expect_status 125 swg root run --quiet --wait=1 /srv/marked.conf -- true
ip rule del fwmark 0x77
ok "leak row 21: outer packets carry FwMark, and follow its rules"
