# Sourced after test.sh by the tests that kill a verb at its system calls (promise P4).
#
# `kill-at` counts the calls of all threads, and of the children before they are another program, and kills at the entry
# of the one that is asked for. With SWG_FULL the verb is run again and again, and killed at its first call, its second,
# and so on until it survives, twenty times: not every run makes as many calls. Else the calls are recorded once, and a sample of them is taken from a random start: one
# of every `share` that change something (between two such calls the system's state is the same), and of the others one
# thirteenth of that. Where the processor is emulated a quarter of it.
# SWG_SHARD=K/N takes of a full sweep the calls K, K+N … only, to share it among several boxes, SWG_FROM=N those from N
# on, to go on with one that was ended; SWG_MENDER=gc, detach or
# repair lets the same verb clean up each time.
share=1
full=${SWG_FULL:-}
changing='^(write|writev|pwrite64|ftruncate|sendto|sendmsg|mkdir|mkdirat|rmdir|rename|renameat2?|unlink|unlinkat|link|linkat|symlink|symlinkat|ioctl|mount|umount2|move_mount|unshare|setns|clone3?|v?fork|execve|execveat|bind|listen|connect|flock|fchmod|chmod|fchown|kill|pidfd_send_signal|dup2|dup3)$'

# build_kill_at FOLDER: the program, with the names that this kernel's headers give to its calls; sets SWG_KILL_AT.
build_kill_at() {
    local compiler
    need swift
    compiler=$(dirname "$(readlink -f "$(command -v swift)")")/clang
    [ -x "$compiler" ] || skip "no clang beside swift"
    "$compiler" -dM -E -include sys/syscall.h - </dev/null |
        sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9]*\)$/[\2] = "\1",/p' >"$1/system-calls.h"
    "$compiler" -static -O2 -Wall -Wextra -Werror -I"$1" "$(dirname "${BASH_SOURCE[0]}")/kill-at.c" -o "$1/kill-at"
    export SWG_KILL_AT=$1/kill-at
}

# prepare_kills: of every test that kills. An emulated processor would compile for a minute.
prepare_kills() {
    [ -n "${SWG_KILL_AT:-}" ] || build_kill_at "$test_folder"
    mender=$RANDOM
    [ "${SWG_SLOWNESS:-1}" -le 1 ] || slower=4
}
slower=1
# What the program is called whose calls are counted, when the command becomes it: (-b NAME).
counted=()

# make_sweep: a configuration, and the namespace `standing`, which knows our kind of traffic already.
make_sweep() {
    prepare_kills
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
    snapshot before
}

# snapshot NAME: all that a tunnel could leave behind, into the variable NAME. It is taken thousands of times, so it starts
# no program: one `ip` for each namespace that is there at the first time stays and answers.
snapshot() {
    local folder path name files processes=""
    local -n result=$1
    [ ${#asked[@]} -gt 0 ] || begin_answers
    shopt -s nullglob globstar dotglob
    for path in /proc/[0-9]*/comm; do
        { read -r name <"$path"; } 2>/dev/null || continue
        case $name in
        # It outlives a detach on purpose, and changes nothing any more.
        swg-dellink) ;;
        swg-* | sleep) processes+=" $name" ;;
        esac
    done
    result=$processes
    for name in "${!asked[@]}"; do result+=$'\n'"$name"$'\n'$(network_of "$name"); done
    result+=$'\n'$(</proc/net/udp)$(</proc/net/udp6)$'\n'$(</proc/self/mountinfo)$'\n'
    for folder in /run/* /etc/netns; do
        case $folder in
        # The empty state folder is made again by whoever looks; logs are meant to stay.
        /run/test | /run/swg-ns) ;;
        *) printf -v files '%s\n' "$folder"/** && result+=$files ;;
        esac
    done
    for path in /run/swg-ns/*; do
        [ "$path" = /run/swg-ns/log ] || { printf -v files '%s\n' "$path"/** && result+=$files; }
    done
    printf -v files '%s\n' /sys/fs/cgroup/{,*/,*/*/}*swg-ns* && result+=$files
    shopt -u nullglob globstar dotglob
}

declare -A asked=() answered=()
begin_answers() {
    local name question answer
    for name in here $(ls /run/netns); do
        mkfifo "$test_folder/question-$name" "$test_folder/answer-$name"
        # shellcheck disable=SC2046 # an option or none
        stdbuf -oL ip $([ "$name" = here ] || echo "-n $name") -force -o -batch - \
            <"$test_folder/question-$name" >"$test_folder/answer-$name" 2>&1 &
        exec {question}>"$test_folder/question-$name" {answer}<"$test_folder/answer-$name"
        asked[$name]=$question answered[$name]=$answer
    done
}
network_of() { # network_of NAMESPACE: addresses, links, routes of both families, rules
    local line
    printf '%s\n' "addr show" "link show" "route show table all" "rule show" >&"${asked[$1]}"
    while IFS= read -r line; do
        echo "$line"
        # Always the last one.
        [[ $line != 32767:* ]] || break
    done <&"${answered[$1]}"
}

compare() { # compare WHAT
    snapshot after
    # shellcheck disable=SC2154 # set by snapshot
    [ "$before" = "$after" ] && return
    diff <(echo "$before") <(echo "$after") || true
    cat "$test_folder/killed" "$test_folder/mended" 2>/dev/null || true
    fail "P4: left behind after a kill at $1"
}

# points_of COMMAND…: the points to kill at, one per line: the call's number and its name.
points_of() {
    local shard=${SWG_SHARD:-1/1}
    "$SWG_KILL_AT" "${counted[@]}" 0 "$test_folder/trace" "$@" >/dev/null 2>"$test_folder/traced" ||
        fail "traced: $* $(cat "$test_folder/traced")"
    # A wait that looks again and again is recorded as if it had looked once: most runs do no more.
    awk -v full="$full" -v shard="${shard%/*}" -v shards="${shard#*/}" -v share=$((share * slower)) \
        -v begin=$RANDOM -v from="${SWG_FROM:-1}" -v changing="$changing" '
        NR == FNR { if ($2 == "clock_nanosleep") { if (!first) first = $1; last = $1 } next }
        full && $1 < from { next }
        full { if ($1 % shards == shard % shards) print $1, $2; next }
        $1 > first && $1 <= last { next }
        { counts = $2 ~ changing || $4 != ""; period = counts ? share : 13 * share }
        number[counts]++ % period == begin % period { print $1 - ($1 > last ? last - first : 0), $2 }
        # Another run may make more calls than this one.
        END { for (call = FNR + 1; full && call < 3 * FNR; call++) if (call % shards == shard % shards) print call, "later" }
    ' "$test_folder/trace" "$test_folder/trace"
}

