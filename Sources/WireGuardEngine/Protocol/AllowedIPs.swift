import IPAddressing

/// The device's cryptokey routing table: which peer an inner address belongs to, for both families.
struct AllowedIPs: ~Copyable {
    private let ipv4: AllowedIPsTrie
    private let ipv6: AllowedIPsTrie

    init(reclaimer: Reclaimer) {
        ipv4 = AllowedIPsTrie(bits: 32, reclaimer: reclaimer)
        ipv6 = AllowedIPsTrie(bits: 128, reclaimer: reclaimer)
    }

    /// Any thread: whom a validated packet is for (checklist D4).
    @inline(__always)
    func peer(forDestinationOf packet: UnsafeRawPointer, isIPv6: Bool) -> PeerPointer? {
        isIPv6
            ? ipv6.lookup(AllowedIPsKey(high: packet.bigEndian64(24), low: packet.bigEndian64(32)))
            : ipv4.lookup(AllowedIPsKey(ipv4: packet.bigEndian32(16)))
    }

    /// Any thread: who may have sent a validated packet (checklist D2). It must be exactly the peer whose key
    /// opened it; whether the address is in that peer's list would not be enough, because a longer prefix may
    /// belong to another.
    @inline(__always)
    func peer(forSourceOf packet: UnsafeRawPointer, isIPv6: Bool) -> PeerPointer? {
        isIPv6
            ? ipv6.lookup(AllowedIPsKey(high: packet.bigEndian64(8), low: packet.bigEndian64(16)))
            : ipv4.lookup(AllowedIPsKey(ipv4: packet.bigEndian32(12)))
    }

    /// Control, and tests.
    func peer(for address: IPAddress) -> PeerPointer? {
        address.isIPv4 ? ipv4.lookup(AllowedIPsKey(address)) : ipv6.lookup(AllowedIPsKey(address))
    }

    /// Control.
    func insert(_ prefix: IPPrefix, peer: PeerPointer) {
        if prefix.address.isIPv4 {
            ipv4.insert(AllowedIPsKey(prefix.address), length: prefix.length, peer: peer)
        } else {
            ipv6.insert(AllowedIPsKey(prefix.address), length: prefix.length, peer: peer)
        }
    }

    /// Control.
    func remove(_ prefix: IPPrefix, peer: PeerPointer) {
        if prefix.address.isIPv4 {
            ipv4.remove(AllowedIPsKey(prefix.address), length: prefix.length, peer: peer)
        } else {
            ipv6.remove(AllowedIPsKey(prefix.address), length: prefix.length, peer: peer)
        }
    }

    /// Control.
    func removeAll(of peer: PeerPointer) {
        ipv4.removeAll(of: peer)
        ipv6.removeAll(of: peer)
    }

    /// Control: IPv4 first, each family in the order the prefixes were added.
    func prefixes(of peer: PeerPointer) -> [IPPrefix] {
        var prefixes: [IPPrefix] = []
        ipv4.forEachPrefix(of: peer) { key, length in
            let address = IPAddress.v4(IPv4Address(rawValue: UInt32(truncatingIfNeeded: key.high &>> 32)))
            if let prefix = IPPrefix(masking: address, length: length) { prefixes.append(prefix) }
        }
        ipv6.forEachPrefix(of: peer) { key, length in
            let address = IPAddress.v6(IPv6Address(high: key.high, low: key.low))
            if let prefix = IPPrefix(masking: address, length: length) { prefixes.append(prefix) }
        }
        return prefixes
    }
}
