import CLinux
import Glibc
import IPAddressing
import WireGuardCrypto
import WireGuardModel

@testable import Netlink

/// The kernel's WireGuard, as far as generic netlink shows it: one device `wg0` that SET_DEVICE changes and
/// GET_DEVICE tells, in messages as large as the kernel's.
///
/// Written from Documentation/netlink/specs/wireguard.yaml and the driver's netlink.c, not from the code under test.
final class ScriptedWireGuard: @unchecked Sendable {
    struct Peer: Equatable {
        var presharedKey: [UInt8] = Array(repeating: 0, count: 32)
        var endpoint: [UInt8] = []
        var keepalive: UInt64 = 0
        var received: UInt64 = 0
        var handshakeSeconds: UInt64 = 0
    }

    static let familyNumber = 28
    var privateKey = [UInt8](repeating: 0, count: 32)
    var port: UInt64 = 0
    var mark: UInt64 = 0
    /// In the order of their making.
    var order: [PublicKey] = []
    var peers: [PublicKey: Peer] = [:]
    var owner: [IPPrefix: PublicKey] = [:]
    /// How many dumps are yet to be marked as interrupted.
    var interruptions = 0
    var knowsRemoveFlag = true
    /// What a kernel answers that knows the attribute of the flag, but not the flag: EOPNOTSUPP.
    var removeFlagRefusal: Int32 = 0
    /// What was set more than once although it must be said once.
    var replacePeersCount = 0
    var replaceAllowedIPsCount: [PublicKey: Int] = [:]
    var endpointCount: [PublicKey: Int] = [:]

    func answer(_ request: ScriptedPeer.Request) -> [[UInt8]] {
        switch (request.type, request.command) {
        case (Int(GENL_ID_CTRL), UInt8(CTRL_CMD_GETFAMILY)):
            let reply = [1, 2, 0, 0] + attribute(Int(CTRL_ATTR_FAMILY_ID), littleEndian(UInt16(Self.familyNumber)))
            return [
                netlinkMessage(Int(GENL_ID_CTRL), sequence: request.sequence, reply) + acknowledgement(request)
            ]
        case (Self.familyNumber, 0): return dump(request)
        case (Self.familyNumber, 1):
            let error = set(request)
            return [acknowledgement(request, errno: error, text: error == 0 ? nil : "Unknown attribute type")]
        default: return [acknowledgement(request, errno: EOPNOTSUPP)]
        }
    }

    // MARK: SET_DEVICE

    private func set(_ request: ScriptedPeer.Request) -> Int32 {
        let all = request.attributes
        if all.contains(where: { $0.type == 5 && number($0.value) & 1 != 0 }) {
            replacePeersCount += 1
            order = []
            peers = [:]
            owner = [:]
        }
        for item in all {
            switch item.type {
            case 2: if Array(item.value) != Array("wg0".utf8) + [0] { return ENODEV }
            case 3: privateKey = Array(item.value)
            case 5: break
            case 6: port = number(item.value)
            case 7: mark = number(item.value)
            case 8:
                for peer in Wire.attributes(item.value) {
                    let error = setPeer(Wire.attributes(peer.value))
                    if error != 0 { return error }
                }
            default: return EINVAL
            }
        }
        return 0
    }

    private func setPeer(_ all: [(type: Int, value: ArraySlice<UInt8>)]) -> Int32 {
        guard let key = all.first(where: { $0.type == 1 }).flatMap({ PublicKey(bytes: $0.value) }) else {
            return EINVAL
        }
        let flags = all.first { $0.type == 3 }.map { number($0.value) } ?? 0
        if peers[key] == nil {
            if flags & 5 != 0 { return 0 }
            peers[key] = Peer()
            order.append(key)
        }
        if flags & 1 != 0 {
            peers[key] = nil
            order.removeAll { $0 == key }
            owner = owner.filter { $0.value != key }
            return 0
        }
        if flags & 2 != 0 {
            replaceAllowedIPsCount[key, default: 0] += 1
            owner = owner.filter { $0.value != key }
        }
        for item in all {
            switch item.type {
            case 2: peers[key]?.presharedKey = Array(item.value)
            case 4:
                peers[key]?.endpoint = Array(item.value)
                endpointCount[key, default: 0] += 1
            case 5: peers[key]?.keepalive = number(item.value)
            case 9:
                for allowed in Wire.attributes(item.value) {
                    let error = setAllowedIP(Wire.attributes(allowed.value), key)
                    if error != 0 { return error }
                }
            default: break
            }
        }
        return 0
    }

