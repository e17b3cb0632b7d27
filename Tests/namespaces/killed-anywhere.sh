#!/bin/bash
# P4: SIGKILL at every system call of attach and of detach leaves something that the next verb cleans completely.
# The calls of all threads, and of the child before it is the engine, are recorded first; then each is killed in a
# run of its own (strace counts per call and thread). Every 13th unless SWG_FULL is set, from a random start.
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
step=${step:-13}
begin=$((RANDOM % step))

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

# calls_of COMMAND…: one line per call, its name and which of that name it is.
calls_of() {
    strace -qq -f --detach-on=execve -o "$test_folder/trace" "$@" >/dev/null 2>&1 || fail "under strace: $*"
    awk '!/resumed>/ {
        name = $2
        sub(/\(.*/, "", name)
        if (name !~ /^[a-z_0-9]+$/ || name ~ /^exit/) next
        key = name " " ++count[$1, name]
        if (!seen[key]++) print key
    }' "$test_folder/trace" | awk -v step="$step" -v begin="$begin" 'NR % step == begin'
}

# killed_at NAME NUMBER COMMAND…: 0 when the kill came, 1 when the command ended before.
killed_at() {
    local name=$1 number=$2 status=0
    shift 2
    { strace -qq -f --detach-on=execve -o /dev/null -e trace="$name" -e inject="$name:signal=KILL:when=$number" \
        "$@" >"$test_folder/killed" 2>&1 || status=$?; } 2>/dev/null
    # Another status: its child was the one to die.
    [ "$status" != 0 ]
}

compare() { # compare WHAT
    snapshot >"$test_folder/after"
    diff "$test_folder/before" "$test_folder/after" >"$test_folder/difference" && return
    cat "$test_folder/difference"
    fail "P4: left behind after a kill at $1"
}

ip netns add standing
swg-ns attach "$test_folder/tunnel.conf" --netns standing --id warm --engine "$backend" --quiet
swg-ns detach warm --quiet
snapshot >"$test_folder/before"
attach=(swg-ns attach "$test_folder/tunnel.conf" --id t --engine "$backend" --quiet)
calls_of "${attach[@]}" --netns made --create >"$test_folder/calls"
swg-ns detach t --quiet
compare "no call"
count=0
whole=0
while read -r name number <&3; do
    target=(--netns standing)
    [ $((count % 2)) = 0 ] || target=(--netns made --create)
    if killed_at "$name" "$number" "${attach[@]}" "${target[@]}"; then
        swg-ns gc --quiet >"$test_folder/gc" 2>&1 || fail "gc after a kill at $name $number of attach: $(cat "$test_folder/gc")"
        count=$((count + 1))
    fi
    # A kill behind the last step leaves a whole tunnel, which gc does not touch.
    if [ -e /run/swg-ns/tunnels/t ]; then
        swg-ns list | grep >/dev/null 't *attached' || fail "gc after $name $number of attach: $(swg-ns list)"
        swg-ns detach t --quiet
        whole=$((whole + 1))
    fi
    compare "$name $number of attach ${target[*]}"
done 3<"$test_folder/calls"
[ "$count" -gt 30 ] || fail "only $count calls were killed at"
ok "P4: killed at $count of $(wc -l <"$test_folder/calls") chosen system calls of attach ($whole behind the end): gc left nothing"

"${attach[@]}" --netns standing
calls_of swg-ns detach t --quiet >"$test_folder/calls"
count=0
while read -r name number <&3; do
    "${attach[@]}" --netns standing || fail "attach: $?"
    if killed_at "$name" "$number" swg-ns detach t --quiet; then count=$((count + 1)); fi
    swg-ns detach t --quiet >"$test_folder/gc" 2>&1 || fail "detach after a kill at $name $number of detach: $(cat "$test_folder/gc")"
    compare "$name $number of detach"
done 3<"$test_folder/calls"
[ "$count" -gt 10 ] || fail "only $count calls were killed at"
ok "P4: killed at $count of $(wc -l <"$test_folder/calls") chosen system calls of detach: the next detach left nothing"
