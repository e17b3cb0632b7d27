#!/bin/bash
# `run`: names are looked up by the tunnel's DNS= and by nothing else. Leak rows 6, 7, 8.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/run-modes.sh"
prepare_modes
ip netns exec gateway "$(dirname "$0")/../lib/dns-server" 10.99.0.1 10.99.0.77 >"$test_folder/dns" &
wait_until 5 grep -q ready "$test_folder/dns" || fail "no DNS server"

# The host's answers, which must not be seen inside.
mkdir -p /run/nscd /run/systemd/resolve
echo "nameserver 192.0.2.53" >/run/systemd/resolve/stub-resolv.conf
rm -f /etc/resolv.conf
ln -s /run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
sed -i 's/^hosts:.*/hosts: resolve [!UNAVAIL=return] mymachines files/' /etc/nsswitch.conf
/srv/bin/leak-probe listen /run/nscd/socket /run/systemd/resolve/io.systemd.Resolve >"$test_folder/ready" </dev/null &
listener=$!
wait_until 5 grep -q ready "$test_folder/ready" || fail "no listener"

for mode in $modes; do
    expect_closed 6 "$mode" "ENOENT|EACCES" unix /run/nscd/socket
    ok "leak row 6 ($mode): the name-service cache is out of reach"
    expect_closed 7 "$mode" "ENOENT|EACCES" unix /run/systemd/resolve/io.systemd.Resolve
    behind "$mode" grep -q '^hosts: files dns$' /etc/nsswitch.conf || fail "leak row 7 ($mode): nsswitch.conf is the host's"
    answer=$(behind "$mode" getent ahostsv4 probe.example </dev/null) || true
    [[ $answer == 10.99.0.77* ]] || fail "leak row 7 ($mode): probe.example is \"$answer\""
    ok "leak row 7 ($mode): the tunnel's server answers, not the host's resolver"
done

# While the command runs, the host replaces both its files by rename, as resolvconf and DHCP clients do.
for mode in $modes; do
    mkfifo "$test_folder/go"
    chmod 666 "$test_folder/go"
    : >"$test_folder/seen"
    behind "$mode" "$BASH" -c 'echo here; read -r; cat /etc/resolv.conf /etc/nsswitch.conf' \
        <"$test_folder/go" >"$test_folder/seen" 2>&1 &
    command=$!
    exec 8>"$test_folder/go"
    wait_until 10 grep -q here "$test_folder/seen" || fail "($mode) no command: $(cat "$test_folder/seen")"
    for file in resolv.conf nsswitch.conf; do
        echo "nameserver 192.0.2.66 # hosts: resolve" >/etc/$file.new
        mv -f /etc/$file.new /etc/$file
    done
    echo >&8
    exec 8>&-
    wait $command || fail "leak row 8 ($mode): $(cat "$test_folder/seen")"
    ! grep -q 192.0.2.66 "$test_folder/seen" || fail "leak row 8 ($mode): the host's new file shows through"
    grep -q 'nameserver 10.99.0.1' "$test_folder/seen" || fail "leak row 8 ($mode): $(cat "$test_folder/seen")"
    rm "$test_folder/go"
    ok "leak row 8 ($mode): resolv.conf and nsswitch.conf survive the host's replacing its own"
done
kill $listener

# Without DNS= nothing is resolved, rather than by the host.
sed '/^DNS/d' "$(configuration_of root)" >"$test_folder/nodns.conf"
chmod 600 "$test_folder/nodns.conf"
swg root run --quiet "$test_folder/nodns.conf" -- "$BASH" -c '! getent ahostsv4 probe.example && ! grep nameserver /etc/resolv.conf' ||
    fail "names are resolved without DNS="
ok "without DNS= no name is resolved"
