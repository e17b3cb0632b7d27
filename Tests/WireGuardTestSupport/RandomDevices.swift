import IPAddressing
import WireGuardCrypto
import WireGuardModel

// Random devices from a small world of keys and prefixes, so that two of them have much in common.

extension SeededGenerator {
    /// A public key that is one of `count`.
    public mutating func publicKey(outOf count: Int) -> PublicKey { numberedKey(below(count)) }

    /// A private key that depends on the seed alone.
    public mutating func privateKey() -> PrivateKey {
        let bytes = bytes(32)
        guard let key = PrivateKey(secret: SecretBytes { $0.copyBytes(from: bytes) }) else { return privateKey() }
        return key
    }

    public mutating func presharedKey() -> PresharedKey {
        let bytes = bytes(32)
        guard let key = PresharedKey(secret: SecretBytes { $0.copyBytes(from: bytes) }) else { return presharedKey() }
        return key
    }

    public mutating func address() -> IPAddress {
        if oneIn(3) { return .v6(IPv6Address(high: 0x2001_0db8_0000_0000 | next() & 0xffff, low: next() & 0xff)) }
        return .v4(IPv4Address(10, UInt8(below(4)), UInt8(below(4)), UInt8(below(256))))
    }

    public mutating func prefix() -> IPPrefix {
        let address = address()
        let length = oneIn(10) ? 0 : UInt8(below(Int(address.bitWidth) + 1))
        return IPPrefix(masking: address, length: length) ?? .everythingIPv4
    }

    public mutating func endpoint() -> Endpoint {
        Endpoint(address: address(), port: UInt16(truncatingIfNeeded: next()))
    }

    public mutating func peer(keysOutOf count: Int) -> PeerConfiguration {
        PeerConfiguration(
            publicKey: publicKey(outOf: count), presharedKey: oneIn(3) ? presharedKey() : nil,
            endpoint: oneIn(2) ? endpoint() : nil, persistentKeepaliveSeconds: oneIn(2) ? 25 : 0,
            allowedIPs: (0..<below(6)).map { _ in prefix() })
    }

    /// A device, perhaps with repeated peers and with prefixes that several peers claim.
    public mutating func device(keysOutOf count: Int = 12, maximumPeers: Int = 10) -> DeviceConfiguration {
        DeviceConfiguration(
            privateKey: oneIn(5) ? nil : privateKey(), listenPort: oneIn(4) ? 0 : UInt16(truncatingIfNeeded: next()),
            firewallMark: oneIn(2) ? 0 : UInt32(truncatingIfNeeded: next()),
            peers: (0..<below(maximumPeers + 1)).map { _ in peer(keysOutOf: count) })
    }
}

/// The `number`-th of an endless row of distinct public keys.
public func numberedKey(_ number: Int) -> PublicKey {
    var generator = SeededGenerator(seed: UInt64(number) &+ 0x5eed)
    let bytes = generator.bytes(32)
    return bytes.withUnsafeBytes { PublicKey(copying: $0) }
}

/// `peerCount` peers with `prefixesPerPeer` distinct IPv4 prefixes each.
public func largeDevice(peerCount: Int, prefixesPerPeer: Int) -> DeviceConfiguration {
    DeviceConfiguration(
        listenPort: 51820,
        peers: (0..<peerCount).map { number in
            PeerConfiguration(
                publicKey: numberedKey(number),
                endpoint: Endpoint(address: .v4(IPv4Address(rawValue: 0xc000_0200 &+ UInt32(number))), port: 51820),
                allowedIPs: (0..<prefixesPerPeer).compactMap { index in
                    let address = IPv4Address(rawValue: 0x0a00_0000 &+ UInt32(number * prefixesPerPeer + index))
                    return IPPrefix(masking: .v4(address), length: 32)
                })
        })
}
