import PluginSupport

extension PluginCall {
    /// VERSION: the versions spoken. Runtimes probe with dummy variables, so nothing else is looked at.
    func version() throws(PluginError) -> JSONValue {
        let asked = try NetworkConfiguration.object(input)["cniVersion"]?.text ?? SpecificationVersion.current.rawValue
        return .object([
            "cniVersion": .string(asked),
            "supportedVersions": .array(SpecificationVersion.allCases.map { .string($0.rawValue) }),
        ])
    }
}
