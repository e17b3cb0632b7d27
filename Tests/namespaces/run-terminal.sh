#!/bin/bash
# `run` on a terminal: Ctrl-C, Ctrl-Z, fg and the window size work as with env(1).
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/run-modes.sh"
prepare_modes
mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts 2>/dev/null && mount --bind /dev/pts/ptmx /dev/ptmx 2>/dev/null || true

cat >/srv/bin/ticker <<'TICKER'
#!/bin/bash
trap 'echo "size $(stty size)"' WINCH
echo started
while :; do echo tick; sleep 0.1; done
TICKER
chmod 755 /srv/bin/ticker

for mode in root root-strict; do
    "$(dirname "$0")/../lib/terminal" /srv/bin/swg-ns run --quiet $(strict_of $mode) "$(configuration_of $mode)" -- /srv/bin/ticker \
        >"$test_folder/output" || fail "($mode) $(cat "$test_folder/output")"
    ok "terminal ($mode): $(tr '\n' ' ' <"$test_folder/output")"
done
for mode in rootless rootless-strict; do
    as_tester "$(dirname "$0")/../lib/terminal" /srv/bin/swg-ns run --quiet $(strict_of $mode) "$(configuration_of $mode)" -- /srv/bin/ticker \
        >"$test_folder/output" || fail "($mode) $(cat "$test_folder/output")"
    ok "terminal ($mode): $(tr '\n' ' ' <"$test_folder/output")"
done
[ -z "$(ls /run/swg-ns/tunnels 2>/dev/null)" ] || fail "state is left"
