/// One thing about this machine that tunnels depend on.
public struct DoctorFinding: Equatable, Sendable {
    public enum Verdict: String, Sendable {
        /// As it should be.
        case good
        /// Something does not work, but there is another way.
        case limited
        /// Without it there is no tunnel.
        case missing
    }

    /// The subject of the last finding, which follows from the others: `missing` means that no tunnel can be made.
    public static let conclusion = "a way to make tunnels"

    public let verdict: Verdict
    /// What was looked at, such as `TUN device`.
    public let subject: String
    /// What was found, with the kernel's own answer.
    public let finding: String
    /// What to do about it; nil when nothing needs to be done.
    public let cure: String?

    public init(_ verdict: Verdict, _ subject: String, _ finding: String, cure: String? = nil) {
        self.verdict = verdict
        self.subject = subject
        self.finding = finding
        self.cure = cure
    }
}
