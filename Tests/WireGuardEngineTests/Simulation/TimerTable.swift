@testable import WireGuardEngine

/// What the protocol demands of one device towards one peer, kept in a second way: by what went in and out, not by
/// the engine's own timers (checklist R1 to R7).
///
/// Deadlines with jitter are windows. Every initiation must have exactly one cause here, and every cause must lead to
/// one in time; keepalives go out to the nanosecond. Times are the device's boot clock. The first contradiction is
/// kept in `violation`.
struct TimerTable {
    private static let second: UInt64 = 1_000_000_000
    private static let jitter: UInt64 = second / 3

    private(set) var violation: String?

    private var retransmit: ClosedRange<UInt64>?
    private var newHandshake: ClosedRange<UInt64>?
    /// It may have expired unseen and been armed again since: then it may expire anywhere in its window, or not at all.
    private var newHandshakeIsVague = false
    private var sendKeepalive: UInt64?
    private var needAnother = false
    private var persistent: UInt64?
    private var zeroKeys: UInt64?
    private var attempts: UInt32 = 0
    /// An initiation was asked for at this instant and must go out in it.
    private var requested: UInt64?
    /// One may go out at this instant, whatever the rest says: a new worker calls its old sessions.
    private var excused: UInt64?
    private var lastHandshakeSent: UInt64?
    /// The same, but never forgotten: what kept a timer quiet once is not undone by a later change of keys.
    private var lastLimit: UInt64?
    private var jumpInstant: UInt64?
    private var sentLastMinute = false

    private struct Session {
        var birth: UInt64
        var isInitiator: Bool
        var index: UInt32
        var maySend = true
    }

    private var current: Session?
    private var next: Session?
    /// A timer that expires unseen, because the rate limit keeps it quiet, starts the count of attempts again at a
    /// moment that only the engine knows: from then on its word is taken, until the count is known again.
    private var attemptsAreCertain = true

    var persistentSeconds: UInt64

    init(persistentSeconds: UInt64) { self.persistentSeconds = persistentSeconds }

    private mutating func violate(_ text: String, _ now: UInt64) {
        if violation == nil { violation = "\(text) at \(Double(now) / 1e9)" }
    }

    /// All that had to happen before `now` has happened.
    mutating func advance(to now: UInt64) {
        if let time = requested, time < now {
            violate("no initiation although one was asked for", time)
            requested = nil
        }
        if let window = retransmit, window.upperBound < now {
            if !wasLimited(window) { violate("no retransmission in \(window)", now) }
            retransmit = nil
        }
        if let window = newHandshake, window.upperBound < now {
            if !newHandshakeIsVague && !wasLimited(window) { violate("no new handshake in \(window)", now) }
            newHandshake = nil
            attemptsAreCertain = false
        }
        if let window = newHandshake, window.lowerBound <= now { attemptsAreCertain = false }
        if let time = sendKeepalive, time < now {
            violate("no keepalive due at \(time)", now)
            sendKeepalive = nil
        }
        if let time = persistent, time < now {
            violate("no persistent keepalive due at \(time)", now)
            persistent = nil
        }
        if let time = zeroKeys, time < now {
            violate("keys not forgotten at \(time)", now)
            zeroKeys = nil
        }
    }

    /// Whether a handshake message shortly before may have kept the timer quiet.
    private func wasLimited(_ window: ClosedRange<UInt64>) -> Bool {
        guard let last = lastLimit else { return false }
        return last + 5 * TimerTable.second > window.lowerBound
    }

    private mutating func request(_ now: UInt64) {
        attempts = 0
        attemptsAreCertain = jumpInstant != now
        if lastHandshakeSent.map({ now >= $0 + 5 * TimerTable.second }) ?? true { requested = now }
    }

    private mutating func anyTraversal(_ now: UInt64) {
        if persistentSeconds > 0 { persistent = now + persistentSeconds * TimerTable.second }
    }

    // MARK: What went out

    mutating func sent(hasData: Bool, _ now: UInt64) {
        advance(to: now)
        if sendKeepalive == now { needAnother = false }
        sendKeepalive = nil
        anyTraversal(now)
        if hasData { armNewHandshake(now) }
        if let current, current.maySend, current.isInitiator, now - current.birth >= 120 * TimerTable.second {
            request(now)
        }
    }

    private mutating func armNewHandshake(_ now: UInt64) {
        let window = (now + 15 * TimerTable.second)...(now + 15 * TimerTable.second + TimerTable.jitter)
        if let before = newHandshake {
            guard before.lowerBound <= now else { return }
            newHandshake = before.lowerBound...window.upperBound
            newHandshakeIsVague = true
        } else {
            newHandshake = window
            newHandshakeIsVague = false
        }
    }

