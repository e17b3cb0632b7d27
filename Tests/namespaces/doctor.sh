#!/bin/bash
# doctor on machines that lack something: what it names, what it advises, and its exit status (P6).
source "$(dirname "$0")/../lib/test.sh"
need jq setpriv
[ -c /dev/net/tun ] || skip "no /dev/net/tun"
mount -t tmpfs -o mode=755 tmpfs /srv
mkdir /srv/bin /srv/alone /srv/state /srv/root
cp "$SWG_BIN/swg-ns" "$SWG_BIN/swg-engine" /srv/bin/
cp "$SWG_BIN/swg-ns" /srv/alone/
chmod 1777 /srv/state
as_user() { setpriv --reuid 4711 --regid 4711 --clear-groups env XDG_RUNTIME_DIR=/srv/state "$@"; }
finding() { jq -r --arg subject "$1" '.findings[] | select(.subject == $subject) | .verdict + "|" + .finding + "|" + (.cure // "")' "$test_folder/output"; }
expect_finding() { # expect_finding SUBJECT PATTERN, of "VERDICT|FINDING|CURE"
    finding "$1" | grep >/dev/null -E -- "$2" || fail "$1 is \"$(finding "$1")\" and not $2"
}

expect_status 0 /srv/bin/swg-ns doctor --json
jq -e '(.findings | length) > 8 and all(.findings[]; .verdict | IN("good", "limited", "missing"))' "$test_folder/output" >/dev/null ||
    fail "not the documented JSON: $(cat "$test_folder/output")"
expect_finding engine "^good\|/srv/bin/swg-engine, version [0-9.]+\|$"
expect_finding "TUN device" "^good"
expect_finding "a way to make tunnels" "^good\|.*the engine"
# Where the driver is, root needs no engine.
driver=$(finding "kernel's WireGuard" | cut -d'|' -f1)
without_engine=1
[ "$driver" != good ] || without_engine=0
[ ! -e /run/swg-ns ] || fail "doctor left a state directory"
ok "here everything is, the engine with its version; nothing is left behind"

expect_status $without_engine /srv/alone/swg-ns doctor --json
expect_finding engine "^missing\|the engine is at none of: /srv/alone/swg-engine.*\|install swg-engine"
ok "an engine that is not installed: where it was looked for, and what to do"

cp /bin/false /srv/alone/swg-engine
expect_status $without_engine /srv/alone/swg-ns doctor --json
expect_finding engine "^missing\|/srv/alone/swg-engine does not run"
ok "an engine that does not run"

without_tun() { unshare --mount --propagation private "$BASH" -c 'mount -t tmpfs tmpfs /dev/net; '"$1"'; "${@:2}"' -- "$@"; }
expect_status $without_engine without_tun true /srv/bin/swg-ns doctor --json
expect_finding "TUN device" "^missing\|.*ENOENT.*\|.*modprobe tun.*--device /dev/net/tun"
expect_status 1 without_tun 'mknod -m 600 /dev/net/tun c 10 200' setpriv --reuid 4711 --regid 4711 --clear-groups \
    env XDG_RUNTIME_DIR=/srv/state /srv/bin/swg-ns doctor --json
expect_finding "TUN device" "^missing\|.*EACCES.*\|sudo chmod 0666 /dev/net/tun"
expect_finding "a way to make tunnels" "^missing\|.*the TUN device"
expect_status 0 without_tun 'mknod -m 600 /dev/net/tun c 10 200' /srv/bin/swg-ns doctor --json
expect_finding "TUN device" "^limited\|.*ordinary users"
ok "no TUN device, and one that only root may open: each with its cure"

status=0
as_user /srv/bin/swg-ns doctor --json >"$test_folder/output" || status=$?
expect_finding privileges "^limited\|no root.*\|sudo swg-ns"
expect_finding "state directory" "^good\|/srv/state/swg-ns"
if [ "$(finding "user namespaces" | cut -d'|' -f1)" = good ]; then
    [ $status = 0 ] || fail "exit $status although run works without root"
fi
ok "without root: run works, attach wants sudo"

mount --rbind / /srv/root
in_chroot() { chroot /srv/root "$@"; }
expect_status 0 in_chroot /srv/bin/swg-ns doctor --json
expect_finding "user namespaces" "^limited\|run needs root here: .*EPERM.*chroot.*\|.*use sudo"
status=0
chroot --userspec=4711:4711 /srv/root env XDG_RUNTIME_DIR=/srv/state /srv/bin/swg-ns doctor --json >"$test_folder/output" || status=$?
[ $status = 1 ] || fail "exit $status where neither root nor a user namespace can be had"
expect_finding "a way to make tunnels" "^missing\|.*neither privileges nor user namespaces"
ok "where user namespaces are refused doctor says so, and that nothing is left without root"

mount -t tmpfs -o size=4k,mode=755 tmpfs /srv/state
echo full >/srv/state/file
expect_status 1 /srv/bin/swg-ns doctor --state-dir /srv/state/swg-ns --json
expect_finding "state directory" "^missing\|.*ENOSPC"
ok "a full disk below the state directory"
