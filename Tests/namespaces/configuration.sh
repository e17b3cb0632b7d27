#!/bin/bash
# Every key of wg(8) and wg-quick(8) that the other tests do not use, seen on the live device and in the namespace; and
# `AllowedIPs` with + and - through `set`, under traffic (P7).
source "$(dirname "$0")/../lib/test.sh"
need curl jq
make_gateway
ip netns add blue
conf=$test_folder/client1.conf
inventory >"$test_folder/before"
# with LINE…: a file `t` out of client1's: the lines are added to [Interface] in place of those with the same key.
with() {
    local line
    cp "$conf" "$test_folder/t.conf"
    chmod 600 "$test_folder/t.conf"
    for line in "$@"; do
        sed -i "/^${line%% *}[ =]/d" "$test_folder/t.conf"
        sed -i "0,/^\[Interface\]/s|^\[Interface\]|&\n$line|" "$test_folder/t.conf"
    done
}
attach() { swg-ns attach "$test_folder/t.conf" --netns blue --engine "$backend" "$@"; }
gone() {
    swg-ns detach t --quiet
    inventory >"$test_folder/after"
    same_inventory "$test_folder/before" "$test_folder/after"
}
shown() { swg-ns show t --json | jq -e ".tunnels[0] | $1" >/dev/null || fail "show --json: $1: $(swg-ns show t --json)"; }
reaches() { ip netns exec blue curl -s -m 15 http://10.99.0.1/ | grep >/dev/null "behind the tunnel" || fail "no answer: $*"; }
of_wg() { wg_of t blue wg0 "$@"; }
own_routes() { { ip -n blue route show table "$1"; ip -n blue -6 route show table "$1"; } 2>/dev/null | grep -c 'proto static' || true; }

with "Table = off"
attach --quiet
[ "$(own_routes all)" = 0 ] || fail "Table=off made routes"
swg-ns check t >/dev/null || fail "check with Table=off"
gone
for number in 1234 4294967295; do
    with "Table = $number"
    attach >"$test_folder/output" 2>&1
    expect_output "Table=$number: no rule looks there"
    [ "$(own_routes $number)" = 2 ] && [ "$(own_routes main)" = 0 ] || fail "Table=$number"
    swg-ns check t >/dev/null || fail "check with Table=$number"
    gone
done
with "Table = nosuch"
expect_status 1 attach
expect_output '"nosuch" is no routing table; use auto, off, a number'
with "table = MAIN"
sed -i 's/MAIN/main/' "$test_folder/t.conf"
attach --quiet --table off
[ "$(own_routes all)" = 0 ] || fail "--table over Table="
gone
ok "Table=: off makes no routes, a number fills that table and warns, an unknown name is refused, --table overrides"

with "Address = 172.20.0.1/32 peer 172.20.0.2/32, fe80::77/64,10.99.0.2" "DNS = 10.99.0.1, Corp.Example, fd99::1" \
    "MTU = 1333" "FwMark = 0x1f" "ListenPort = 4455"
printf 'PersistentKeepalive = 17\nPresharedKeyFile = psk\n' >>"$test_folder/t.conf"
(umask 077 && wg genpsk >"$test_folder/psk")
ip netns exec gateway wg set gateway0 peer "$(cat "$test_folder/client1.pub")" preshared-key "$test_folder/psk"
attach --quiet --wait
ip -n blue addr show wg0 | grep >/dev/null 'inet 172.20.0.1 peer 172.20.0.2/32' || fail "Address with peer: $(ip -n blue addr)"
ip -n blue addr show wg0 | grep >/dev/null 'inet6 fe80::77/64 scope link' || fail "a link-local Address"
ip -n blue addr show wg0 | grep >/dev/null 'inet 10.99.0.2/32' || fail "an Address without length"
[ "$(ip -n blue -o link show wg0 | sed 's/.*mtu \([0-9]*\).*/\1/')" = 1333 ] || fail "MTU"
[ "$(of_wg fwmark) $(of_wg listen-port)" = "0x1f 4455" ] || fail "FwMark, ListenPort: $(of_wg fwmark) $(of_wg listen-port)"
[ "$(of_wg persistent-keepalive | cut -f2)" = 17 ] || fail "PersistentKeepalive"
[ "$(of_wg preshared-keys | cut -f2)" = "$(cat "$test_folder/psk")" ] || fail "PresharedKeyFile"
ip netns exec blue cat /etc/resolv.conf >"$test_folder/output"
expect_output '^nameserver 10.99.0.1$'
expect_output '^nameserver fd99::1$'
expect_output '^search Corp.Example$'
shown '.addresses == ["172.20.0.1/32 peer 172.20.0.2/32", "fe80::77/64", "10.99.0.2/32"] and .mtu == 1333
    and .fwmark == 31 and .listenPort == 4455 and .searchDomains == ["Corp.Example"] and .peers[0].hasPresharedKey'
ip netns exec blue curl -s -m 15 --interface 10.99.0.2 http://10.99.0.1/ | grep >/dev/null "behind the tunnel" || fail "no traffic with a preshared key"
gone
ok "Address with peer, link-local and bare, DNS with search domains, MTU, FwMark, ListenPort, keepalive, PresharedKeyFile"

key_in_file=(sed "s|^PrivateKey = .*|PrivateKeyFile = client1.key|; s|^\[Peer\]|&\nPresharedKeyCommand = cat $test_folder/psk|")
"${key_in_file[@]}" "$conf" >"$test_folder/t.conf"
attach --quiet --wait
[ "$(of_wg preshared-keys | cut -f2)" = "$(cat "$test_folder/psk")" ] || fail "PresharedKeyCommand"
reaches "with the keys elsewhere"
gone
sed -i 's/client1.key/absent.key/' "$test_folder/t.conf"
expect_status 1 attach
expect_output 'reading PrivateKeyFile=: .*/absent.key: ENOENT .*; there is no such file here'
ok "PrivateKeyFile beside the configuration, PresharedKeyCommand; a missing key file is named, with the cure"
ip netns exec gateway wg set gateway0 peer "$(cat "$test_folder/client1.pub")" preshared-key /dev/null

# What `show` prints is what wg(8) prints, line by line, but for the lines of ours.
with "ListenPort = 4456" "FwMark = 7"
attach --quiet --wait
for hides in always never; do
    WG_HIDE_KEYS=$hides swg-ns show t | grep -vE '^  (tunnel|device|socket|mtu|dns): ' >"$test_folder/ours"
    if on_kernel; then
        ip netns exec blue env WG_HIDE_KEYS=$hides wg show wg0 >"$test_folder/theirs"
    else
        WG_HIDE_KEYS=$hides wg show t | sed 's/^interface: t$/interface: wg0/' >"$test_folder/theirs"
    fi
    for file in ours theirs; do sed -i -E 's/^(  (latest handshake|transfer): ).*/\1/' "$test_folder/$file"; done
    diff "$test_folder/ours" "$test_folder/theirs" >"$test_folder/output" || fail "show is not wg show: $(cat "$test_folder/output")"
done
grep -q 'private key: (hidden)' <(swg-ns show t) || fail "show shows the key unasked"
ok "show reads as wg show does, WG_HIDE_KEYS included"

# `AllowedIPs` with + and -: what wg setconf has learnt lately, on a live tunnel under traffic.
handshake=$(of_wg latest-handshakes)
(
    set +e
    for ((i = 0; i < 400; i++)); do
        ip netns exec blue ping -q -c 1 -W 5 10.99.0.1 >/dev/null || echo "lost at $i"
        [ -e "$test_folder/enough" ] && break
    done
) >"$test_folder/pings" &
pinging=$!
allowed() { of_wg allowed-ips | cut -f2 | tr ' ' '\n' | sort | tr '\n' ' '; }
changes() { # changes LIST WANTED: `set` with AllowedIPs = LIST leads to WANTED
    sed -i "s|^AllowedIPs.*|AllowedIPs = $1|" "$test_folder/t.conf"
    swg-ns set t >"$test_folder/output" || fail "set with $1: $(cat "$test_folder/output")"
    [ "$(allowed)" = "$2 " ] || fail "set with $1 led to $(allowed)"
    [ "$(swg-ns show t --json | jq -r '.tunnels[0].routes | sort | join(" ")')" = "$2" ] || fail "routes after set with $1"
    swg-ns check t >/dev/null || fail "check after set with $1"
}
changes '+10.5.0.0/16, +fd77::/48' '0.0.0.0/0 10.5.0.0/16 ::/0 fd77::/48'
expect_output 'route 10.5.0.0/16 added'
ip -n blue route show 10.5.0.0/16 | grep >/dev/null 'dev wg0' || fail "no route for an added network"
changes '+10.99.0.0/24, -0.0.0.0/0' '10.5.0.0/16 10.99.0.0/24 ::/0 fd77::/48'
ip netns exec blue ping -c 1 -W 1 198.51.100.7 >"$test_folder/output" 2>&1 && fail "a removed network is still routed"
expect_output 'unreachable'
[ "$(swg-ns set t)" = "nothing to change" ] || fail "the same changes again change something"
changes '-10.5.0.0/16, -203.0.113.0/24, -fd77::/48' '10.99.0.0/24 ::/0'
changes '0.0.0.0/0, ::/0' '0.0.0.0/0 ::/0'
touch "$test_folder/enough"
wait $pinging
[ ! -s "$test_folder/pings" ] || fail "traffic stopped during set: $(cat "$test_folder/pings")"
[ "$(of_wg latest-handshakes)" = "$handshake" ] || fail "set made a new session"
reaches "after set"
gone
ok "AllowedIPs with + and -: networks and their routes come and go, traffic and session go on"

sed "s|^Endpoint.*|Endpoint = no-such-name.invalid:51820|" "$conf" >"$test_folder/t.conf"
expect_status 1 attach
expect_output 'name no-such-name.invalid does not resolve: .*endpoint names are resolved outside'
cp "$conf" "$test_folder/t.conf"
chmod 644 "$test_folder/t.conf"
attach >"$test_folder/output" 2>&1
expect_output 'warning: .*t.conf holds a key and is accessible to everybody: chmod 600'
gone
expect_status 2 attach --dns 10.0.0.1,two..dots
expect_output '"two..dots" is neither'
ip -n blue link add other type veth peer name another
ip -n blue link set other up
ip -n blue route add default dev other
chmod 600 "$test_folder/t.conf"
expect_status 1 attach --keep-interfaces
expect_output '0.0.0.0/0.*EEXIST.*another interface has that route already'
[ "$(ip -n blue -o link | wc -l)" = 3 ] || fail "P4: an attach that was refused its route left its device"
swg-ns attach "$test_folder/t.conf" --netns blue --engine "$backend" --keep-interfaces --table off --quiet
swg-ns check t --json >"$test_folder/output" && jq -e '.id == "t" and (.findings | map(select(.verdict == "note" and
    (.text | contains("other")))) | length > 0)' "$test_folder/output" >/dev/null || fail "check --json: $(cat "$test_folder/output")"
swg-ns detach t --quiet
ip -n blue link delete other
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "P6: unresolvable names, open modes, wrong search domains; a route that another interface has is refused, not forgotten"
