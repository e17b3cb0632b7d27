// libcni-driver VERB CONFDIR NETWORK CONTAINER NETNS: what every Go runtime does with a plugin, by the very
// library that they link. VERB: add, check, del, validate. Prints the result of add in its version's form.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/containernetworking/cni/libcni"
)

func main() {
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "usage: libcni-driver add|check|del|validate CONFDIR NETWORK CONTAINER NETNS")
		os.Exit(2)
	}
	verb, folder, network, container, netns := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	cni := libcni.NewCNIConfigWithCacheDir(strings.Split(os.Getenv("CNI_PATH"), ":"), os.Getenv("CNI_CACHE"), nil)
	list, err := libcni.LoadConfList(folder, network)
	if err != nil {
		fail(err)
	}
	runtime := &libcni.RuntimeConf{ContainerID: container, NetNS: netns, IfName: "eth0"}
	ctx := context.TODO()
	switch verb {
	case "add":
		result, err := cni.AddNetworkList(ctx, list, runtime)
		if err != nil {
			fail(err)
		}
		if err := result.Print(); err != nil {
			fail(err)
		}
	case "check":
		err = cni.CheckNetworkList(ctx, list, runtime)
	case "del":
		err = cni.DelNetworkList(ctx, list, runtime)
	case "validate":
		_, err = cni.ValidateNetworkList(ctx, list)
	default:
		err = fmt.Errorf("unknown verb %s", verb)
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
