import Synchronization

/// Handshake messages on their way from rx to control: a ring with one writer and one reader (checklist C5, C6).
///
/// A full queue drops; rx never waits. The ring's memory is only touched as far as it fills.
struct HandshakeQueue: ~Copyable {
    /// One message as it came.
    struct Message {
        var path: DatagramPath
        var byteCount: Int
        /// The longest, an initiation.
        var bytes: InlineArray<148, UInt8>
    }

    private let slots: UnsafeMutablePointer<Message>
    private let capacity: UInt64
    private let written = Atomic<UInt64>(0)
    private let read = Atomic<UInt64>(0)
    let dropped = Atomic<UInt64>(0)

    init(capacity: Int = ProtocolLimits.handshakeQueueCapacity) {
        self.capacity = UInt64(capacity)
        slots = .allocate(capacity: capacity)
    }

    deinit { slots.deallocate() }

    var count: Int {
        Int(truncatingIfNeeded: written.load(ordering: .acquiring) &- read.load(ordering: .acquiring))
    }

    enum Outcome {
        case queued
        /// Control may be asleep and has to be woken.
        case queuedFirst
        case dropped
    }

    /// rx: a datagram of at most 148 bytes, which `Message.kind` has called a handshake message.
    func put(_ datagram: UnsafeRawBufferPointer, path: DatagramPath) -> Outcome {
        let position = written.load(ordering: .relaxed)
        let used = position &- read.load(ordering: .acquiring)
        guard used < capacity, datagram.count <= 148, let source = datagram.baseAddress else {
            dropped.wrappingAdd(1, ordering: .relaxed)
            return .dropped
        }
        let slot = slots + Int(position % capacity)
        slot.initialize(to: Message(path: path, byteCount: datagram.count, bytes: InlineArray(repeating: 0)))
        withUnsafeMutableBytes(of: &slot.pointee.bytes) { bytes in
            bytes.copyMemory(from: UnsafeRawBufferPointer(start: source, count: datagram.count))
        }
        Interleaving.point(.publish)
        written.store(position &+ 1, ordering: .sequentiallyConsistent)
        return read.load(ordering: .sequentiallyConsistent) == position ? .queuedFirst : .queued
    }

    /// Control: the oldest message, nil when there is none.
    func take() -> Message? {
        let position = read.load(ordering: .relaxed)
        guard written.load(ordering: .sequentiallyConsistent) != position else { return nil }
        let message = slots[Int(position % capacity)]
        read.store(position &+ 1, ordering: .sequentiallyConsistent)
        return message
    }

    /// Control, interface down: all messages are dropped.
    func removeAll() { while take() != nil {} }
}
