#!/bin/bash
# attach, exec, check and detach on containers by name, id and the beginning of an id: podman, containerd, and docker
# (a stand-in that answers as docker inspect does: what is tested is the question).
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/runtimes.sh"
need podman containerd ctr runc jq busybox
host_like
make_gateway
conf=$test_folder/client1.conf
mkdir -p "$test_folder/store" "$test_folder/containerd"
cat >"$test_folder/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:8192"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "runc"
CONF
cat >"$test_folder/storage.conf" <<CONF
[storage]
driver = "overlay"
graphroot = "$test_folder/store/graph"
runroot = "/run/test/store/run"
CONF
export CONTAINERS_CONF=$test_folder/containers.conf CONTAINERS_STORAGE_CONF=$test_folder/storage.conf
make_archive "$test_folder/image.tar" localhost/case:1
podman load -q -i "$test_folder/image.tar" >/dev/null || fail "podman load"

# The runtime asked is one that swg-ns knows by its place: nothing of the caller's but where its store is.
podman run -d --name one --network none --cap-add NET_RAW localhost/case:1 sleep 600 >/dev/null || fail "podman run"
id=$(podman inspect one --format '{{.Id}}')
inside() { podman exec one "$@"; }
before=$(inside ip -o link | sed 's/qlen.*//')
for name in one "$id" "${id:0:12}" "${id:0:5}"; do
    swg-ns attach "$conf" --container "$name" --engine userspace --wait >"$test_folder/output" 2>&1 ||
        fail "attach to $name: $(cat "$test_folder/output")"
    expect_output "attached client1: wg0 in container \"$name\""
    expect_output "not applied .*give the container's runtime --dns 10.99.0.1"
    inside ping -q -c 1 -W 20 10.99.0.1 >/dev/null || fail "no answer in $name"
    inside wget -q -O - http://10.99.0.1/ | grep >/dev/null "behind the tunnel" || fail "no page in $name"
    swg-ns exec client1 -- curl -s -m 20 http://10.99.0.1/ | grep >/dev/null "behind the tunnel" || fail "exec"
    expect_status 0 swg-ns check --container "$name"
    [ "$(swg-ns detach --container "$name")" = "detached client1" ] || fail "detach of $name"
    [ "$(inside ip -o link | sed 's/qlen.*//')" = "$before" ] || fail "detach left: $(inside ip -o link)"
done
ok "podman: by name, id, and two beginnings of the id"

expect_status 1 swg-ns attach "$conf" --container nothing --engine userspace
expect_output 'no running container "nothing" is known to podman.*start it, or give its process with --pid'
podman create --name idle --network none localhost/case:1 sleep 600 >/dev/null
expect_status 1 swg-ns attach "$conf" --container idle --engine userspace
expect_output 'no running container "idle"'
for name in --help '' -x "$(printf '%300s' x)"; do
    expect_status 2 swg-ns attach "$conf" "--container=$name" --engine userspace
    expect_output 'is not the name of a container'
done
podman run -d --name wide --network host localhost/case:1 sleep 600 >/dev/null
expect_status 1 swg-ns attach "$conf" --container wide --engine userspace
expect_output 'namespace of this process'
ok "P5, P6: no such container, one that does not run, one in our own namespace, and names that are options"

# A container that ends while the tunnel is there, and comes back under its name: another namespace.
swg-ns attach "$conf" --container one --engine userspace --quiet 2>/dev/null
podman restart -t 0 one >/dev/null
expect_status 2 swg-ns check --container one
expect_output 'no tunnel of ours'
swg-ns gc --quiet
swg-ns attach "$conf" --container one --engine userspace --quiet --wait 2>/dev/null || fail "attach after a restart"
inside ping -q -c 1 -W 20 10.99.0.1 >/dev/null || fail "no answer after a restart"
swg-ns detach --container one --quiet
podman rm -f -t 0 one idle wide >/dev/null
ok "a restarted container is another one: gc takes the old tunnel, attach makes a new one"

mkdir -p /run/containerd
cat >"$test_folder/containerd.toml" <<CONF
version = 2
root = "$test_folder/containerd/root"
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "/run/containerd/containerd.sock"
CONF
containerd -c "$test_folder/containerd.toml" >"$test_folder/containerd.log" 2>&1 &
daemon=$!
wait_until 20 ctr version || { tail -n 20 "$test_folder/containerd.log"; fail "containerd does not answer"; }
ctr images import "$test_folder/image.tar" >/dev/null 2>&1 || fail "ctr images import"
for name in alpha1 alpha2; do
    ctr run -d localhost/case:1 $name /bin/sleep 600 >"$test_folder/said" 2>&1 || fail "ctr run: $(cat "$test_folder/said")"
done
expect_status 1 swg-ns attach "$conf" --container alpha --engine userspace
expect_output '"alpha" fits several containers: alpha[12], alpha[12]; give the whole id'
swg-ns attach "$conf" --container alpha2 --engine userspace --wait --quiet 2>/dev/null || fail "attach to a task"
ctr tasks exec --exec-id x1 alpha2 /bin/wget -q -O - http://10.99.0.1/ | grep >/dev/null "behind the tunnel" || fail "no page in alpha2"
[ "$(ctr tasks exec --exec-id x2 alpha1 /bin/ip -o link | wc -l)" = 1 ] || fail "alpha1 got the tunnel"
swg-ns detach --container alpha2 --quiet
for name in alpha1 alpha2; do ctr tasks kill -s KILL $name; done
wait_until 5 sh -c '! ctr tasks list | grep RUNNING'
expect_status 1 swg-ns attach "$conf" --container alpha2 --engine userspace
expect_output 'no running container'
kill "$daemon"
ok "containerd: by id, by the beginning of an id if only one fits, never a stopped one"

ip netns add shut
ip netns exec shut sleep 600 &
wait_until 3 sh -c 'pgrep -f "^sleep 600"'
mount -t tmpfs tmpfs /usr/local/bin
cp "$SWG_BIN"/swg-{ns,engine} /usr/local/bin/
cat >/usr/local/bin/docker <<DOCKER
#!/bin/sh
[ "\$*" = "inspect --type container --format {{.State.Pid}} web" ] || { echo "Error: No such container" >&2; exit 1; }
cat $test_folder/docker.pid
DOCKER
chmod 755 /usr/local/bin/docker
pgrep -f '^sleep 600' >"$test_folder/docker.pid"
swg-ns attach "$conf" --container web --engine userspace --quiet --wait 2>/dev/null || fail "attach by docker's answer"
[ "$(swg-ns detach --container web)" = "detached client1" ] || fail "detach by docker's answer"
expect_status 1 swg-ns attach "$conf" --container other --engine userspace
expect_output 'is known to podman \(.*no such container.*docker \(Error: No such container\)'
# Started anew between the two questions.
cat >>/usr/local/bin/docker <<'DOCKER'
echo 1 >/run/test/docker.pid
DOCKER
expect_status 1 swg-ns attach "$conf" --container web --engine userspace
expect_output 'container "web" was started anew while it was looked up; try again'
ok "docker: asked as docker wants it; a container that restarts meanwhile is refused (P5)"
