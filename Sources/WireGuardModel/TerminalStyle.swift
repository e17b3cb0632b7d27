/// Colours of a terminal, as wg(8) uses them, or none. ECMA-48, `terminal.h` of wireguard-tools.
public struct TerminalStyle: Sendable {
    public let isColoured: Bool

    public static let plain = TerminalStyle(isColoured: false)
    public static let coloured = TerminalStyle(isColoured: true)

    /// `WG_COLOR_MODE` (`always`, `never`, else automatic) before `NO_COLOR` (any text) before what the output is.
    public static func chosen(colourMode: String?, noColour: String?, isTerminal: Bool) -> TerminalStyle {
        switch colourMode {
        case "always": coloured
        case "never": plain
        default: isTerminal && (noColour ?? "").isEmpty ? coloured : plain
        }
    }

    enum Code: String {
        case reset = "\u{1b}[0m"
        case bold = "\u{1b}[1m"
        case red = "\u{1b}[31m"
        case green = "\u{1b}[32m"
        case yellow = "\u{1b}[33m"
        case cyan = "\u{1b}[36m"
    }

    /// The text between these codes and a reset.
    func paint(_ text: String, _ codes: Code...) -> String {
        guard isColoured else { return text }
        return codes.map(\.rawValue).joined() + text + Code.reset.rawValue
    }

    var reset: String { isColoured ? Code.reset.rawValue : "" }
}