    private func setAllowedIP(_ all: [(type: Int, value: ArraySlice<UInt8>)], _ key: PublicKey) -> Int32 {
        var flags: UInt64 = 0
        var address: IPAddress?
        var length: UInt8 = 0
        for item in all {
            switch item.type {
            case 1: if ![2, 10].contains(number(item.value)) { return EINVAL }
            case 2: address = IPAddress(bytes: item.value)
            case 3: length = UInt8(number(item.value))
            case 4 where knowsRemoveFlag:
                if removeFlagRefusal != 0 { return removeFlagRefusal }
                flags = number(item.value)
            default: return EINVAL
            }
        }
        guard let address, let prefix = IPPrefix(masking: address, length: length) else { return EINVAL }
        if flags & 1 == 0 {
            owner[prefix] = key
        } else if owner[prefix] == key {
            owner[prefix] = nil
        }
        return 0
    }

    // MARK: GET_DEVICE

    /// As the driver does: as much as fits 32 KiB, the peer at the seam goes on with its key alone.
    private func dump(_ request: ScriptedPeer.Request) -> [[UInt8]] {
        var byPeer: [PublicKey: [IPPrefix]] = [:]
        for (prefix, key) in owner { byPeer[key, default: []].append(prefix) }
        let head: [UInt8] = [0, 1, 0, 0] + attribute(2, Array("wg0".utf8) + [0])
        let limit = 32000
        var messages: [[UInt8]] = []
        var message =
            head + attribute(3, privateKey) + attribute(6, littleEndian(UInt16(port)))
            + attribute(7, littleEndian(UInt32(mark)))
        var peerList: [UInt8] = []
        func flush() {
            messages.append(message + attribute(8, peerList))
            message = head
            peerList = []
        }
        for key in order {
            guard let peer = peers[key] else { continue }
            var body =
                attribute(1, key.bytes) + attribute(2, peer.presharedKey)
                + (peer.endpoint.isEmpty ? [] : attribute(4, peer.endpoint))
                + attribute(5, littleEndian(UInt16(peer.keepalive)))
                + attribute(
                    6, littleEndian(peer.handshakeSeconds) + littleEndian(UInt64(peer.handshakeSeconds == 0 ? 0 : 5)))
                + attribute(7, littleEndian(peer.received)) + attribute(8, littleEndian(UInt64(2)))
            var list: [UInt8] = []
            for prefix in byPeer[key] ?? [] {
                if message.count + peerList.count + body.count + list.count > limit {
                    peerList += attribute(0, body + attribute(9, list))
                    flush()
                    body = attribute(1, key.bytes)
                    list = []
                }
                list += attribute(
                    0,
                    attribute(3, [prefix.length])
                        + attribute(1, littleEndian(UInt16(prefix.address.isIPv4 ? 2 : 10)))
                        + attribute(2, prefix.address.bytes))
            }
            peerList += attribute(0, body + attribute(9, list))
            if peerList.count > limit { flush() }
        }
        flush()
        var interrupted: Int32 = 0
        if interruptions > 0 {
            interruptions -= 1
            interrupted = NLM_F_DUMP_INTR
        }
        let half = messages.count / 2
        return messages.enumerated().map { index, payload in
            netlinkMessage(
                Self.familyNumber, flags: NLM_F_MULTI | (index >= half ? interrupted : 0), sequence: request.sequence,
                payload)
        } + [done(request, flags: interrupted)]
    }
}
