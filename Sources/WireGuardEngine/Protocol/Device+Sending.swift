import LinuxSystem
import Synchronization
import WireGuardCrypto

// Handshake messages from us (kernel send.c, noise.c).

extension Device {
    /// `wg_packet_send_handshake_initiation`: at most one in 5 s for each peer (checklist R4).
    func sendInitiation(to peer: PeerPointer, at now: Moment) {
        guard peer.pointee.timers.mayInitiate(at: now.boot), record.pointee.isUp.load(ordering: .relaxed) else {
            return
        }
        // Also when nothing can be sent: a peer that never answers must not cost a Diffie-Hellman per packet.
        peer.pointee.timers.handshakeSent(at: now.boot)
        guard let message = makeInitiation(to: peer, at: now) else { return }
        wakes.formUnion(record.pointee.anyPacketTraversal(peer, now.boot))
        record.pointee.anyPacketSent(peer)
        if let message { outgoing.append(message) }
        observe(peer, .sendsInitiation(attempt: peer.pointee.timers.handshakeAttempts.load(ordering: .relaxed) + 1))
        handshakeInitiated(peer, at: now)
    }

    /// Nil when there is no identity or the peer's key is of low order; a message of nil when the peer has no endpoint.
    private func makeInitiation(to peer: PeerPointer, at now: Moment) -> OutgoingHandshake?? {
        guard let localStatic = publicKey else { return nil }
        let remoteStatic = peer.pointee.publicKey
        let state = NoiseSymmetricState(responder: remoteStatic)
        let ephemeral = makeEphemeral()
        let timestamp = TAI64N(now.wall).after(max(peer.pointee.row.pointee.sentTimestamp, newPeerTimestampFloor))
        var index: UInt32 = 0
        let path = peer.pointee.path
        let message = OutgoingHandshake(
            peer: peer, path: path ?? DatagramPath.nowhere, trafficClass: .handshake,
            byteCount: Message.Initiation.byteCount
        ) { bytes in
            guard let base = bytes.baseAddress else { return false }
            let written = withUnsafeTemporaryAllocation(byteCount: TAI64N.byteCount, alignment: 8) { payload in
                guard let payloadBase = payload.baseAddress else { return false }
                timestamp.write(to: payloadBase)
                return NoiseHandshake.writeInitiation(
                    state, ephemeral: ephemeral, localStatic: localStatic, remoteStatic: remoteStatic,
                    staticStatic: peer.pointee.handshake.staticStatic, payload: UnsafeRawBufferPointer(payload),
                    to: NoiseHandshake.InitiationParts(
                        ephemeral: base + Message.Initiation.ephemeral,
                        encryptedStatic: base + Message.Initiation.encryptedStatic,
                        encryptedPayload: base + Message.Initiation.encryptedTimestamp))
            }
            guard written else { return false }
            index = takeIndex(for: peer)
            base.storeBytes(of: Message.Kind.initiation.rawValue.littleEndian, as: UInt32.self)
            base.storeBytes(of: index.littleEndian, toByteOffset: Message.Initiation.sender, as: UInt32.self)
            peer.pointee.handshake.cookie.addMACs(to: bytes, peer: remoteStatic, at: now.boot)
            return true
        }
        guard let message else { return nil }
        peer.pointee.handshake.pending = PeerHandshake.Pending(state: state, ephemeral: ephemeral)
        // Before it is sent: a worker that dies now must not send it again.
        peer.pointee.row.pointee.sentTimestamp = timestamp
        timestampFloor = max(timestampFloor, timestamp)
        return .some(path == nil ? nil : message)
    }

    /// `wg_timers_handshake_initiated` (checklist R3).
    private func handshakeInitiated(_ peer: PeerPointer, at now: Moment) {
        guard record.pointee.mayArm(peer) else { return }
        let deadline = now.boot.advanced(byNanoseconds: ProtocolLimits.rekeyTimeout + jitter.next())
        if PeerTimers.arm(peer.pointee.timers.retransmitHandshake, deadline, nextLook: peer.pointee.timers.nextLook) {
            timers.update(peer)
        }
    }

