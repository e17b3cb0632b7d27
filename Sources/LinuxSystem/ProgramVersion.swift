/// The version of all four programs, as `--version` and the plugins' `info` tell it. Semantic versioning.
public let programVersion = "1.0.0"
