import LinuxSystem
import Synchronization
import WireGuardCrypto

// Handshake messages to us (kernel receive.c `wg_receive_handshake_packet`, noise.c).

extension Device {
    /// One message of the queue; false when the queue is empty.
    func handleHandshake(at now: Moment) -> Bool {
        let queued = record.pointee.handshakes.count
        guard var message = record.pointee.handshakes.take() else { return false }
        let (path, byteCount) = (message.path, message.byteCount)
        withUnsafeBytes(of: &message.bytes) { bytes in
            handleHandshake(bytes.part(0, min(byteCount, bytes.count)), from: path, queued: queued, at: now)
        }
        collectMail(at: now)
        return true
    }

    /// `queued` is how many messages waited, this one included.
    func handleHandshake(_ message: UnsafeRawBufferPointer, from path: DatagramPath, queued: Int, at now: Moment) {
        guard record.pointee.isUp.load(ordering: .relaxed), let kind = Message.kind(message),
            let base = message.baseAddress
        else { return }
        switch kind {
        case .data: return
        case .cookieReply:
            consumeCookie(message, base, at: now)
        case .initiation, .response:
            let isUnderLoad = load.isUnderLoad(queued: queued, at: now.boot)
            guard let publicKey else { return }
            let verdict = cookieChecker.judge(
                message, from: path, to: publicKey, checkingCookie: isUnderLoad, at: now.boot, random: random)
            switch verdict {
            case .invalid: return
            case .validWithoutCookie:
                if isUnderLoad {
                    sendCookieReply(to: message, base, path: path, local: publicKey, at: now)
                    return
                }
            case .validWithCookie:
                guard rateLimiter.allow(path, at: now.boot) else { return }
            }
            if kind == .initiation {
                consumeInitiation(message, base, from: path, at: now)
            } else {
                consumeResponse(message, base, from: path, at: now)
            }
        }
    }

    /// `wg_cookie_message_consume`: by the index of a handshake or a session of ours.
    private func consumeCookie(_ message: UnsafeRawBufferPointer, _ base: UnsafeRawPointer, at now: Moment) {
        let receiver = base.littleEndian32(Message.CookieReply.receiver)
        guard let peer = record.pointee.indices.entry(receiver)?.pointee.peer else { return }
        _ = peer.pointee.handshake.cookie.consume(message, peer: peer.pointee.publicKey, at: now.boot)
    }

    /// To the stranger it came from, from the address it came to (checklist C3).
    private func sendCookieReply(
        to message: UnsafeRawBufferPointer, _ base: UnsafeRawPointer, path: DatagramPath, local: PublicKey,
        at now: Moment
    ) {
        // Both kinds have the sender's index in the same place.
        let sender = base.littleEndian32(Message.Initiation.sender)
        let reply = OutgoingHandshake(
            peer: nil, path: path, trafficClass: .cookieReply, byteCount: Message.CookieReply.byteCount
        ) { bytes in
            guard let output = bytes.baseAddress else { return false }
            cookieChecker.writeReply(
                to: message, receiver: sender, path: path, local: local, at: now.boot, random: random, into: output)
            return true
        }
        if let reply { outgoing.append(reply) }
    }

    /// In the order of checklist N8: nothing of the peer changes before everything is proven.
    private func consumeInitiation(
        _ message: UnsafeRawBufferPointer, _ base: UnsafeRawPointer, from path: DatagramPath, at now: Moment
    ) {
        guard let privateKey, let publicKey else { return }
        let state = NoiseSymmetricState(responder: publicKey)
        let claimed = NoiseHandshake.readInitiator(
            state, localPrivate: privateKey, ephemeral: message.part(Message.Initiation.ephemeral, 32),
            encryptedStatic: message.part(Message.Initiation.encryptedStatic, 48))
        guard let claimed, let peer = peerByKey[claimed] else { return }
        let timestamp = withUnsafeTemporaryAllocation(byteCount: TAI64N.byteCount, alignment: 8) { payload -> TAI64N? in
            guard let output = payload.baseAddress,
                NoiseHandshake.readInitiationPayload(
                    state, staticStatic: peer.pointee.handshake.staticStatic,
                    encryptedPayload: message.part(Message.Initiation.encryptedTimestamp, 28), into: output)
            else { return nil }
            return TAI64N(copying: output)
        }
        guard let timestamp, timestamp > peer.pointee.row.pointee.acceptedTimestamp, !isFlood(peer, at: now.boot)
        else { return }
        peer.pointee.row.pointee.acceptedTimestamp = timestamp
        peer.pointee.handshake.lastConsumed = now.boot
        // An initiation of ours is void now: theirs takes its place.
        peer.pointee.handshake.pending = nil
        peer.pointee.roam(to: path)
        sendResponse(
            to: peer, state, remoteEphemeral: base + Message.Initiation.ephemeral,
            remoteIndex: base.littleEndian32(Message.Initiation.sender), at: now)
        handshakeReceived(peer, .receivedInitiation, byteCount: message.count, at: now)
    }

