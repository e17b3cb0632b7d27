import IPAddressing

/// `resolv.conf` and `nsswitch.conf` of a confined command, made from `DNS=` and nothing else.
///
/// Name service modules that ask a process outside (resolve, mymachines, sss, mdns, ldap) are not among the
/// sources: their answers would come from the host's resolver (leak rows 6 and 7). resolv.conf(5),
/// nsswitch.conf(5).
struct ResolverFiles: Hashable, Sendable {
    var servers: [IPAddress]
    var searchDomains: [String]

    var resolvConf: String {
        var text = "# Made by swg-ns from DNS= of the tunnel's configuration.\n"
        if servers.isEmpty {
            text += "# There is none: names are not resolved, rather than by the host's resolver.\n"
        }
        // glibc reads the first three.
        for server in servers { text += "nameserver \(server)\n" }
        if !searchDomains.isEmpty { text += "search \(searchDomains.joined(separator: " "))\n" }
        return text
    }

    var nsswitchConf: String {
        """
        # Made by swg-ns: nothing that asks a service of the host.
        passwd: files
        group: files
        shadow: files
        gshadow: files
        hosts: \(servers.isEmpty ? "files" : "files dns")
        networks: files
        protocols: files
        services: files
        ethers: files
        rpc: files
        netgroup: files

        """
    }
}
