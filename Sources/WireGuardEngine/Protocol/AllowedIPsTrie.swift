import Synchronization

typealias AllowedIPsNodePointer = UnsafeMutablePointer<AllowedIPsNode>

/// A node of the trie: a prefix that belongs to a peer, or a fork between two that do.
struct AllowedIPsNode: ~Copyable {
    let key: AllowedIPsKey
    let length: UInt8
    let peer: Atomic<PeerPointer?>
    fileprivate let zero = Atomic<AllowedIPsNodePointer?>(nil)
    fileprivate let one = Atomic<AllowedIPsNodePointer?>(nil)
    /// The rest is control's alone. Nil at the root.
    fileprivate var parent: AllowedIPsNodePointer?
    /// The owner's other prefixes.
    fileprivate var nextOfPeer: AllowedIPsNodePointer?
    fileprivate var previousOfPeer: AllowedIPsNodePointer?

    fileprivate init(key: AllowedIPsKey, length: UInt8, peer: PeerPointer?) {
        self.key = key
        self.length = length
        self.peer = Atomic(peer)
    }

    @inline(__always)
    fileprivate func child(_ bit: Int) -> AllowedIPsNodePointer? {
        bit == 0 ? zero.load(ordering: .acquiring) : one.load(ordering: .acquiring)
    }

    fileprivate func setChild(_ bit: Int, _ node: AllowedIPsNodePointer?) {
        if bit == 0 { zero.store(node, ordering: .releasing) } else { one.store(node, ordering: .releasing) }
    }

    @inline(__always)
    fileprivate func contains(_ other: AllowedIPsKey) -> Bool { key.commonBits(other) >= Int(length) }
}

/// The allowed IPs of one family, for the whole device: longest prefix → peer (checklist A1; kernel allowedips.c).
///
/// Control is the only writer. Each change is prepared aside and published by one store, so tx and rx, which
/// look up without a lock, see the trie before it or after it. All walks are loops: depth is at most 129 nodes
/// (checklist A2), and nothing here recurses.
struct AllowedIPsTrie: ~Copyable {
    private let root = Atomic<AllowedIPsNodePointer?>(nil)
    private let reclaimer: Reclaimer
    /// 32 or 128.
    private let bits: UInt8

    init(bits: UInt8, reclaimer: Reclaimer) {
        self.bits = bits
        self.reclaimer = reclaimer
    }

    /// Only when both loops have ended.
    deinit {
        // Downward to a leaf, free it, upward again: no stack.
        var node = root.load(ordering: .relaxed)
        while let current = node {
            if let child = current.pointee.child(0) ?? current.pointee.child(1) {
                node = child
                continue
            }
            node = current.pointee.parent
            if let parent = node { parent.pointee.setChild(parent.pointee.child(0) == current ? 0 : 1, nil) }
            current.deinitialize(count: 1)
            current.deallocate()
        }
    }

    /// Any thread: the peer of the longest prefix that contains the address.
    @inline(__always)
    func lookup(_ key: AllowedIPsKey) -> PeerPointer? {
        var found: PeerPointer?
        var node = root.load(ordering: .acquiring)
        while let current = node, current.pointee.contains(key) {
            if let peer = current.pointee.peer.load(ordering: .acquiring) { found = peer }
            if current.pointee.length == bits { break }
            node = current.pointee.child(key.bit(after: current.pointee.length))
        }
        return found
    }

    /// Control: the prefix belongs to `peer` from now on; whoever had it loses it.
    func insert(_ key: AllowedIPsKey, length: UInt8, peer: PeerPointer) {
        let key = key.masked(length)
        var parent: AllowedIPsNodePointer?
        var below = root.load(ordering: .relaxed)
        while let node = below, node.pointee.length <= length, node.pointee.contains(key) {
            if node.pointee.length == length {
                give(node, to: peer)
                return
            }
            parent = node
            below = node.pointee.child(key.bit(after: node.pointee.length))
        }
        let leaf = makeNode(key, length, peer)
        guard let sibling = below else {
            attach(leaf, under: parent)
            return
        }
        let common = UInt8(
            min(leaf.pointee.key.commonBits(sibling.pointee.key), Int(min(length, sibling.pointee.length))))
        if common == length {
            // The new prefix lies between the two.
            leaf.pointee.setChild(sibling.pointee.key.bit(after: length), sibling)
            sibling.pointee.parent = leaf
            attach(leaf, under: parent)
        } else {
            let fork = makeNode(key.masked(common), common, nil)
            fork.pointee.setChild(key.bit(after: common), leaf)
            fork.pointee.setChild(sibling.pointee.key.bit(after: common), sibling)
            leaf.pointee.parent = fork
            sibling.pointee.parent = fork
            attach(fork, under: parent)
        }
    }

