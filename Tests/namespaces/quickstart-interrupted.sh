#!/bin/bash
# Ctrl-C while the quickstart builds: it says so on the terminal, names its logs, and ends with 130.
source "$(dirname "$0")/../lib/test.sh"
[ -c /dev/net/tun ] || skip "no /dev/net/tun"
mkdir bin
cat >bin/swift <<'SWIFT'
#!/bin/bash
# Stands for a compiler that is busy.
case $1 in
--version) echo "Swift version 99.0" ;;
*) exec sleep 616 ;;
esac
SWIFT
chmod 755 bin/swift
# A group of its own, in which SIGINT is not ignored: what a terminal gives a command.
set -m
PATH=$PWD/bin:$PATH "$(dirname "$0")/../../examples/quickstart" >output 2>&1 &
quickstart=$!
set +m
wait_until 30 pgrep -f '^sleep 616$' || fail "no build: $(cat output)"
kill -INT -- -$quickstart
status=0 && wait $quickstart || status=$?
[ $status = 130 ] || fail "status $status: $(cat output)"
grep -q '^quickstart: interrupted. Logs: /' output || fail "nothing said: $(cat output)"
! pgrep -f '^sleep 616$' >/dev/null || fail "the build goes on"
rm -rf "$(sed -n 's/^quickstart: interrupted. Logs: //p' output)"
ok "Ctrl-C during the quickstart's build: said on the terminal, status 130"
