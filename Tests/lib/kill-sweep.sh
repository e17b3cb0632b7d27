# Sourced after test.sh by the tests that kill a verb at its system calls (promise P4).
#
# The calls of a verb are recorded once: those of all threads, and of the child before it is the engine. Then the
# verb runs again and again, and each run is killed at the entry of one of them: strace's `when` counts per call and
# thread, so a point is a call's name and its how-manieth. What changes something is killed at always: between two
# such calls the system's state is the same. Of the others every 13th, from a random start; all with SWG_FULL.
# SWG_SHARD=K/N takes the points K, K+N … only, to share a full sweep among several boxes. Where the processor is
# emulated a random twentieth of them is taken, with SWG_FULL a third.
shards=1
if [ "${SWG_SLOWNESS:-1}" -gt 1 ] && [ -z "${SWG_SHARD:-}" ]; then
    shards=$([ -n "${SWG_FULL:-}" ] && echo 3 || echo 20)
    SWG_SHARD=$((RANDOM % shards + 1))/$shards
fi
changing='^(write|writev|pwrite64|ftruncate|sendto|sendmsg|mkdir|mkdirat|rmdir|rename|renameat2?|unlink|unlinkat|link|linkat|symlink|symlinkat|ioctl|mount|umount2|move_mount|unshare|setns|clone3?|v?fork|execve|execveat|bind|listen|connect|flock|fchmod|chmod|fchown|kill|pidfd_send_signal|dup2|dup3)$'

# make_sweep: a configuration, and the namespace `standing`, which knows our kind of traffic already.
make_sweep() {
    need strace
    umask 077
    wg genkey >"$test_folder/key"
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
    umask 022
    ip netns add standing
    swg-ns attach "$test_folder/tunnel.conf" --netns standing --id warm --engine "$backend" --quiet
    swg-ns detach warm --quiet
    attach=(swg-ns attach "$test_folder/tunnel.conf" --id t --engine "$backend" --quiet)
    snapshot >"$test_folder/before"
}

# Small and quick: it is taken hundreds of times.
snapshot() {
    local name
    deletions_have_ended
    network_snapshot here
    # A namespace can be gone while its name is still a file.
    for name in $(ls /run/netns 2>/dev/null); do network_snapshot "$name" -n "$name"; done
    # /run/netns becomes a mount with the first named namespace, as with ip netns. Logs are meant to stay.
    find /run /etc/netns \( -path /run/test -o -path /run/swg-ns/log -o -path /run/swg-ns \) -prune -o -print \
        2>/dev/null | sort || true
    find /run/swg-ns -mindepth 1 -path /run/swg-ns/log -prune -o -print 2>/dev/null | sort || true
    find /sys/fs/cgroup -maxdepth 3 -path '*swg-ns*' 2>/dev/null || true
    pgrep -x swg-engine || true
    pgrep -x swg-ns || true
}
network_snapshot() { # network_snapshot NAME OPTIONS-OF-IP…
    local name=$1
    shift
    ip "$@" -o addr | sed -E "s/^[0-9]+: /$name /; s/valid_lft.*//"
    ip "$@" -o link | sed -E "s/^[0-9]+: /$name /; s/ (qlen|state) .*//"
    ip "$@" -4 route show table all | sed "s/^/$name /"
}

compare() { # compare WHAT
    snapshot >"$test_folder/after"
    diff "$test_folder/before" "$test_folder/after" >"$test_folder/difference" && return
    cat "$test_folder/difference" "$test_folder/killed"
    fail "P4: left behind after a kill at $1"
}

# points_of COMMAND…: the points to kill at, one per line: a call's name and its number.
points_of() {
    local step=13 shard=${SWG_SHARD:-1/1}
    [ -z "${SWG_FULL:-}" ] || [ "$shards" -gt 1 ] || step=1
    strace -qq -f --detach-on=execve -o "$test_folder/trace" "$@" >/dev/null 2>&1 || fail "under strace: $*"
    awk '!/resumed>/ {
        name = $2
        sub(/\(.*/, "", name)
        if (name !~ /^[a-z_0-9]+$/ || name ~ /^exit/) next
        key = name " " ++count[$1, name]
        if (!seen[key]++) print key, /O_CREAT/ ? "creates" : ""
    }' "$test_folder/trace" | awk -v step="$step" -v begin=$((RANDOM % step)) -v changing="$changing" \
        -v shard="${shard%/*}" -v shards="${shard#*/}" '
        $1 ~ changing || $3 != "" || NR % step == begin { if (taken++ % shards == shard - 1) print $1, $2 }'
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

# mended_by NUMBER: the verb that has to clean up, another one each time.
mended_by() {
    case $(($1 % 3)) in
    0) echo gc ;;
    1) echo detach t ;;
    2) echo repair t ;;
    esac
}

# mend POINT VERB…: cleans up with it. A kill behind the last step, or before the first, leaves a whole tunnel, which
# only detach takes away; repair and gc leave it alone and working.
mend() {
    local point=$1
    shift
    # What has no trace cannot be repaired, and repair says so.
    [ "$1" != repair ] || [ -e /run/swg-ns/tunnels/t ] || set -- gc
    swg-ns "$@" --quiet >"$test_folder/mended" 2>&1 || {
        cat "$test_folder/killed" "$test_folder/mended"
        fail "P4: $* after a kill at $point"
    }
    if [ -e /run/swg-ns/tunnels/t ]; then
        swg-ns list | grep >/dev/null 't *attached' || fail "P4: $* after a kill at $point left: $(swg-ns list)"
        swg-ns detach t --quiet || fail "P4: detach after $* after a kill at $point"
        whole=$((whole + 1))
    fi
    # An empty folder of a lease is swept by gc.
    swg-ns gc --quiet || fail "P4: gc after a kill at $point"
}
