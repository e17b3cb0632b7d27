import IPAddressing
import WireGuardCrypto
import WireGuardModel

extension TunnelConfiguration {
    /// The names that are to be resolved in the birth namespace, each once, in the file's order.
    public var endpointNames: [HostAndPort] {
        var result: [HostAndPort] = []
        var seen: Set<HostAndPort> = []
        for peer in peers {
            if case .name(let name) = peer.endpoint, seen.insert(name).inserted { result.append(name) }
        }
        return result
    }

    /// The device that this configuration makes: what `wg setconf` would set, as the kernel would then show it.
    ///
    /// - Parameters:
    ///   - current: the live device, for the peers whose `AllowedIPs` are changes (`+`, `-`) to what they have;
    ///     nothing else of it is used.
    ///   - resolve: the address for a name. A peer whose name it refuses with nil has no endpoint.
    ///
    /// Keys that are still references count as absent: `substitute` comes first.
    public func device<E: Error>(
        updating current: DeviceConfiguration = DeviceConfiguration(),
        resolving resolve: (HostAndPort) throws(E) -> Endpoint?
    ) throws(E) -> DeviceConfiguration {
        let incremental = Set(peers.filter(\.isIncremental).map(\.publicKey))
        let base = DeviceConfiguration(
            peers: current.peers.filter { incremental.contains($0.publicKey) }.map {
                PeerConfiguration(publicKey: $0.publicKey, allowedIPs: $0.allowedIPs)
            })
        var change = DeviceChange()
        change.privateKey = privateKey?.key.map { .set($0) } ?? .remove
        change.listenPort = listenPort ?? 0
        change.firewallMark = firewallMark ?? 0
        change.peers.reserveCapacity(peers.count)
        for peer in peers { change.peers.append(try peer.change(resolving: resolve)) }
        return base.applying(change)
    }

    /// The live state put into the configuration: what `wg-quick save` writes.
    ///
    /// Port, mark, peers, prefixes and endpoints (as addresses) come from the device; what only wg-quick(8) knows
    /// stays. Keys that the file keeps elsewhere stay there. `self` is the configuration as it was read, before
    /// `substitute`.
    public func saving(_ device: DeviceConfiguration) -> TunnelConfiguration {
        var result = self
        if privateKey?.key != nil || privateKey == nil { result.privateKey = device.privateKey.map { .key($0) } }
        result.listenPort = device.listenPort == 0 ? nil : device.listenPort
        result.firewallMark = device.firewallMark == 0 ? nil : device.firewallMark
        var elsewhere: [PublicKey: KeySource<PresharedKey>] = [:]
        for peer in peers {
            if let source = peer.presharedKey, source.key == nil { elsewhere[peer.publicKey] = source }
        }
        result.peers = device.peers.map { peer in
            var saved = TunnelPeer(publicKey: peer.publicKey)
            saved.presharedKey = elsewhere[peer.publicKey] ?? peer.presharedKey.map { .key($0) }
            saved.endpoint = peer.endpoint.map { .address($0) }
            let seconds = peer.persistentKeepaliveSeconds
            saved.persistentKeepaliveSeconds = seconds == 0 ? nil : seconds
            saved.allowedIPs = peer.allowedIPs.map { AllowedIPEntry($0) }
            return saved
        }
        return result
    }
}

extension TunnelPeer {
    /// As wg(8) sends it. What the section does not name is not touched, so that a peer's second section adds to
    /// its first.
    fileprivate func change<E: Error>(resolving resolve: (HostAndPort) throws(E) -> Endpoint?) throws(E) -> PeerChange {
        var change = PeerChange(publicKey: publicKey)
        change.presharedKey = presharedKey?.key.map { .set($0) }
        change.persistentKeepaliveSeconds = persistentKeepaliveSeconds
        switch endpoint {
        case .address(let address): change.endpoint = address
        case .name(let name): change.endpoint = try resolve(name)
        case nil: break
        }
        change.replaceAllowedIPs = !isIncremental
        change.allowedIPs = allowedIPs.map { $0.sign == .remove ? .remove($0.prefix) : .add($0.prefix) }
        return change
    }
}