    /// `wg_packet_send_handshake_response` to an initiation that was just read into `state`.
    func sendResponse(
        to peer: PeerPointer, _ state: consuming NoiseSymmetricState, remoteEphemeral: UnsafeRawPointer,
        remoteIndex: UInt32, at now: Moment
    ) {
        peer.pointee.timers.handshakeSent(at: now.boot)
        guard let path = peer.pointee.path else { return }
        let ephemeral = makeEphemeral()
        let remoteStatic = peer.pointee.publicKey
        var index: UInt32 = 0
        let message = OutgoingHandshake(
            peer: peer, path: path, trafficClass: .handshake, byteCount: Message.Response.byteCount
        ) { bytes in
            guard let base = bytes.baseAddress else { return false }
            let written = peer.pointee.handshake.withPresharedKey { preshared in
                NoiseHandshake.writeResponse(
                    state, ephemeral: ephemeral, remoteEphemeral: remoteEphemeral, remoteStatic: remoteStatic,
                    preshared: preshared, payload: .empty,
                    to: NoiseHandshake.ResponseParts(
                        ephemeral: base + Message.Response.ephemeral,
                        encryptedPayload: base + Message.Response.encryptedNothing))
            }
            guard written else { return false }
            index = takeIndex(for: peer)
            base.storeBytes(of: Message.Kind.response.rawValue.littleEndian, as: UInt32.self)
            base.storeBytes(of: index.littleEndian, toByteOffset: Message.Response.sender, as: UInt32.self)
            base.storeBytes(of: remoteIndex.littleEndian, toByteOffset: Message.Response.receiver, as: UInt32.self)
            peer.pointee.handshake.cookie.addMACs(to: bytes, peer: remoteStatic, at: now.boot)
            return true
        }
        guard let message else { return }
        beginSession(
            with: peer, state.split(), localIndex: index, remoteIndex: remoteIndex, isInitiator: false, at: now)
        sessionDerived(peer, at: now)
        wakes.formUnion(record.pointee.anyPacketTraversal(peer, now.boot))
        record.pointee.anyPacketSent(peer)
        observe(peer, .sendsResponse(index: index))
        outgoing.append(message)
    }

    /// `wg_noise_handshake_begin_session`: the handshake's index is the keypair's from now on.
    func beginSession(
        with peer: PeerPointer, _ keys: consuming TransportKeys, localIndex: UInt32, remoteIndex: UInt32,
        isInitiator: Bool, at now: Moment
    ) {
        let (first, second) = (keys.first.pointer, keys.second.pointer)
        let keypair = KeypairPointer.allocate(capacity: 1)
        keypair.initialize(
            to: Keypair(
                sendKey: LockedKey(copying: isInitiator ? first : second),
                receiveKey: LockedKey(copying: isInitiator ? second : first), peer: peer, localIndex: localIndex,
                remoteIndex: remoteIndex, birth: now.boot, isInitiator: isInitiator))
        peer.pointee.handshake.pending = nil
        peer.pointee.handshake.localIndex = nil
        let displaced = peer.pointee.lock.withLock { peer.pointee.keypairs.install(keypair) }
        if !record.pointee.indices.replace(localIndex, with: keypair) { keypair.pointee.invalidate() }
        retire(displaced)
    }

    /// `wg_timers_session_derived` (checklist R6).
    func sessionDerived(_ peer: PeerPointer, at now: Moment) {
        guard record.pointee.mayArm(peer) else { return }
        armZeroKeys(peer, at: now)
    }

    func armZeroKeys(_ peer: PeerPointer, at now: Moment) {
        let deadline = now.boot.advanced(byNanoseconds: ProtocolLimits.zeroKeysAfter)
        if PeerTimers.arm(peer.pointee.timers.zeroKeys, deadline, nextLook: peer.pointee.timers.nextLook) {
            timers.update(peer)
        }
    }

    func makeEphemeral() -> LockedKey {
        let key = LockedKey()
        random.fill(key.pointer, byteCount: LockedKey.byteCount)
        // Clamped as X25519 does by itself; kept clamped so that one form of it exists.
        let bytes = key.pointer.assumingMemoryBound(to: UInt8.self)
        bytes[0] &= 248
        bytes[31] = bytes[31] & 127 | 64
        return key
    }

    /// A fresh index for a handshake; the last one's, if it led to nothing, is free again (checklist M7).
    private func takeIndex(for peer: PeerPointer) -> UInt32 {
        if let old = peer.pointee.handshake.localIndex { record.pointee.indices.remove(old) }
        let index = record.pointee.indices.insert(peer, random: random)
        peer.pointee.handshake.localIndex = index
        return index
    }
}

extension DatagramPath {
    /// For a message that is made but not sent, because its peer has no endpoint.
    static var nowhere: DatagramPath {
        DatagramPath(
            remoteHigh: 0, remoteLow: 0, sourceHigh: 0, sourceLow: 0, scopeID: 0, sourceInterface: 0, port: 0,
            isIPv6: false, hasSource: false)
    }
}
