#!/bin/bash
# P3: keys are locked in memory, in no core dump and in nobody's reach; once they are replaced or removed they are in the
# memory of neither process any more.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/pair.sh"
need wg python3

swg-engine one
umask 077
for name in first second; do wg genkey >$name.key; done
for name in first second; do wg genpsk >$name.psk; done
umask 022
peer=$(wg genkey | wg pubkey)
other=$(wg genkey | wg pubkey)

cat >scan.py <<'PY'
# scan.py PID KEYFILE: how often the key stands in the process's memory: as bytes, in hexadecimal, in base64.
import base64, re, sys
text = open(sys.argv[2]).read().strip()
key = base64.b64decode(text)
forms = [key, key.hex().encode(), text.encode()]
found = 0
with open(f"/proc/{sys.argv[1]}/maps") as maps, open(f"/proc/{sys.argv[1]}/mem", "rb", 0) as memory:
    for line in maps:
        match = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)", line)
        start, end = int(match[1], 16), int(match[2], 16)
        if match[3][0] != "r" or match[4] in ("[vvar]", "[vsyscall]") or end - start > 1 << 28: continue
        memory.seek(start)
        try: data = memory.read(end - start)
        except OSError: continue
        found += sum(data.count(form) for form in forms)
print(found)
PY
in_memory() { # in_memory KEYFILE: in monitor and worker
    echo $(($(python3 scan.py "$(monitor one)" "$1") + $(python3 scan.py "$(workers one)" "$1")))
}

wg set one private-key first.key peer "$peer" preshared-key first.psk allowed-ips 10.0.0.0/8
wg show one dump >/dev/null
for name in first.key first.psk; do
    [ "$(in_memory $name)" -gt 0 ] || fail "the test does not find $name where it must be"
done
locked() { awk -v file=swg-configuration '$6 ~ file { on = 1 } on && /^Size/ { size += $2 } on && /^Locked/ { locked += $2; on = 0 } END { print size + 0, locked + 0 }' /proc/"$(monitor one)"/smaps; }
read -r size kept <<<"$(locked)"
[ "$size" -gt 0 ] && [ "$size" = "$kept" ] || fail "$kept of $size KiB of the configuration are locked"
for _ in $(seq 200); do printf '[Peer]\nPublicKey = %s\nAllowedIPs = 10.1.0.0/16\nPresharedKey = %s\n' "$(head -c 32 /dev/urandom | base64)" "$(cat second.psk)"; done >many.conf
wg addconf one many.conf
# The worker writes it, the monitor hears of it a moment later.
is_grown_and_locked() { read -r more kept <<<"$(locked)"; [ "$more" -gt "$size" ] && [ "$more" = "$kept" ]; }
wait_until 5 is_grown_and_locked || fail "$kept of $more KiB of the grown configuration are locked"
kill -KILL "$(workers one)"
wait_until 3 wg show one || fail "no new worker"
read -r more kept <<<"$(locked)"
[ "$more" = "$kept" ] || fail "after a worker's death $kept of $more KiB are locked"
ok "P3: the configuration of $more KiB stays locked in memory"

for process in $(monitor one) $(workers one); do
    grep -q '^Max core file size *0 *0 ' /proc/"$process"/limits || fail "core files: $(grep core /proc/"$process"/limits)"
    [ "$(stat -c %u /proc/"$process"/environ)" = 0 ] || fail "process $process is dumpable"
done
[ "$(awk '/^Uid:/ { print $2 }' /proc/"$(workers one)"/status)" != 0 ] || fail "the worker is root"
ok "P3: no core dumps, nobody of the same user may look into the worker"

wg set one private-key second.key peer "$peer" preshared-key second.psk
wg show one dump >/dev/null
for name in first.key first.psk; do
    found=$(in_memory $name)
    [ "$found" = 0 ] || fail "$name was replaced and is still in memory, $found times"
done
wg set one private-key /dev/null peer "$peer" remove
printf '[Interface]\n' >empty.conf
wg setconf one empty.conf
wg set one peer "$other" allowed-ips 10.2.0.0/16
for name in second.key second.psk; do
    found=$(in_memory $name)
    [ "$found" = 0 ] || fail "$name was removed and is still in memory, $found times"
done
ok "P3: keys that were replaced or removed are in the memory of neither process"
