import Glibc

/// Packets that wait for a handshake, oldest first (checklist D7). tx alone touches them: only tx seals.
///
/// Each packet is copied out of the read buffer into memory of the pool. A peer keeps at most 129, the oldest go
/// first, and the device keeps no more than the pool allows.
struct StagedPackets: ~Copyable {
    private(set) var count = 0
    private var oldest: UnsafeMutableRawPointer?
    private var newest: UnsafeMutableRawPointer?

    /// With the peer, at the end of the engine; a removed peer's were dropped by tx before.
    deinit {
        var next = oldest
        while let block = next {
            next = StagingPool.next(of: block)
            free(block)
        }
    }

    var isEmpty: Bool { count == 0 }

    /// The packet that is sent next; `byteCount` 0 is a keepalive.
    var first: UnsafeRawBufferPointer? { oldest.map { StagingPool.packet($0) } }

    /// Puts a copy at the end. How many older ones were dropped for it, the packet itself included when the pool
    /// has no room for it at all.
    mutating func append(_ packet: UnsafeRawBufferPointer, pool: inout StagingPool) -> Int {
        var dropped = 0
        // As the kernel does: make room before the new one is added.
        while count > ProtocolLimits.maximumStagedPackets {
            removeFirst(&pool)
            dropped += 1
        }
        while true {
            if let block = pool.take(packet) {
                if let newest { StagingPool.setNext(of: newest, block) } else { oldest = block }
                newest = block
                count += 1
                return dropped
            }
            dropped += 1
            if isEmpty { return dropped }
            removeFirst(&pool)
        }
    }

    mutating func removeFirst(_ pool: inout StagingPool) {
        guard let block = oldest else { return }
        oldest = StagingPool.next(of: block)
        if oldest == nil { newest = nil }
        count -= 1
        pool.giveBack(block)
    }

    /// Drops all; how many that were.
    mutating func removeAll(_ pool: inout StagingPool) -> Int {
        let dropped = count
        while !isEmpty { removeFirst(&pool) }
        return dropped
    }
}

/// Memory for staged packets. Blocks of one size are kept for the next time, up to a few; larger packets get
/// memory of their own. The sum is bounded whatever the number of peers.
struct StagingPool: ~Copyable {
    private static let headerBytes = 32
    /// Holds a packet of the usual MTU.
    private static let blockBytes = 2048
    private static let keptBlocks = 128
    private let byteLimit: Int

    private(set) var bytesInUse = 0
    private var kept: UnsafeMutableRawPointer?
    private var keptCount = 0

    init(byteLimit: Int = 32 << 20) { self.byteLimit = byteLimit }

    deinit {
        var next = kept
        while let block = next {
            next = StagingPool.next(of: block)
            free(block)
        }
    }

    /// A block with a copy of the packet, not linked; nil at the limit.
    fileprivate mutating func take(_ packet: UnsafeRawBufferPointer) -> UnsafeMutableRawPointer? {
        let size = max(StagingPool.blockBytes, packet.count + StagingPool.headerBytes)
        guard bytesInUse + size <= byteLimit else { return nil }
        let block: UnsafeMutableRawPointer
        if size == StagingPool.blockBytes, let ready = kept {
            kept = StagingPool.next(of: ready)
            keptCount -= 1
            block = ready
        } else {
            guard let fresh = malloc(size) else { return nil }
            block = fresh
        }
        bytesInUse += size
        StagingPool.setNext(of: block, nil)
        block.storeBytes(of: packet.count, toByteOffset: 8, as: Int.self)
        if let bytes = packet.baseAddress, packet.count > 0 {
            (block + StagingPool.headerBytes).copyMemory(from: bytes, byteCount: packet.count)
        }
        return block
    }

    fileprivate mutating func giveBack(_ block: UnsafeMutableRawPointer) {
        let size = max(StagingPool.blockBytes, StagingPool.packet(block).count + StagingPool.headerBytes)
        bytesInUse -= size
        if size == StagingPool.blockBytes && keptCount < StagingPool.keptBlocks {
            StagingPool.setNext(of: block, kept)
            kept = block
            keptCount += 1
        } else {
            free(block)
        }
    }

    fileprivate static func packet(_ block: UnsafeMutableRawPointer) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: block + headerBytes, count: block.load(fromByteOffset: 8, as: Int.self))
    }

    fileprivate static func next(of block: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
        block.load(as: UnsafeMutableRawPointer?.self)
    }

    fileprivate static func setNext(of block: UnsafeMutableRawPointer, _ next: UnsafeMutableRawPointer?) {
        block.storeBytes(of: next, as: UnsafeMutableRawPointer?.self)
    }
}
