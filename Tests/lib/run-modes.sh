# Sourced after test.sh by the tests of `run`: one tunnel, used by root and by an ordinary user, at both levels.
#
#   root              uid 0, default level          rootless              user `tester`, user namespace
#   root-strict       uid 0, --strict               rootless-strict       the same with --strict
#   sudo              root on behalf of `tester`    sudo-strict           the same with --strict
modes="root root-strict rootless rootless-strict sudo sudo-strict"
# Without root there is only the engine.
[ "$backend" != kernel ] || modes="root root-strict sudo sudo-strict"
tester=4711

# A gateway, the user, and a place that both see and that no level hides: /srv, with the programs in it.
prepare_modes() {
    need python3 setpriv
    [ -c /dev/net/tun ] || skip "no /dev/net/tun"
    make_gateway
    mount -t tmpfs -o mode=755 tmpfs /srv
    mkdir -p /srv/bin /srv/tester /run/user/$tester /run/user/0
    cp "$SWG_BIN/swg-ns" "$SWG_BIN/swg-engine" "$(dirname "${BASH_SOURCE[0]}")/leak-probe" /srv/bin/
    grep -q "^tester:" /etc/passwd || echo "tester:x:$tester:$tester::/srv/tester:/bin/bash" >>/etc/passwd
    grep -q "^tester:" /etc/group || echo "tester:x:$tester:" >>/etc/group
    for number in 1 2; do
        cp "$test_folder/client$number.conf" /srv/tester/
        chmod 600 "/srv/tester/client$number.conf"
    done
    chown 0:0 /srv/tester/client1.conf
    chown -R $tester:$tester /srv/tester /run/user/$tester
    chown 0:0 /srv/tester/client1.conf
    chmod 700 /run/user/$tester /run/user/0
    cd /srv
}

# as_tester COMMAND…
to_tester=(setpriv --reuid $tester --regid $tester --clear-groups
    env HOME=/srv/tester USER=tester XDG_RUNTIME_DIR=/run/user/$tester)
as_tester() { "${to_tester[@]}" "$@"; }

# caller_of MODE COMMAND…: as the mode's caller, not confined.
caller_of() {
    case $1 in rootless*) as_tester "${@:2}" ;; *) "${@:2}" ;; esac
}

# configuration_of MODE
configuration_of() {
    case $1 in
    rootless*) echo /srv/tester/client2.conf ;;
    *) echo /srv/tester/client1.conf ;;
    esac
}

# swg MODE VERB-AND-OPTIONS…: swg-ns as the mode's caller, `run` with the backend under test.
swg() {
    local mode=$1
    shift
    case $mode:$1:$* in
    rootless*:run:* | *:run:*--engine*) ;;
    *:run:*) set -- run --engine "$backend" "${@:2}" ;;
    esac
    case $mode in
    rootless*) as_tester /srv/bin/swg-ns "$@" ;;
    sudo*) env SUDO_UID=$tester SUDO_GID=$tester SUDO_USER=tester XDG_RUNTIME_DIR=/run/user/0 /srv/bin/swg-ns "$@" ;;
    *) /srv/bin/swg-ns "$@" ;;
    esac
}

# strict_of MODE: the option, or nothing.
strict_of() { case $1 in *-strict) echo --strict ;; esac; }

# behind MODE COMMAND…: runs it behind the tunnel.
behind() {
    local mode=$1
    shift
    # shellcheck disable=SC2046
    swg "$mode" run --quiet $(strict_of "$mode") "$(configuration_of "$mode")" -- "$@"
}

# probe MODE WORDS…: what leak-probe says inside.
probe() {
    local mode=$1
    shift
    behind "$mode" /srv/bin/leak-probe "$@" </dev/null
}

# expect_closed ROW MODE ANSWERS WORDS…: the probe must give one of the answers (an extended regular expression).
expect_closed() {
    local row=$1 mode=$2 wanted=$3 answer
    shift 3
    answer=$(probe "$mode" "$@") || fail "leak row $row ($mode): the probe could not run: $answer"
    [[ $answer =~ ^($wanted)$ ]] || fail "leak row $row ($mode): $*: $answer instead of $wanted"
}

is_strict() { [[ $1 == *-strict ]]; }
