import Synchronization
import WireGuardCrypto

/// The rows of all peers in one stretch of memory that the monitor shares with each worker in turn. Control only.
///
/// Memory that was never touched is all zeros, which is an empty table: it costs nothing until used, so it is
/// mapped for the greatest number of peers. A number before the rows says how many were ever used; nothing
/// behind them is looked at.
final class SurvivorTable {
    private static let headerBytes = 64

    static func byteCount(rows: Int) -> Int { headerBytes + rows * MemoryLayout<SurvivorRow>.stride }

    private let touched: UnsafeMutablePointer<Atomic<UInt64>>
    private let rows: SurvivorRowPointer
    private let capacity: Int
    private var free: [Int] = []
    /// Rows of an earlier worker that no configured peer has claimed yet.
    private var unclaimed: [PublicKey: Int] = [:]
    private var isRestoring = false

    /// `memory` is zeroed or was a table before, page-aligned; it must outlive this object.
    init(memory: UnsafeMutableRawBufferPointer) {
        guard let base = memory.baseAddress, memory.count > SurvivorTable.byteCount(rows: 1)
        else { preconditionFailure("a survivor table without memory") }
        capacity = (memory.count - SurvivorTable.headerBytes) / MemoryLayout<SurvivorRow>.stride
        touched = base.bindMemory(to: Atomic<UInt64>.self, capacity: 1)
        rows = (base + SurvivorTable.headerBytes).bindMemory(to: SurvivorRow.self, capacity: capacity)
        if touched.pointee.load(ordering: .acquiring) > UInt64(capacity) {
            touched.pointee.store(UInt64(capacity), ordering: .relaxed)
        }
        for index in 0..<touchedCount {
            guard rows[index].state.load(ordering: .acquiring) == SurvivorRow.used else {
                free.append(index)
                continue
            }
            recover(rows + index)
            if let duplicate = unclaimed.updateValue(index, forKey: rows[index].publicKey) { release(rows + duplicate) }
        }
        isRestoring = !unclaimed.isEmpty
    }

    /// What a killed worker left half written, or should not be believed, is put right.
    private func recover(_ row: SurvivorRowPointer) { row.pointee.path.store(row.pointee.path.recovered) }

    private var touchedCount: Int { Int(touched.pointee.load(ordering: .relaxed)) }

    /// The row of an earlier life if there is one, else a fresh one; nil when the table is full.
    func claim(_ key: PublicKey) -> SurvivorRowPointer? {
        if let index = unclaimed.removeValue(forKey: key) { return rows + index }
        let index: Int
        if let hole = free.popLast() {
            index = hole
        } else if touchedCount < capacity {
            index = touchedCount
            touched.pointee.store(UInt64(index + 1), ordering: .releasing)
        } else {
            return nil
        }
        let row = rows + index
        row.initialize(to: SurvivorRow(publicKey: key))
        row.pointee.state.store(SurvivorRow.used, ordering: .releasing)
        return row
    }

    /// The peer was removed, and its memory waits for the loops. A worker that starts now must not find the row: the
    /// same key may have a younger one already.
    func abandon(_ row: SurvivorRowPointer) {
        if !isRestoring { row.pointee.state.store(SurvivorRow.free, ordering: .releasing) }
    }

    /// The peer is gone: what was known of it goes with it, as in the kernel. While an earlier life's changes are
    /// being replayed the row waits for the peer to come back.
    func release(_ row: SurvivorRowPointer) {
        if isRestoring {
            unclaimed[row.pointee.publicKey] = row - rows
            return
        }
        row.initialize(to: SurvivorRow(publicKey: row.pointee.publicKey))
        free.append(row - rows)
    }

    /// Until `finishRestore`, a path that has survived is newer than any endpoint of the configuration: it was
    /// configured last, or roamed to.
    func keepsPath(of row: SurvivorRowPointer) -> Bool { isRestoring && row.pointee.path.recovered != nil }

    /// The configuration is complete: rows of peers that are no longer configured go.
    func finishRestore() {
        isRestoring = false
        for index in unclaimed.values { release(rows + index) }
        unclaimed = [:]
    }
}