    /// Control: takes the prefix from `peer`; nothing happens when it is another's or nobody's.
    func remove(_ key: AllowedIPsKey, length: UInt8, peer: PeerPointer) {
        let key = key.masked(length)
        var node = root.load(ordering: .relaxed)
        while let current = node, current.pointee.length < length, current.pointee.contains(key) {
            node = current.pointee.child(key.bit(after: current.pointee.length))
        }
        guard let node, node.pointee.length == length, node.pointee.key == key,
            node.pointee.peer.load(ordering: .relaxed) == peer
        else { return }
        release(node)
    }

    /// Control: takes all prefixes of this family from `peer`.
    func removeAll(of peer: PeerPointer) {
        while let node = firstNode(of: peer) { release(node) }
    }

    /// Control: the peer's prefixes, in the order they were given to it.
    func forEachPrefix(of peer: PeerPointer, _ body: (AllowedIPsKey, UInt8) -> Void) {
        var node = firstNode(of: peer)
        while let current = node {
            body(current.pointee.key, current.pointee.length)
            node = current.pointee.nextOfPeer
        }
    }
}

// MARK: - Writing

extension AllowedIPsTrie {
    private func makeNode(_ key: AllowedIPsKey, _ length: UInt8, _ peer: PeerPointer?) -> AllowedIPsNodePointer {
        let node = AllowedIPsNodePointer.allocate(capacity: 1)
        node.initialize(to: AllowedIPsNode(key: key, length: length, peer: peer))
        if let peer { addToList(node, of: peer) }
        return node
    }

    /// Publishes `node` in the place its key has below `parent`.
    private func attach(_ node: AllowedIPsNodePointer, under parent: AllowedIPsNodePointer?) {
        node.pointee.parent = parent
        Interleaving.point(.publish)
        if let parent {
            parent.pointee.setChild(node.pointee.key.bit(after: parent.pointee.length), node)
        } else {
            root.store(node, ordering: .releasing)
        }
    }

    private func give(_ node: AllowedIPsNodePointer, to peer: PeerPointer) {
        let owner = node.pointee.peer.load(ordering: .relaxed)
        if owner == peer { return }
        if let owner { removeFromList(node, of: owner) }
        addToList(node, of: peer)
        Interleaving.point(.publish)
        node.pointee.peer.store(peer, ordering: .releasing)
    }

    /// The node belongs to nobody now; nodes that neither belong to a peer nor fork go away.
    private func release(_ node: AllowedIPsNodePointer) {
        if let owner = node.pointee.peer.load(ordering: .relaxed) { removeFromList(node, of: owner) }
        Interleaving.point(.publish)
        node.pointee.peer.store(nil, ordering: .releasing)
        var superfluous: AllowedIPsNodePointer? = node
        while let node = superfluous, node.pointee.peer.load(ordering: .relaxed) == nil {
            let children = (node.pointee.child(0), node.pointee.child(1))
            if children.0 != nil && children.1 != nil { return }
            let child = children.0 ?? children.1
            let parent = node.pointee.parent
            child?.pointee.parent = parent
            Interleaving.point(.publish)
            if let parent {
                parent.pointee.setChild(node.pointee.key.bit(after: parent.pointee.length), child)
            } else {
                root.store(child, ordering: .releasing)
            }
            reclaimer.retire(.allowedIPsNode(node))
            superfluous = parent
        }
    }

    private func firstNode(of peer: PeerPointer) -> AllowedIPsNodePointer? {
        bits == 32 ? peer.pointee.firstIPv4Node : peer.pointee.firstIPv6Node
    }

    private func addToList(_ node: AllowedIPsNodePointer, of peer: PeerPointer) {
        let last = bits == 32 ? peer.pointee.lastIPv4Node : peer.pointee.lastIPv6Node
        node.pointee.previousOfPeer = last
        node.pointee.nextOfPeer = nil
        last?.pointee.nextOfPeer = node
        if last == nil { setFirst(node, of: peer) }
        setLast(node, of: peer)
    }

    private func removeFromList(_ node: AllowedIPsNodePointer, of peer: PeerPointer) {
        let (previous, next) = (node.pointee.previousOfPeer, node.pointee.nextOfPeer)
        if let previous { previous.pointee.nextOfPeer = next } else { setFirst(next, of: peer) }
        if let next { next.pointee.previousOfPeer = previous } else { setLast(previous, of: peer) }
    }

    private func setFirst(_ node: AllowedIPsNodePointer?, of peer: PeerPointer) {
        if bits == 32 { peer.pointee.firstIPv4Node = node } else { peer.pointee.firstIPv6Node = node }
    }

    private func setLast(_ node: AllowedIPsNodePointer?, of peer: PeerPointer) {
        if bits == 32 { peer.pointee.lastIPv4Node = node } else { peer.pointee.lastIPv6Node = node }
    }
}