    mutating func hadNoKey(_ now: UInt64) {
        advance(to: now)
        if sendKeepalive == now {
            sendKeepalive = needAnother ? now + 10 * TimerTable.second : nil
            needAnother = false
        }
        if let time = persistent, time <= now { persistent = nil }
        current?.maySend = false
        request(now)
    }

    private mutating func sentInitiation(attempt: UInt32, _ now: UInt64) {
        if let last = lastHandshakeSent, now < last + 5 * TimerTable.second, excused != now {
            violate("an initiation \(now - last) ns after the last handshake message", now)
        }
        if requested == now {
            requested = nil
        } else if let window = retransmit, window.contains(now) {
            attempts += 1
        } else if let window = newHandshake, window.contains(now) {
            newHandshake = nil
            attempts = 0
        } else if excused == now {
            attempts = 0
        } else {
            violate("an initiation without a cause", now)
        }
        if attempt != attempts + 1 {
            if attemptsAreCertain { violate("attempt \(attempt) instead of \(attempts + 1)", now) }
            attempts = attempt - 1
        }
        lastHandshakeSent = now
        lastLimit = now
        sendKeepalive = nil
        anyTraversal(now)
        retransmit = (now + 5 * TimerTable.second)...(now + 5 * TimerTable.second + TimerTable.jitter)
    }

    mutating func handshake(_ event: DeviceEvent, _ now: UInt64) {
        advance(to: now)
        switch event {
        case .sendsInitiation(let attempt): sentInitiation(attempt: attempt, now)
        case .sendsResponse(let index):
            lastHandshakeSent = now
            lastLimit = now
            next = Session(birth: now, isInitiator: false, index: index)
            zeroKeys = now + 540 * TimerTable.second
            sendKeepalive = nil
            anyTraversal(now)
        case .receivedInitiation:
            newHandshake = nil
            anyTraversal(now)
        case .receivedUndecryptableResponse: break
        case .receivedResponse:
            completed(now)
            current = Session(birth: now, isInitiator: true, index: 0)
            next = nil
            zeroKeys = now + 540 * TimerTable.second
            newHandshake = nil
            anyTraversal(now)
        case .gaveUp:
            if attemptsAreCertain && attempts <= 18 { violate("gave up after \(attempts) attempts", now) }
            if retransmit?.contains(now) != true { violate("gave up although nothing was due", now) }
            retransmit = nil
            sendKeepalive = nil
            if zeroKeys == nil { zeroKeys = now + 540 * TimerTable.second }
        case .forgotKeys:
            if zeroKeys != now { violate("keys forgotten although nothing was due", now) }
            zeroKeys = nil
            current = nil
            next = nil
        }
    }

    private mutating func completed(_ now: UInt64) {
        retransmit = nil
        attempts = 0
        attemptsAreCertain = jumpInstant != now
        sentLastMinute = false
    }

    // MARK: What came in

    mutating func admitted(index: UInt32, hasData: Bool, _ now: UInt64) {
        advance(to: now)
        if let confirmed = next, confirmed.index == index {
            completed(now)
            current = confirmed
            next = nil
        }
        if let current, current.maySend, current.isInitiator, !sentLastMinute,
            now - current.birth >= 165 * TimerTable.second
        {
            sentLastMinute = true
            request(now)
        }
        newHandshake = nil
        anyTraversal(now)
        if hasData {
            if sendKeepalive == nil { sendKeepalive = now + 10 * TimerTable.second } else { needAnother = true }
        }
    }

    // MARK: What is done to the device

    mutating func wentDown() {
        (retransmit, newHandshake, sendKeepalive, persistent, zeroKeys) = (nil, nil, nil, nil, nil)
        (requested, lastHandshakeSent, current, next) = (nil, nil, nil, nil)
    }

    /// Turning it off leaves the timer to expire without effect.
    mutating func keepaliveChanged() { persistent = nil }

    mutating func forgotSessions() {
        zeroKeys = nil
        current = nil
        next = nil
    }

    mutating func expiredSending() {
        lastHandshakeSent = nil
        current?.maySend = false
        next?.maySend = false
    }

    /// A worker took over at `now`.
    mutating func restarted(_ now: UInt64) {
        let violation = violation
        self = TimerTable(persistentSeconds: persistentSeconds)
        self.violation = violation
        excused = now
    }

    /// The clock has jumped to `now`: what was due meanwhile is due now.
    mutating func jumped(to now: UInt64) {
        func late(_ window: ClosedRange<UInt64>?) -> ClosedRange<UInt64>? {
            guard let window, window.lowerBound < now else { return window }
            return window.lowerBound...max(now, window.upperBound)
        }
        retransmit = late(retransmit)
        newHandshake = late(newHandshake)
        sendKeepalive = sendKeepalive.map { max($0, now) }
        persistent = persistent.map { max($0, now) }
        attemptsAreCertain = false
        jumpInstant = now
    }
}
