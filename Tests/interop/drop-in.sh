#!/bin/bash
# The same steps with Debian's wireguard-go and with our engine: what a caller sees is the same.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/pair.sh"
need wg wireguard-go ping python3

engine_pids() { pgrep -f "$engine( -f| --foreground)? $1\$" | head -n 1; }
no_engine() { ! pgrep -f "$engine.*[ -]$1\$"; }
ended_within() { # ended_within SECONDS NAME: yes or no
    if wait_until "$1" no_engine "$2"; then echo yes; else echo no; fi
}
there() { if [ -e "$1" ]; then echo there; else echo gone; fi; }
no_link() { ! ip link show "$1"; }
link() { if ip link show "$1" >/dev/null 2>&1; then echo there; else echo gone; fi; }
# An engine that has ended, by its name or for who waited for it, may hold the interface a moment longer.
link_at_the_end() { if wait_until 2 no_link "$1"; then echo gone; else echo there; fi; }
takes_interrupts() { # takes_interrupts PID: SIGINT is not ignored, or blocked and read from a descriptor
    local ignored blocked
    read -r blocked ignored < <(awk '/^Sig(Blk|Ign)/ { print $2 }' "/proc/$1/status" | xargs)
    [ $((0x$ignored & ~0x$blocked & 2)) = 0 ]
}
status() { # status COMMAND…: its exit status, whether it said something
    local code=0
    "$@" >out 2>err </dev/null || code=$?
    echo "$code"
}

cat >descriptors.py <<'PY'
# descriptors.py ENGINE: WG_TUN_FD and WG_UAPI_FD, in the foreground; ends when its input does.
import fcntl, os, socket, struct, subprocess, sys
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"handed", 1 | 0x1000 | 0x4000))
path = "/var/run/wireguard/handed.sock"
listener = socket.socket(socket.AF_UNIX); listener.bind(path); listener.listen()
environment = dict(os.environ, WG_TUN_FD=str(tun), WG_UAPI_FD=str(listener.fileno()), WG_PROCESS_FOREGROUND="1")
engine = subprocess.Popen([sys.argv[1], "handed"], env=environment, pass_fds=[tun, listener.fileno()])
os.close(tun)
sys.stdin.read()
engine.terminate()
print("ended with", engine.wait())
PY

