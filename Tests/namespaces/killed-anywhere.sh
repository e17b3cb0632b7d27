#!/bin/bash
# P4: SIGKILL at every system call of attach and of detach leaves something that gc cleans completely. Every
# 7th call unless SWG_FULL is set; the start differs from run to run.
source "$(dirname "$0")/../lib/test.sh"
need strace
wg genkey >"$test_folder/key" 2>/dev/null
cat >"$test_folder/tunnel.conf" <<CONF
[Interface]
PrivateKey = $(cat "$test_folder/key")
Address = 10.99.0.2/32, fd99::2/128
DNS = 10.99.0.1
[Peer]
PublicKey = $(wg genkey | wg pubkey)
Endpoint = 192.0.2.2:51820
AllowedIPs = 0.0.0.0/0, ::/0
CONF
step=${SWG_FULL:+1}
step=${step:-7}
begin=$((RANDOM % step + 1))

# Small and quick: it is taken hundreds of times.
snapshot() {
    ip -o link | sed -E 's/^[0-9]+: //; s/ (qlen|state) .*//'
    for name in $(ls /run/netns 2>/dev/null); do
        echo "$name"
        ip -n "$name" -o link | sed -E 's/^[0-9]+: //; s/ qlen .*//'
    done
    # /run/netns becomes a mount with the first named namespace, as with ip netns.
    find /run /etc/netns -path /run/test -prune -o -print 2>/dev/null | sort || true
    pgrep -x swg-engine || true
}

killed_at() { # killed_at N COMMAND…: 0 when the kill came, 1 when the command ended before its Nth call
    local number=$1 status=0
    shift
    strace -qq -f --detach-on=execve -o /dev/null -e trace=all -e inject=all:signal=KILL:when="$number" \
        "$@" >"$test_folder/killed" 2>&1 || status=$?
    [ "$status" = 137 ]
}

compare() { # compare WHAT
    snapshot >"$test_folder/after"
    diff "$test_folder/before" "$test_folder/after" >"$test_folder/difference" && return
    cat "$test_folder/difference"
    fail "P4: left behind after a kill at $1"
}

ip netns add standing
swg-ns attach "$test_folder/tunnel.conf" --netns standing --id warm --engine userspace --quiet
swg-ns detach warm --quiet
snapshot >"$test_folder/before"
attach=(swg-ns attach "$test_folder/tunnel.conf" --id t --engine userspace --quiet)
count=0
for ((number = begin; ; number += step)); do
    target=(--netns standing)
    [ $((count % 2)) = 0 ] || target=(--netns made --create)
    killed_at "$number" "${attach[@]}" "${target[@]}" || break
    swg-ns gc --quiet >"$test_folder/gc" 2>&1 || fail "gc after a kill at call $number of attach: $(cat "$test_folder/gc")"
    compare "call $number of attach ${target[*]}"
    count=$((count + 1))
done
swg-ns detach t --quiet
compare "no call: attach survived $number"
[ "$count" -gt 20 ] || fail "only $count calls were tried"
ok "P4: killed at $count of about $number system calls of attach: gc left nothing"

count=0
for ((number = begin; ; number += step)); do
    "${attach[@]}" --netns standing || fail "attach: $?"
    killed_at "$number" swg-ns detach t --quiet || break
    swg-ns detach t --quiet >"$test_folder/gc" 2>&1 || fail "detach after a kill at call $number of detach: $(cat "$test_folder/gc")"
    compare "call $number of detach"
    count=$((count + 1))
done
compare "no call: detach survived $number"
ok "P4: killed at $count of about $number system calls of detach: the next detach left nothing"
