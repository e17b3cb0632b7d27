import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import WireGuardCrypto
import WireGuardModel

/// Puts a device together from the messages of a GET_DEVICE dump.
///
/// A peer whose allowed IPs do not fit goes on at the start of the next message, with nothing but its key and
/// more of them; clients that took each for a peer of its own, or read only the first message, lost peers.
struct DeviceStatusReader {
    private(set) var status = DeviceStatus(configuration: DeviceConfiguration())

    mutating func read(_ reply: NetlinkReply) {
        for attribute in reply.attributes(after: genlmsghdr.self) {
            switch UInt32(truncatingIfNeeded: attribute.type) {
            case WGDEVICE_A_PRIVATE_KEY.rawValue:
                status.configuration.privateKey = secret(attribute).flatMap { PrivateKey(secret: $0) }
            case WGDEVICE_A_LISTEN_PORT.rawValue: status.configuration.listenPort = attribute.u16 ?? 0
            case WGDEVICE_A_FWMARK.rawValue: status.configuration.firewallMark = attribute.u32 ?? 0
            case WGDEVICE_A_PEERS.rawValue:
                for peer in attribute.nested { readPeer(peer.nested) }
            default: break
            }
        }
    }

    private mutating func readPeer(_ attributes: NetlinkAttributes) {
        guard let key = publicKey(attributes) else { return }
        let last = status.configuration.peers.count - 1
        if last >= 0, status.configuration.peers[last].publicKey == key {
            readAllowedIPs(attributes, into: &status.configuration.peers[last])
            return
        }
        var peer = PeerConfiguration(publicKey: key)
        var counters = PeerStatus()
        for attribute in attributes {
            switch UInt32(truncatingIfNeeded: attribute.type) {
            case WGPEER_A_PRESHARED_KEY.rawValue:
                peer.presharedKey = secret(attribute).flatMap { PresharedKey(secret: $0) }
            case WGPEER_A_ENDPOINT.rawValue: peer.endpoint = Endpoint(socketAddress: attribute.payload)
            case WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL.rawValue: peer.persistentKeepaliveSeconds = attribute.u16 ?? 0
            case WGPEER_A_LAST_HANDSHAKE_TIME.rawValue: counters.lastHandshake = handshakeTime(attribute)
            case WGPEER_A_RX_BYTES.rawValue: counters.receivedBytes = attribute.u64 ?? 0
            case WGPEER_A_TX_BYTES.rawValue: counters.sentBytes = attribute.u64 ?? 0
            default: break
            }
        }
        readAllowedIPs(attributes, into: &peer)
        status.configuration.peers.append(peer)
        status.peers[key] = counters
    }

    private func publicKey(_ attributes: NetlinkAttributes) -> PublicKey? {
        for attribute in attributes where attribute.type == Int(WGPEER_A_PUBLIC_KEY.rawValue) {
            return attribute.payload.count == PublicKey.byteCount ? PublicKey(copying: attribute.payload) : nil
        }
        return nil
    }

    private func readAllowedIPs(_ attributes: NetlinkAttributes, into peer: inout PeerConfiguration) {
        for list in attributes where list.type == Int(WGPEER_A_ALLOWEDIPS.rawValue) {
            for item in list.nested {
                var address: IPAddress?
                var length: UInt8?
                for attribute in item.nested {
                    switch UInt32(truncatingIfNeeded: attribute.type) {
                    case WGALLOWEDIP_A_IPADDR.rawValue: address = attribute.address
                    case WGALLOWEDIP_A_CIDR_MASK.rawValue: length = attribute.u8
                    default: break
                    }
                }
                guard let address, let length, let prefix = IPPrefix(masking: address, length: length) else { continue }
                peer.allowedIPs.append(prefix)
            }
        }
    }

    private func secret(_ attribute: NetlinkAttribute) -> SecretBytes? {
        guard attribute.payload.count == 32 else { return nil }
        return SecretBytes { $0.copyMemory(from: attribute.payload) }
    }

    /// Two 64-bit numbers; both zero before the first handshake.
    private func handshakeTime(_ attribute: NetlinkAttribute) -> WallTime? {
        guard attribute.payload.count >= 16 else { return nil }
        let seconds = attribute.payload.loadUnaligned(as: Int64.self)
        let nanoseconds = attribute.payload.loadUnaligned(fromByteOffset: 8, as: Int64.self)
        if seconds == 0 && nanoseconds == 0 { return nil }
        return WallTime(seconds: seconds, nanoseconds: UInt32(truncatingIfNeeded: nanoseconds))
    }
}
