import IPAddressing
import LinuxSystem
import Synchronization
import Testing
import WireGuardCrypto
import WireGuardModel
import WireGuardTestSupport

@testable import WireGuardEngine

@Suite struct ConfigurationTests {
    private func device(rows: Int = 64) -> VirtualDevice {
        VirtualDevice(
            privateKey: .generate(), address: VirtualPair.addressA,
            survivors: VirtualDevice.makeSurvivorMemory(rows: rows))
    }

    private let now = Moment(
        boot: BootTime(nanoseconds: 1 << 40), wall: WallTime(seconds: 1_700_000_000, nanoseconds: 0))

    private func change(_ body: (inout DeviceChange) -> Void) -> DeviceChange {
        var change = DeviceChange()
        body(&change)
        return change
    }

    private func peer(_ key: PublicKey, _ body: (inout PeerChange) -> Void = { _ in }) -> PeerChange {
        var change = PeerChange(publicKey: key)
        body(&change)
        return change
    }

    @Test func `A3: no more peers than there is room for, with an error and without harm`() {
        let device = device(rows: 4)
        var applied: DeviceError?
        do throws(DeviceError) {
            try device.device.apply(change { $0.peers = (0..<6).map { peer(numberedKey($0)) } }, at: now)
        } catch { applied = error }
        #expect(applied == .tooManyPeers)
        #expect(device.device.status().configuration.peers.count == 4)
        device.apply(change { $0.peers = [peer(numberedKey(0)) { $0.remove = true }] }, at: now)
        device.runTransmit(at: now.boot)
        for _ in 0..<4 { device.runControl(at: now) }
        device.apply(change { $0.peers = [peer(numberedKey(9))] }, at: now)
        #expect(device.device.status().configuration.peers.last?.publicKey == numberedKey(9))
    }

    @Test func `A4: peers are replaced before the key is set, and then come the peers in order`() {
        let device = device()
        device.apply(change { $0.peers = [peer(numberedKey(1)), peer(numberedKey(2))] }, at: now)
        device.apply(
            change {
                $0.firewallMark = 7
                $0.listenPort = 9
                $0.replacePeers = true
                $0.privateKey = .set(device.privateKey)
                $0.peers = [peer(numberedKey(3)), peer(device.publicKey), peer(numberedKey(2))]
            }, at: now)
        let status = device.device.status().configuration
        #expect(status.peers.map(\.publicKey) == [numberedKey(3), numberedKey(2)])
        #expect(status.firewallMark == 7 && status.listenPort == 9 && status.privateKey == device.privateKey)
    }

    @Test func `A5: our own key is ignored, update_only and remove make no peer, remove may be repeated`() {
        let device = device()
        device.apply(
            change {
                $0.privateKey = .set(device.privateKey)
                $0.peers = [
                    peer(device.publicKey), peer(numberedKey(1)) { $0.updateOnly = true },
                    peer(numberedKey(2)) { $0.remove = true },
                    peer(numberedKey(2)) { $0.remove = true }, peer(numberedKey(3)),
                ]
            }, at: now)
        #expect(device.device.status().configuration.peers.map(\.publicKey) == [numberedKey(3)])
    }

    @Test func `A5: replace_allowed_ips takes all, and then gives the new ones`() {
        let device = device()
        let first = ["10.0.0.0/8", "fd00::/8"].map { AllowedIPChange.add(IPPrefix($0)!) }
        device.apply(change { $0.peers = [peer(numberedKey(1)) { $0.allowedIPs = first }] }, at: now)
        device.apply(
            change {
                $0.peers = [
                    peer(numberedKey(1)) {
                        $0.replaceAllowedIPs = true
                        $0.allowedIPs = [.add(IPPrefix("192.0.2.0/24")!)]
                    }
                ]
            }, at: now)
        #expect(device.device.status().configuration.peers[0].allowedIPs == [IPPrefix("192.0.2.0/24")!])
    }

    @Test func `A6: keepalive 0 is off, and a key of zeros removes it`() {
        let device = device()
        device.apply(
            change {
                $0.privateKey = .set(device.privateKey)
                $0.peers = [
                    peer(numberedKey(1)) {
                        $0.persistentKeepaliveSeconds = 65535
                        $0.presharedKey = .set(.generate())
                    }
                ]
            }, at: now)
        #expect(device.device.status().configuration.peers[0].persistentKeepaliveSeconds == 65535)
        device.apply(
            change {
                $0.privateKey = .remove
                $0.peers = [
                    peer(numberedKey(1)) {
                        $0.persistentKeepaliveSeconds = 0
                        $0.presharedKey = .remove
                    }
                ]
            }, at: now)
        let status = device.device.status().configuration
        #expect(status.privateKey == nil && status.peers[0].presharedKey == nil)
        #expect(status.peers[0].persistentKeepaliveSeconds == 0)
    }

    @Test func `A6: plus and minus of allowed IPs; minus of another's prefix does nothing`() {
        let device = device()
        func change(_ key: Int, _ changes: [AllowedIPChange]) {
            device.apply(self.change { $0.peers = [peer(numberedKey(key)) { $0.allowedIPs = changes }] }, at: now)
        }
        let net = IPPrefix("10.0.0.0/8")!
        change(1, [.add(net)])
        change(2, [.remove(net)])
        #expect(device.device.status().configuration.peers[0].allowedIPs == [net])
        change(1, [.remove(net)])
        #expect(device.device.status().configuration.peers[0].allowedIPs.isEmpty)
    }

    @Test func `A7: an endpoint is an address; one with a scope keeps it`() {
        let device = device()
        let endpoint = Endpoint("[fe80::1%7]:51820")!
        device.apply(change { $0.peers = [peer(numberedKey(1)) { $0.endpoint = endpoint }] }, at: now)
        #expect(device.device.status().configuration.peers[0].endpoint == endpoint)
    }

    @Test func `130,560 allowed IPs on one peer, and 10,000 peers on one device`() {
        let device = device(rows: 10_001)
        let many = (0..<130_560).map { index in
            AllowedIPChange.add(
                IPPrefix(masking: .v4(IPv4Address(rawValue: 0x0a00_0000 &+ UInt32(index))), length: 32)!)
        }
        device.apply(change { $0.peers = [peer(numberedKey(0)) { $0.allowedIPs = many }] }, at: now)
        #expect(device.device.status().configuration.peers[0].allowedIPs.count == 130_560)
        device.apply(change { $0.peers = (1...10_000).map { peer(numberedKey($0)) } }, at: now)
        #expect(device.device.peers.count == 10_001)
        device.apply(change { $0.replacePeers = true }, at: now)
        device.runTransmit(at: now.boot)
        for _ in 0..<4 { device.runControl(at: now) }
        #expect(device.device.status().configuration.peers.isEmpty)
        #expect(!device.device.record.pointee.reclaimer.isWaiting)
    }
}
