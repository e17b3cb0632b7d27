#!/bin/bash
# examples/service-in-namespace.conf under a real systemd: an ordinary service whose only way out is the tunnel.
source "$(dirname "$0")/../lib/test.sh"
under_systemd
need curl python3
examples=$(realpath "$(dirname "$0")/../../examples")
make_gateway
ip -n gateway addr add 10.99.0.77/32 dev gateway0
ip netns exec gateway busybox httpd -p 10.99.0.77:80 -h "$test_folder/www"
ip netns exec gateway "$(dirname "$0")/../lib/dns-server" 10.99.0.1 10.99.0.77 >"$test_folder/dns" &
wait_until 5 grep -q ready "$test_folder/dns" || fail "the DNS server does not start"
mount -t tmpfs -o mode=755 tmpfs /usr/local/bin
cp "$SWG_BIN/swg-ns" "$SWG_BIN/swg-engine" /usr/local/bin/
mkdir -p /etc/wireguard
cp "$test_folder/client1.conf" /etc/wireguard/egress.conf
chmod 600 /etc/wireguard/egress.conf
cp "$examples/swg-ns@.service" /etc/systemd/system/

# A resolver of the host, of the kind that listens on a socket, and a file that points to it, as Ubuntu has it.
mkdir -p /run/systemd/resolve /run/nscd
echo "nameserver 127.0.0.53" >/run/systemd/resolve/stub-resolv.conf
rm -f /etc/resolv.conf
ln -s ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
python3 - <<'PYTHON' &
import socket, time
for path in ["/run/systemd/resolve/io.systemd.Resolve", "/run/nscd/socket"]:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    globals()[path] = listener
time.sleep(600)
PYTHON
wait_until 5 test -S /run/nscd/socket

cat >/etc/systemd/system/fetch.service <<UNIT
[Unit]
Description=An ordinary service
[Service]
Type=exec
ExecStart=$test_folder/fetch
UNIT
cat >"$test_folder/fetch" <<'SCRIPT'
#!/bin/bash
cd /run/test
{
    ip -o link | sed -E 's/^[0-9]+: ([^:@]+).*/\1/' | sort | tr '\n' ' '
    echo
    cat /etc/resolv.conf
    curl -s -m 15 http://page.example/
    python3 - <<'PYTHON'
import socket
for path in ["/run/systemd/resolve/io.systemd.Resolve", "/run/nscd/socket", "/run/dbus/system_bus_socket"]:
    try:
        socket.socket(socket.AF_UNIX).connect(path)
        print("within reach:", path)
    except OSError:
        pass
PYTHON
} >seen.new 2>&1
mv seen.new seen
exec sleep 1000
SCRIPT
chmod 755 "$test_folder/fetch"
mkdir -p /etc/systemd/system/fetch.service.d
cp "$examples/service-in-namespace.conf" /etc/systemd/system/fetch.service.d/tunnel.conf
systemctl daemon-reload

systemctl start fetch.service || fail "start: $(systemctl status --no-pager fetch.service swg-ns@egress.service)"
[ "$(systemctl is-active swg-ns@egress.service)" = active ] || fail "the service did not bring its tunnel"
tunnel_ready=$(systemctl show -P ActiveEnterTimestampMonotonic swg-ns@egress.service)
service_started=$(systemctl show -P ExecMainStartTimestampMonotonic fetch.service)
[ "$tunnel_ready" -le "$service_started" ] || fail "the service started before its tunnel was up"
ok "starting the service starts the tunnel, and waits until it is up"

wait_until 20 test -e "$test_folder/seen" || fail "the service does nothing"
grep -qx 'lo wg0 ' "$test_folder/seen" || fail "P1: links: $(cat "$test_folder/seen")"
grep -q '^nameserver 10.99.0.1$' "$test_folder/seen" || fail "DNS: $(cat "$test_folder/seen")"
! grep -q 127.0.0.53 "$test_folder/seen" || fail "the host's resolver: $(cat "$test_folder/seen")"
grep -q 'behind the tunnel' "$test_folder/seen" || fail "no page by name: $(cat "$test_folder/seen")"
! grep 'within reach' "$test_folder/seen" || fail "sockets of the host are in the service's reach"
ok "it holds lo and the tunnel, resolves by the tunnel's DNS only, and fetches a page by name"

systemctl restart swg-ns@egress.service
wait_until 10 systemctl is-active -q fetch.service || fail "the service did not come back with its tunnel"
own=$(readlink "/proc/$(systemctl show -P MainPID fetch.service)/ns/net")
[ "$own" = "$(ip netns exec egress readlink /proc/self/ns/net)" ] || fail "the service lives in a namespace that is gone"
ok "a tunnel that restarts takes its service along, into the new namespace"

systemctl stop swg-ns@egress.service
[ "$(systemctl is-active fetch.service)" = inactive ] || fail "the service outlives its tunnel: $(systemctl is-active fetch.service)"
[ ! -e /run/netns/egress ] || fail "the namespace is still there"
ok "stopping the tunnel stops the service first"

sed -i 's/^Endpoint.*/Endpoint = nowhere.invalid:51820/' /etc/wireguard/egress.conf
! systemctl start fetch.service 2>/dev/null || fail "the service started without its tunnel"
[ "$(systemctl is-active fetch.service)" != active ] || fail "the service runs without its tunnel"
ok "no tunnel, no service: it never runs with the host's network"
