import IPAddressing
import LinuxSystem
import WireGuardCrypto

@testable import WireGuardEngine

/// One lookup among 10, 100,000 and 1,000,000 allowed IPs, and one question to the replay window.
func lookupStages() -> [Stage] {
    [10, 100_000, 1_000_000].map { count in
        Stage(name: "lookup-\(count)", unitsPerRun: LookupTable.queries) {
            let table = LookupTable(prefixes: count)
            return { table.lookUp() }
        }
    } + [windowStage()]
}

private final class LookupTable {
    static let queries = 256

    private let table = AllowedIPs(reclaimer: Reclaimer())
    private let packets: UnsafeMutableRawPointer

    init(prefixes count: Int) {
        let bytes = SurvivorTable.byteCount(rows: 8)
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 4_096)
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        guard let key = PublicKey(bytes: [UInt8](repeating: 9, count: 32)),
            let row = SurvivorTable(memory: memory).claim(key)
        else { fatalError("no row for a peer") }
        let peer = Peer.make(publicKey: key, row: row)
        packets = .allocate(byteCount: LookupTable.queries * 20, alignment: 8)
        packets.initializeMemory(as: UInt8.self, repeating: 0x45, count: LookupTable.queries * 20)
        for number in 0..<count {
            // Spread over 10.0.0.0/8 by a fixed odd factor.
            let address = IPv4Address(
                rawValue: 0x0a00_0000 | UInt32(truncatingIfNeeded: number &* 0x9e37_79b1) & 0x00ff_ffff)
            guard let prefix = IPPrefix("\(address)/32") else { fatalError("no prefix") }
            table.insert(prefix, peer: peer)
            if number < LookupTable.queries || number % 389 == 0 {
                let place = packets + number % LookupTable.queries * 20 + 16
                place.storeBytes(of: address.rawValue.bigEndian, as: UInt32.self)
            }
        }
    }

    func lookUp() {
        var found = 0
        for query in 0..<LookupTable.queries
        where table.peer(forDestinationOf: packets + query * 20, isIPv6: false) != nil {
            found &+= 1
        }
        precondition(found > 0)
    }
}

private func windowStage() -> Stage {
    final class Window {
        var window = ReplayWindow()
        var next: UInt64 = 0

        func admit(_ count: Int) {
            for _ in 0..<count {
                precondition(window.admit(next))
                next &+= 1
            }
        }
    }
    return Stage(name: "replay-window", unitsPerRun: 64) {
        let window = Window()
        return { window.admit(64) }
    }
}
