#!/bin/bash
# `swg-ns log` knows what the command line did and what failed; `show` has wg's colours; neither has a key.
source "$(dirname "$0")/../lib/test.sh"
need jq python3
make_gateway
for_engine_only "an engine is killed, and wg show asks for it by its id"
conf=$test_folder/client1.conf
# Where no logging service is, swg-ns keeps a file; the box's /run has no journald.
[ ! -S /dev/log ] || mount --bind /dev/null /dev/log

expect_line() { # expect_line PATTERN: a line of the log, its tabs as spaces
    swg-ns log | tr '\t' ' ' >"$test_folder/output"
    expect_output "$1"
}
swg-ns run --quiet "$conf" -- true
expect_status 0 swg-ns log
expect_output 'nothing was logged'
swg-ns attach "$conf" --netns blue --create --engine "$backend" --quiet
expect_line '^20[0-9T:-]+Z info client1 - attached wg0 in network namespace "blue" from /.*/client1.conf, our engine in userspace$'
expect_status 1 swg-ns attach "$conf" --netns nowhere --id lost --quiet
expect_line ' error lost - attach to network namespace "nowhere": no network namespace at /run/netns/nowhere'
sed -i 's|^AllowedIPs.*|AllowedIPs = 10.99.0.0/24|' "$conf"
swg-ns set client1 --quiet 2>/dev/null
expect_line ' info client1 - set: applied .*route 10.99.0.0/24 added'
kill -KILL "$(pgrep -f 'swg-engine -f client1$')"
wait_until 5 sh -c "swg-ns list | grep broken"
swg-ns repair client1 --quiet 2>/dev/null
expect_line ' info client1 - repair: remade'
swg-ns detach client1 --quiet
expect_line ' info client1 - detach: taken down'
swg-ns detach client1 --quiet
[ "$(swg-ns log | grep -c 'taken down')" = 1 ] || fail "a detach of nothing was logged: $(swg-ns log)"
swg-ns log client1 --json | jq -e '(.log | length) >= 4 and all(.log[]; contains("\tclient1\t"))' >/dev/null ||
    fail "log of one tunnel: $(swg-ns log client1 --json)"
if swg-ns log | grep -F -f "$test_folder/client1.key"; then fail "P3: a key is in the log"; fi
ok "log: attach, set, repair and detach, and what failed, with the tunnel; no word of run, none of nothing; no key"

swg-ns attach "$conf" --netns blue --create --engine "$backend" --wait --quiet 2>/dev/null
wg_lines() { grep -vE '(tunnel|device|socket|mtu|dns)[^:]*: |handshake|transfer'; }
WG_COLOR_MODE=always wg show client1 | sed 's/client1/wg0/' | wg_lines >"$test_folder/theirs"
WG_COLOR_MODE=always swg-ns show client1 | wg_lines >"$test_folder/ours"
cmp "$test_folder/theirs" "$test_folder/ours" || fail "colours differ: $(diff "$test_folder/theirs" "$test_folder/ours" | cat -v)"
grep -q $'\x1b' "$test_folder/ours" || fail "no colours at all"
on_terminal() { python3 -c 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))' "$@"; }
mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts && mount --bind /dev/pts/ptmx /dev/ptmx
coloured() { grep -q $'\x1b\\[36m'; }
on_terminal swg-ns show client1 | coloured || fail "no colours on a terminal"
if on_terminal env NO_COLOR=1 swg-ns show client1 | coloured; then fail "colours in spite of NO_COLOR"; fi
if on_terminal env WG_COLOR_MODE=never swg-ns show client1 | coloured; then fail "colours in spite of WG_COLOR_MODE=never"; fi
if swg-ns show client1 | coloured; then fail "colours in a pipe"; fi
swg-ns detach client1 --quiet
ok "P7: show is coloured as wg show is, by WG_COLOR_MODE, NO_COLOR and the terminal"
