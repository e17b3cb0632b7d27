#!/bin/bash
# slow
# limit: 1500 s
# P4: SIGKILL at every system call of `set` that changes something (a twelfth of them, all with SWG_FULL): the next
# `set` finishes what was begun, or takes it back, the tunnel stays whole, and detach leaves nothing.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/kill-sweep.sh"
make_sweep
share=12
first=$test_folder/tunnel.conf second=$test_folder/second.conf
sed 's|^Address.*|Address = 10.99.0.2/32, fd99::7/128, 10.98.0.2/24|; s|^AllowedIPs.*|AllowedIPs = 10.99.0.0/16, ::/0\nPersistentKeepalive = 9|
    s|^\[Interface\]|&\nFwMark = 5\nMTU = 1400|' "$first" >"$second"
printf '[Peer]\nPublicKey = %s\nAllowedIPs = 10.77.0.0/16\n' "$(wg genkey | wg pubkey)" >>"$second"
chmod 600 "$second"
"${attach[@]}" --netns standing

# whole_as NAME: the device and its namespace are exactly as a `set` that nobody killed leaves them.
state() {
    wg_of t standing wg0 dump | cut -f 1,2,4-
    ip -n standing -o addr show dev wg0 | sed 's/^[0-9]*: //' | sort
    { ip -n standing -4 route show table all; ip -n standing -6 route show table all; } | sort
    ip -n standing -o link show wg0 | sed 's/^[0-9]*: //'
    swg-ns show t --json | grep -vE '"(listenPort|enginePID|receivedBytes|sentBytes|configuration)"'
}
is_as() {
    state >"$test_folder/now"
    diff "$test_folder/$1" "$test_folder/now" >"$test_folder/difference"
}
# The kernel makes an IPv6 address's local route a moment later, in a worker of its own.
whole_as() {
    wait_until 3 is_as "$1" || {
        cat "$test_folder/difference"
        fail "P4: not as $1 after a kill at $2"
    }
}
swg-ns set t "$second" --quiet >/dev/null
state >"$test_folder/as-second"
swg-ns set t "$first" --quiet >/dev/null
state >"$test_folder/as-first"
points_of swg-ns set t "$second" >"$test_folder/points"
swg-ns set t "$first" --quiet >/dev/null
whole_as as-first "no call"

count=0 tried=0
mended() {
    local point=$1
    # Forwards, or back: from wherever it stopped.
    if [ $((tried % 2)) = 0 ]; then
        swg-ns set t "$second" --quiet >"$test_folder/mended" 2>&1 || fail "P4: set after a kill at $point: $(cat "$test_folder/mended")"
        whole_as as-second "$point"
    fi
    swg-ns set t "$first" --quiet >"$test_folder/mended" 2>&1 || fail "P4: set back after a kill at $point: $(cat "$test_folder/mended")"
    whole_as as-first "$point"
    swg-ns check t >"$test_folder/mended" || fail "check after a kill at $point: $(cat "$test_folder/mended")"
}
sweep set swg-ns set t "$second"
[ "$count" -gt 1 ] || fail "only $count calls were killed at"
# In the middle of what it changes.
killed_at "$(grep -n sendto "$test_folder/trace" | sed -n '3s/:.*//p')" swg-ns set t "$second" || true
swg-ns detach t --quiet
compare "a set that was killed, and detach"
ok "P4 ($backend): killed at $count of $tried chosen system calls of set: the next one makes the tunnel whole"
