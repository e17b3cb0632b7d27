import IPAddressing
import LinuxSystem
import Testing
import WireGuardCrypto
import WireGuardModel

@testable import WireGuardEngine

@Suite struct PathTests {
    private static func isBusy(_ record: UnsafePointer<DatagramPathRecord>) -> Bool {
        if case .busy = record.pointee.load() { true } else { false }
    }

    private static func path(_ record: borrowing DatagramPathRecord) -> DatagramPath? {
        if case .path(let path) = record.load() { path } else { nil }
    }

    private static func sticky(_ endpoint: Endpoint) -> DatagramPath {
        var path = DatagramPath(endpoint)
        path.hasSource = true
        (path.sourceHigh, path.sourceLow, path.sourceInterface) = (0x2001_0db8_0000_0001, 0x0102_0304_0506_0708, 9)
        return path
    }

    @Test func `D8, D9: a path is read back as it was written, and none as none`() {
        let record = DatagramPathRecord()
        for endpoint in ["192.0.2.1:51820", "[2001:db8:1:2:3:4:5:6]:65535", "[fe80::1%7]:1"] {
            let path = PathTests.sticky(Endpoint(endpoint)!)
            record.store(path)
            let read = PathTests.path(record)
            #expect(read == path && read?.endpoint == Endpoint(endpoint))
            record.store(nil)
            let nothing = PathTests.path(record)
            #expect(nothing == nil)
        }
    }

    #if SWG_SIMULATION
        @Test func `D9: a path that is half written, or was changed meanwhile, is read again`() {
            let record = DatagramPathRecord()
            record.store(DatagramPath(VirtualPair.addressA))
            withUnsafePointer(to: record) { record in
                var isReading = false
                var busy: [Bool] = []
                let reader = AtEachPoint {
                    if isReading { return }
                    isReading = true
                    busy.append(PathTests.isBusy(record))
                    isReading = false
                }
                Interleaving.withScheduler(reader) { record.pointee.store(DatagramPath(VirtualPair.addressB)) }
                #expect(busy == [true, true])

                var isWriting = false
                let writer = AtEachPoint {
                    if isWriting { return }
                    isWriting = true
                    record.pointee.store(PathTests.sticky(VirtualPair.addressA))
                }
                let read = Interleaving.withScheduler(writer) { PathTests.isBusy(record) }
                #expect(isWriting && read)
            }
            let path = PathTests.path(record)
            #expect(path == PathTests.sticky(VirtualPair.addressA))
        }
    #endif

    @Test func `the next worker takes over the remote end, not the source, and no port of zero`() {
        let record = DatagramPathRecord()
        record.store(PathTests.sticky(VirtualPair.addressA))
        #expect(record.recovered == DatagramPath(VirtualPair.addressA))
        var nowhere = DatagramPath(VirtualPair.addressA)
        nowhere.port = 0
        record.store(nowhere)
        #expect(record.recovered == nil)
    }

    @Test func `D8: other changes leave a sticky source, and a route that changed takes only those in doubt`() {
        let pair = VirtualPair()
        let peer = pair.a.peer(pair.b.publicKey)
        let sticky = PathTests.sticky(VirtualPair.addressB)
        peer.pointee.roam(to: sticky)
        var change = DeviceChange()
        var keepalive = PeerChange(publicKey: pair.b.publicKey)
        keepalive.persistentKeepaliveSeconds = 25
        change.peers = [keepalive]
        pair.a.apply(change, at: pair.now)
        #expect(peer.pointee.path == sticky)
        pair.a.device.clearSources { $0.sourceInterface == 8 }
        #expect(peer.pointee.path == sticky)
        pair.a.device.clearSources { $0.sourceInterface == 9 }
        #expect(peer.pointee.path == DatagramPath(VirtualPair.addressB))
    }

    @Test func `R1, D8: a peer that stops answering is tried from another source address`() {
        let pair = VirtualPair()
        pair.connect()
        let peer = pair.a.peer(pair.b.publicKey)
        pair.send(from: pair.b)
        pair.settle()
        pair.passes = { _ in false }
        peer.pointee.roam(to: PathTests.sticky(VirtualPair.addressB))
        pair.send(from: pair.a)
        pair.run(seconds: 14.9)
        #expect(peer.pointee.path?.hasSource == true)
        pair.run(seconds: 0.5)
        #expect(peer.pointee.path?.hasSource == false)
    }

    @Test func `D8: a new worker trusts no source address of the one before it`() {
        let pair = VirtualPair()
        pair.connect()
        pair.a.peer(pair.b.publicKey).pointee.roam(to: PathTests.sticky(VirtualPair.addressB))
        pair.a.restartWorker(
            random: .system,
            configure: { device in
                let change = VirtualPair.change(
                    pair.a, peer: pair.b.publicKey, endpoint: nil, allowed: ["10.0.0.2/32"], nil, keepalive: 0)
                try? device.apply(change, at: pair.now)
            }, at: pair.now)
        #expect(pair.a.peer(pair.b.publicKey).pointee.path == DatagramPath(VirtualPair.addressB))
    }
}