# killed_at NUMBER COMMAND…: 0 when the kill came, 1 when the command ended before.
killed_at() {
    local number=$1 status=0
    shift
    "$SWG_KILL_AT" "${counted[@]}" "$number" "$test_folder/call" "$@" >"$test_folder/killed" 2>&1 || status=$?
    [ "$status" -le 1 ] || fail "kill-at: $status: $(cat "$test_folder/killed")"
    return "$status"
}

# sweep WORDS COMMAND…: kills the command at each point of $test_folder/points, and calls `mended POINT` after each, which
# says in words whose call it was; `ready` before each. Counts in $tried and $count.
sweep() {
    local words=$1 number name survived=0 enough=20
    [ -n "$full" ] || enough=10000
    shift
    while read -r number name <&3; do
        ready
        tried=$((tried + 1))
        # So that a log of an hour tells how far it came.
        [ -z "$full" ] || [ $((tried % 50)) != 0 ] || echo "killed at $count of $tried calls of $words"
        if killed_at "$number" "$@"; then
            count=$((count + 1))
            mended "call $(<"$test_folder/call") of $words"
        else
            mended "the end of $words"
            # Runs differ by some calls: by how often a wait looks again, by how many processes there are to look at.
            survived=$((survived + 1))
            [ "$name" != later ] || tried=$((tried - 1))
            [ $survived -lt $enough ] || break
        fi
    done 3<"$test_folder/points"
}
ready() { :; }

# mend POINT: cleans up with another verb each time. A kill behind the last step, or before the first, leaves a whole
# tunnel, which only detach takes away; repair and gc leave it alone and working.
mend() {
    local point=$1 verbs=(gc "detach t" "repair t") verb status=0
    verb=${verbs[mender % 3]}
    mender=$((mender + 1))
    [ -z "${SWG_MENDER:-}" ] || verb=$SWG_MENDER
    [ "$verb" = gc ] || verb="${verb% t} t"
    # shellcheck disable=SC2086 # words
    swg-ns $verb --quiet >"$test_folder/mended" 2>&1 || status=$?
    # What has no trace cannot be repaired, and repair says so. It sweeps up what is empty.
    [ $status = 0 ] || { [ "$verb" = "repair t" ] && grep -q 'there is no tunnel' "$test_folder/mended"; } || {
        cat "$test_folder/killed" "$test_folder/mended"
        fail "P4: $verb after a kill at $point"
    }
    if [ -e /run/swg-ns/tunnels/t ]; then
        [[ $(swg-ns list) == *t\ *attached* ]] || fail "P4: $verb after a kill at $point left: $(swg-ns list)"
        whole=$((whole + 1))
        # A sweep of detach has use for it.
        [ -z "${keeps_whole:-}" ] || return 0
        swg-ns detach t --quiet || fail "P4: detach after $verb after a kill at $point"
    fi
    compare "$point, and $verb"
}
