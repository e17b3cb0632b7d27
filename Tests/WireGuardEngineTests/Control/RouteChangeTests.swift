import CLinux
import Glibc
import IPAddressing
import Testing

@testable import WireGuardEngine

@Suite struct RouteChangeTests {
    private func message(header: [UInt8], _ attributes: [(UInt16, [UInt8])]) -> [UInt8] {
        var bytes = header
        for (kind, value) in attributes {
            bytes += [UInt8(4 + value.count), 0, UInt8(kind & 255), UInt8(kind >> 8)] + value
        }
        return bytes
    }

    private func change(_ type: Int, _ bytes: [UInt8]) -> RouteChange? {
        bytes.withUnsafeBytes { RouteChange(messageType: UInt16(type), body: $0) }
    }

    private func route(_ destination: String?, _ length: UInt8, isIPv6: Bool = false, type: Int = Int(RTN_UNICAST))
        -> RouteChange?
    {
        change(
            Int(RTM_NEWROUTE),
            message(
                header: [UInt8(isIPv6 ? AF_INET6 : AF_INET), length, 0, 0, 254, 3, 0, UInt8(type), 0, 0, 0, 0],
                destination.map { [(UInt16(RTA_DST.rawValue), IPAddress($0)!.bytes)] } ?? []))
    }

    private func path(to endpoint: String, from source: String?) -> DatagramPath {
        var path = DatagramPath(Endpoint(endpoint)!)
        if let source {
            switch IPAddress(source)! {
            case .v4(let address): path.sourceLow = UInt64(address.rawValue)
            case .v6(let address): (path.sourceHigh, path.sourceLow) = (address.high, address.low)
            }
            path.hasSource = true
        }
        return path
    }

    @Test func `D8: a source goes with its address, and with a change of a route to its peer, and with nothing else`() {
        let first = path(to: "198.51.100.7:51820", from: "192.0.2.1")
        let second = path(to: "[2001:db8:7::7]:51820", from: "2001:db8::1")
        let gone = change(
            Int(RTM_DELADDR),
            message(
                header: [UInt8(AF_INET), 24, 0, 0, 2, 0, 0, 0],
                [(UInt16(IFA_ADDRESS), [192, 0, 2, 9]), (UInt16(IFA_LOCAL), [192, 0, 2, 1])]))
        #expect(gone?.concerns(first) == true && gone?.concerns(second) == false)
        #expect(gone?.concerns(path(to: "198.51.100.7:51820", from: "192.0.2.2")) == false)
        #expect(gone?.concerns(path(to: "198.51.100.7:51820", from: nil)) == false)
        for (destination, length, concerns) in [
            (nil, 0, true), ("198.51.100.0", 24, true), ("198.51.100.7", 32, true), ("198.51.100.6", 31, true),
            ("198.51.100.6", 32, false), ("172.17.0.0", 16, false),
        ] as [(String?, UInt8, Bool)] {
            let change = route(destination, length)
            #expect(change?.concerns(first) == concerns, "\(destination ?? "default")/\(length)")
            #expect(change?.concerns(second) == false)
            #expect(change.map { RouteChange(words: $0.words) } == change)
        }
        for (destination, length, concerns) in [
            (nil, 0, true), ("2001:db8:7::", 48, true), ("2001:db8:7::7", 128, true), ("2001:db8:7::6", 127, true),
            ("2001:db8:7::6", 128, false), ("2001:db8:8::", 48, false), ("2001:db8:7:0:1::", 80, false),
        ] as [(String?, UInt8, Bool)] {
            let change = route(destination, length, isIPv6: true)
            #expect(change?.concerns(second) == concerns, "\(destination ?? "default")/\(length)")
            #expect(change?.concerns(first) == false)
            #expect(change.map { RouteChange(words: $0.words) } == change)
        }
        #expect(RouteChange.unknown.concerns(first) && RouteChange.unknown.concerns(second))
        #expect(RouteChange(words: (0, 0, 77)) == .unknown)
    }

    @Test func `D8: new addresses, local routes, and what cannot be read concern no source`() {
        let address = message(header: [UInt8(AF_INET), 24, 0, 0, 2, 0, 0, 0], [(UInt16(IFA_LOCAL), [192, 0, 2, 1])])
        #expect(change(Int(RTM_NEWADDR), address) == nil)
        #expect(route("192.0.2.1", 32, type: Int(RTN_LOCAL)) == nil)
        #expect(route("192.0.2.255", 32, type: Int(RTN_BROADCAST)) == nil)
        #expect(route("ff02::", 16, isIPv6: true, type: Int(RTN_MULTICAST)) == nil)
        #expect(route("198.51.100.0", 24, type: Int(RTN_UNREACHABLE)) != nil)
        for count in 0..<address.count { #expect(change(Int(RTM_DELADDR), Array(address[..<count])) == nil) }
        #expect(route("192.0.2.1", 33) == nil)
    }
}