    /// Checklist T2: 50 a second and peer, on the boot clock.
    private func isFlood(_ peer: PeerPointer, at now: BootTime) -> Bool {
        guard let last = peer.pointee.handshake.lastConsumed, last <= now else { return false }
        return now.since(last) < ProtocolLimits.initiationInterval
    }

    private func consumeResponse(
        _ message: UnsafeRawBufferPointer, _ base: UnsafeRawPointer, from path: DatagramPath, at now: Moment
    ) {
        let receiver = base.littleEndian32(Message.Response.receiver)
        guard let privateKey, let entry = record.pointee.indices.entry(receiver),
            entry.pointee.keypair.load(ordering: .relaxed) == nil
        else { return }
        let peer = entry.pointee.peer
        guard peer.pointee.handshake.localIndex == receiver, peer.pointee.handshake.isPending else { return }
        guard let state = readResponse(message, of: peer, privateKey) else {
            observe(peer, .receivedUndecryptableResponse(from: path.endpoint))
            return
        }
        peer.pointee.roam(to: path)
        beginSession(
            with: peer, state.split(), localIndex: receiver,
            remoteIndex: base.littleEndian32(Message.Response.sender), isInitiator: true, at: now)
        sessionDerived(peer, at: now)
        record.pointee.handshakeComplete(peer)
        noteHandshake(peer, at: now)
        // Staged packets or an empty one: confirms the session to the responder (checklist S3).
        post(.keepalive, peer)
        handshakeReceived(peer, .receivedResponse, byteCount: message.count, at: now)
    }

    /// The state after a good response; nil for a bad one, which leaves the pending handshake as it was (checklist N9).
    private func readResponse(
        _ message: UnsafeRawBufferPointer, of peer: PeerPointer, _ privateKey: PrivateKey
    ) -> NoiseSymmetricState? {
        guard let attempt = peer.pointee.handshake.copyOfPendingState() else { return nil }
        var nothing: UInt8 = 0
        let good = withUnsafeMutableBytes(of: &nothing) { output in
            guard let output = output.baseAddress else { return false }
            return peer.pointee.handshake.withPresharedKey { preshared in
                peer.pointee.handshake.withPendingEphemeral { ephemeral in
                    NoiseHandshake.readResponse(
                        attempt, localEphemeral: ephemeral, localPrivate: privateKey, preshared: preshared,
                        ephemeral: message.part(Message.Response.ephemeral, 32),
                        encryptedPayload: message.part(Message.Response.encryptedNothing, 16), into: output)
                }
            }
        }
        if good { return consume attempt }
        return nil
    }

    /// Counters and timers of any good handshake message (checklist D11, R1, R7).
    private func handshakeReceived(_ peer: PeerPointer, _ event: DeviceEvent, byteCount: Int, at now: Moment) {
        observe(peer, event)
        peer.pointee.row.pointee.receivedBytes.wrappingAdd(UInt64(byteCount), ordering: .relaxed)
        record.pointee.anyPacketReceived(peer)
        wakes.formUnion(record.pointee.anyPacketTraversal(peer, now.boot))
    }
}

extension UnsafeRawPointer {
    func littleEndian32(_ offset: Int) -> UInt32 {
        UInt32(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
}
