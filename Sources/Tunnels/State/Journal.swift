import LinuxSystem

/// What has to be undone for a tunnel, written before each step is taken (promise P4).
///
/// Theory of operation. Every mutation of the system has one `UndoStep`. It is appended and synced to the
/// file first, then the mutation happens: so a death at any point leaves a list that covers everything that
/// may have happened, and each step of it must tolerate that its mutation never did. Undoing goes backwards,
/// carries on after errors, and keeps what failed for the next try. The list needs no knowledge of the
/// program that wrote it: steps are plain data, which older and newer programs obey alike.
struct Journal: StateDocument, Equatable {
    enum Phase: String, Codable {
        /// Also found after a crash half-way: then it means "undo this".
        case attaching
        case attached
        case detaching
    }

    var format = StateFile.format
    var id: String
    var phase: Phase
    /// The boot that this was written in: after a reboot only files are left of a tunnel.
    var bootID: String
    var undo: [UndoStep] = []

    init(id: TunnelID, phase: Phase = .attaching, bootID: String) {
        self.id = id.text
        self.phase = phase
        self.bootID = bootID
    }

    /// - Throws: when this boot's id cannot be read: then nothing may be concluded, least of all that the machine was
    ///   started anew.
    func isOfThisBoot() throws(TunnelError) -> Bool {
        do throws(SystemError) {
            return bootID == (try ProcessIdentity.currentBootID())
        } catch {
            throw TunnelError(error, doing: "asking which boot this is", cure: "mount /proc")
        }
    }
}

/// A journal together with its file.
struct JournalWriter {
    private(set) var journal: Journal
    let path: String

    init(_ journal: Journal, path: String) throws(TunnelError) {
        self.journal = journal
        self.path = path
        try StateFile.write(journal, to: path)
    }

    private init(existing journal: Journal, path: String) {
        self.journal = journal
        self.path = path
    }

    /// Of a tunnel's directory that is new: written with the first announcement. Until then there is nothing to undo,
    /// and a directory without a journal says just that.
    static func beginning(_ journal: Journal, path: String) -> JournalWriter {
        JournalWriter(existing: journal, path: path)
    }

    /// Nil when there is none: a tunnel's directory without journal holds nothing to undo.
    static func open(_ path: String) throws(TunnelError) -> JournalWriter? {
        try StateFile.read(Journal.self, from: path).map { JournalWriter(existing: $0, path: path) }
    }

    /// Announces a mutation. It may be made once this has returned.
    mutating func willDo(_ step: UndoStep) throws(TunnelError) { try willDo([step]) }

    /// Several at once, in the order in which they will be made.
    mutating func willDo(_ steps: [UndoStep]) throws(TunnelError) {
        // A repair announces again what the list has already.
        journal.undo += steps.filter { !journal.undo.contains($0) }
        try StateFile.write(journal, to: path)
    }

    /// Announces a mutation that is undone after all others, also those that were announced before it: a key is free
    /// for others when nothing of its tunnel is left.
    mutating func willDoUntilTheEnd(_ step: UndoStep) throws(TunnelError) {
        guard !journal.undo.contains(step) else { return }
        journal.undo.insert(step, at: 0)
        try StateFile.write(journal, to: path)
    }

    /// Takes the last announcement back: the mutation was refused and has not happened. Without this, undoing
    /// would remove what somebody else has under the same name.
    mutating func didNotHappen(_ step: UndoStep) throws(TunnelError) {
        guard let index = journal.undo.lastIndex(of: step) else { return }
        journal.undo.remove(at: index)
        try StateFile.write(journal, to: path)
    }

    /// Puts what is known only after the mutation into its step, such as the identity of what was made.
    mutating func amend(_ step: UndoStep, to known: UndoStep) throws(TunnelError) {
        guard let index = journal.undo.lastIndex(of: step) else { return }
        journal.undo[index] = known
        try StateFile.write(journal, to: path)
    }

    mutating func enter(_ phase: Journal.Phase) throws(TunnelError) {
        guard journal.phase != phase else { return }
        journal.phase = phase
        try StateFile.write(journal, to: path)
    }

    /// Runs the list backwards. Steps that fail stay in the file; all errors are returned.
    ///
    /// A file that cannot be written (full, read-only) does not stop the undoing: the steps can be repeated.
    mutating func undoAll(_ perform: (UndoStep) throws(TunnelError) -> Void) -> [TunnelError] {
        var kept: [UndoStep] = []
        var errors: [TunnelError] = []
        for step in journal.undo.reversed() {
            do throws(TunnelError) {
                try perform(step)
            } catch {
                kept.append(step)
                errors.append(error)
            }
        }
        // A newer program's list stays whole: what was undone of it can be undone again.
        if !kept.isEmpty, !StateFile.isNewer(journal) {
            journal.undo = kept.reversed()
            do throws(TunnelError) {
                try StateFile.write(journal, to: path)
            } catch {
                errors.append(error)
            }
        }
        return errors
    }
}
