#!/bin/bash
# early
# `run` waits for the first handshake and says what it knows when none comes; nothing is started then.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/run-modes.sh"
need nft
prepare_modes

variant() { # variant NAME SED-EXPRESSION
    sed "$2" "$(configuration_of root)" >"/srv/$1.conf"
    chmod 600 "/srv/$1.conf"
}
fails() { # fails NAME PATTERN [SECONDS]: within that time (2 s), with this reason
    expect_status 125 swg root run --wait="${3:-2}" "/srv/$1.conf" -- touch /srv/started
    # On a busy machine the reason may not have come by then.
    if ! grep -Eq -- "$2" "$test_folder/output"; then
        expect_status 125 swg root run --wait=20 "/srv/$1.conf" -- touch /srv/started
    fi
    expect_output "$2"
    [ ! -e /srv/started ] || fail "$1: the command was started"
    [ -z "$(ls /run/swg-ns/tunnels /run/swg-ns/leases 2>/dev/null)" ] || fail "$1: state is left"
    ok "no handshake: $1"
}

variant port 's/51820/51821/'
fails port 'nobody listens on UDP port 51821 \(ICMP port unreachable\)'
variant route 's/192.0.2.2/203.0.113.9/'
fails route 'no route to 203.0.113.9'
variant neighbour 's/192.0.2.2/192.0.2.200/'
fails neighbour '192.0.2.200 cannot be reached' 4
variant key "s|^PublicKey.*|PublicKey = $(wg genkey | wg pubkey)|"
fails key 'no answer at all.*wrong PublicKey'
variant name 's/192.0.2.2:/swg.invalid:/'
expect_status 125 swg root run --wait=2 /srv/name.conf -- touch /srv/started
expect_output "swg.invalid does not resolve|swg.invalid was not resolved"
ok "no handshake: name"
variant preshared "/^PublicKey/a PresharedKey = $(wg genpsk)"
# The driver does not tell; the engine does.
if on_kernel; then
    fails preshared 'PresharedKey'
else
    fails preshared 'answers came that could not be decrypted.*PresharedKey first'
fi

# Without a peer that has an endpoint there is nothing to wait for, and it is said.
variant passive '/^Endpoint/d'
expect_status 0 swg root run --wait=2 /srv/passive.conf -- true
expect_output 'no peer has an Endpoint'
expect_status 0 swg root run --no-wait /srv/port.conf -- true
ok "no endpoint, or --no-wait: started at once"

# The default waits for two retries: an endpoint that comes alive after 6 s is in time.
ip netns exec gateway wg set gateway0 listen-port 51900
(sleep 6 && ip netns exec gateway wg set gateway0 listen-port 51820) &
start=$SECONDS
expect_status 0 behind root true
[ $((SECONDS - start)) -ge 5 ] || fail "it did not wait"
ok "a handshake on the second try is in time"

# Interrupted while it waits.
variant silent 's/51820/51999/'
ip netns exec gateway nft -f - <<<'table inet t { chain input { type filter hook input priority 0; udp dport 51999 counter drop; }; }' ||
    fail "nft refuses the rule"
was_dropped() { ip netns exec gateway nft list table inet t | grep 'counter packets [1-9]'; }
(
    trap - ERR
    swg root run --quiet /srv/silent.conf -- touch /srv/started
) &
waiting=$!
wait_until 5 was_dropped || fail "no handshake was tried: $(ip netns exec gateway nft list table inet t)"
pkill -INT -o -f '^/srv/bin/swg-ns run'
status=0
wait $waiting || status=$?
[ $status = 125 ] || fail "interrupted: status $status"
[ -z "$(ls /run/swg-ns/tunnels 2>/dev/null)" ] && [ ! -e /srv/started ] || fail "interrupted: something is left"
ok "interrupted while waiting: nothing started, nothing left"

# One live tunnel per key; the holder is named with what to type instead.
behind root "$BASH" -c 'echo here; for _ in {1..600}; do [ ! -e /srv/enough ] || exit 0; sleep 0.1; done' >"$test_folder/holder" &
wait_until 5 grep -q here "$test_folder/holder" || fail "no command"
cp "$(configuration_of root)" /srv/again.conf
expect_status 125 swg root run /srv/again.conf -- true
expect_output 'in use by tunnel client1.*swg-ns exec client1 -- COMMAND'
[ "$(swg root exec client1 -- ip -o link | grep -c wg0)" = 1 ] || fail "exec does not join the tunnel"
touch /srv/enough
wait
ok "a second use of a live key is refused, and exec joins the first"