transcript() {
    local engine=$1 pid code
    echo "background: $(status timeout 10 "$engine" one)"
    echo "socket $(there /var/run/wireguard/one.sock), link $(link one), $(stat -c '%F' /var/run/wireguard/one.sock)"
    pid=$(engine_pids one)
    echo "lives without its parent: $(ps -o ppid= -p "$pid" | tr -d ' ')"
    echo "terminal held: $(readlink /proc/"$pid"/fd/0 /proc/"$pid"/fd/1 | tr '\n' ' ')"
    echo "mtu $(cat /sys/class/net/one/mtu), type $(cat /sys/class/net/one/type)"
    echo "once more: $(status timeout 10 "$engine" one)"
    echo "probes: $(for _ in 1 2 3; do python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.connect("/var/run/wireguard/one.sock")'; done; status wg show one)"
    wg show one dump | sed 's/\t/ /g; s/ [0-9]* off$/ PORT off/'
    wg set one private-key a.key listen-port 4711 fwmark 7 peer "$b_public" preshared-key psk \
        endpoint 192.0.2.9:9 persistent-keepalive 11 allowed-ips 10.9.0.0/16,fd09::/16
    wg show one dump | sed 's/\t/ /g'
    for what in public-key private-key listen-port fwmark peers preshared-keys endpoints allowed-ips \
        latest-handshakes transfer persistent-keepalive; do
        echo "$what: $(wg show one $what)"
    done
    echo "interfaces: $(wg show interfaces), all: $(wg show all dump | wc -l)"
    wg showconf one >saved.conf
    cat saved.conf
    wg set one peer "$b_public" remove
    wg setconf one saved.conf
    printf '[Peer]\nPublicKey = %s\nAllowedIPs = 10.9.1.0/24\n' "$a_public" >more.conf
    wg addconf one more.conf
    wg show one allowed-ips | sort
    wg syncconf one saved.conf
    wg showconf one | diff saved.conf - && echo "syncconf: as saved"
    echo "wrong key: $(printf 'set=1\nnonsense=1\n\n' | python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect("/var/run/wireguard/one.sock"); s.sendall(sys.stdin.read().encode())
print(s.recv(100).decode().strip())')"
    kill -TERM "$pid"
    echo "SIGTERM: ended $(ended_within 2 one), socket $(there /var/run/wireguard/one.sock), link $(link_at_the_end one)"

    for flag in -f --foreground; do
        "$engine" $flag two >out 2>err &
        pid=$!
        wait_until 5 wg show two || echo "not there"
        # Both serve before they care for signals, and this one is ignored in what a shell starts in the background.
        wait_until 5 takes_interrupts $pid || echo "SIGINT is ignored"
        kill -INT $pid
        code=0
        wait $pid || code=$?
        echo "$flag, SIGINT: status $code, socket $(there /var/run/wireguard/two.sock), link $(link_at_the_end two)"
    done
    WG_PROCESS_FOREGROUND=1 "$engine" three >out 2>err &
    pid=$!
    wait_until 5 wg show three || echo "not there"
    rm /var/run/wireguard/three.sock
    code=0
    wait $pid || code=$?
    echo "socket file removed: status $code, link $(link_at_the_end three)"
    LOG_LEVEL=verbose "$engine" -f four >out 2>&1 &
    pid=$!
    wait_until 5 wg show four || echo "not there"
    echo "LOG_LEVEL=verbose says something: $([ -s out ] && echo yes)"
    kill -KILL $pid
    wait $pid 2>/dev/null || true
    wait_until 3 sh -c '! ip link show four' || echo "the interface stays"
    echo "after SIGKILL: socket $(there /var/run/wireguard/four.sock)"
    "$engine" -f four >out 2>&1 &
    pid=$!
    wait_until 5 wg show four || echo "not there"
    echo "stale socket: replaced"
    ip link del four
    code=0
    wait $pid || code=$?
    echo "link deleted: ended, socket $(there /var/run/wireguard/four.sock)"

    ip netns add container
    "$engine" five >out 2>err
    sleep 0.3
    ip link set five netns container name eth9
    ip -n container addr add 10.5.0.1/24 dev eth9
    ip -n container link set eth9 mtu 1300 up
    echo "moved and renamed: $(status wg show five)"
    ip netns del container
    echo "namespace gone: ended within a second $(ended_within 1 five), socket $(there /var/run/wireguard/five.sock)"

    mkfifo life
    python3 descriptors.py "$engine" <life >handed.out 2>&1 &
    pid=$!
    exec 8>life
    wait_until 5 wg show handed || echo "handed over: $(cat handed.out)"
    wg set handed listen-port 4712
    echo "handed over: $(wg show handed listen-port) $(link handed)"
    exec 8>&-
    wait $pid
    grep ended handed.out || true
    rm -f life /var/run/wireguard/handed.sock
    echo "name too long: $(status "$engine" 12345678901234567 | sed 's/^[1-9].*/refused/')"
    echo "bad descriptor: $(status env WG_TUN_FD=99 "$engine" -f six | sed 's/^[1-9].*/refused/')"
}

umask 077
wg genkey >a.key
wg genkey >b.key
wg genpsk >psk
umask 022
a_public=$(wg pubkey <a.key)
b_public=$(wg pubkey <b.key)
# What fails is part of the transcript.
transcript wireguard-go >theirs 2>&1 || true
transcript swg-engine >ours 2>&1 || true
diff theirs ours >difference || {
    cat difference
    fail "differs from wireguard-go"
}
ok "$(wc -l <ours) lines of behaviour as wireguard-go's"
