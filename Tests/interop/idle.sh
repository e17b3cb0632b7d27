#!/bin/bash
# early
# Idle costs nothing: no wake-up without a due timer, and little memory, after traffic too.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/pair.sh"
need wg ping

make_pair swg-engine swg-engine
wg set wga peer "$b_public" endpoint 192.0.2.2:2222
# How often their threads went to sleep, which a busy machine does not change, and the hundredths of a second they ran.
wake_ups() {
    cat /proc/"$(monitor wga)"/{stat,task/*/status} /proc/"$(workers wga)"/{stat,task/*/status} |
        awk '/^voluntary_ctxt_switches/ { sum += $2 } /^[0-9]/ { sum += $14 + $15 } END { print sum }'
}
is_silent() {
    local before
    before=$(wake_ups)
    sleep 1
    [ "$(wake_ups)" = "$before" ]
}
private() { awk '/^Private/ { sum += $2 } END { print sum }' /proc/"$(monitor wga)"/smaps /proc/"$(workers wga)"/smaps; }

wait_until 5 is_silent || fail "not silent after its start"
before=$(wake_ups)
sleep 5
[ $(($(wake_ups) - before)) -le 2 ] || fail "$(($(wake_ups) - before)) wake-ups in 5 s before any traffic"
ok "silent before traffic; $(private) KiB private memory of both processes"

# Nor does what happens in another tunnel's namespace, as a thousand of them on one host would have it.
ip netns add c
ip -n a tuntap add dev other mode tun
ip -n a link set other netns c
wait_until 5 is_silent || fail "not silent after an interface has gone"
before=$(wake_ups)
ip -n c link set other up
for number in $(seq 10); do
    ip -n c link set other mtu $((1300 + number))
    ip -n c addr add "10.77.$number.1/24" dev other
    ip -n c route add "10.88.$number.0/24" dev other
done
[ $(($(wake_ups) - before)) -le 2 ] || fail "$(($(wake_ups) - before)) wake-ups by another tunnel's interface"
ok "another tunnel's interface wakes nobody"

expect_ping a 10.0.0.2 20
# The keepalive that answers the last packet comes after ten seconds.
sleep 11
wait_until 5 is_silent || fail "not silent with a session"
before=$(wake_ups)
sleep 8
[ $(($(wake_ups) - before)) -le 4 ] || fail "$(($(wake_ups) - before)) wake-ups in 8 s with a session"
[ "$(private)" -le 8192 ] || fail "$(private) KiB private memory"
ok "silent with a session; $(private) KiB private memory of both processes"
