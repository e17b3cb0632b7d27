import JSON
import PluginSupport

extension PluginCall {
    /// VERSION: the versions spoken. Runtimes probe with dummy variables, so nothing else is looked at; before 0.4.0
    /// nothing at all came on standard input.
    func version() -> JSONValue {
        let asked = (try? JSONValue.parse(input))?["cniVersion"]?.text ?? SpecificationVersion.current.rawValue
        return .object([
            "cniVersion": .string(asked),
            "supportedVersions": .array(SpecificationVersion.allCases.map { .string($0.rawValue) }),
        ])
    }
}
