import Glibc
import IPAddressing
import JSON
import PluginSupport
import Tunnels

/// The keys whose values have a meaning of their own.
extension KeyReader {
    mutating func source() -> NetworkConfiguration.Source {
        let file = configurationFile()
        let directory = absolutePath("configDir")
        switch (root["config"] != nil, root["configDir"] != nil) {
        case (true, true):
            report(
                "config and configDir: only one of them; \"config\" is one file for one container, \"configDir\" a pool"
            )
        case (false, false):
            report("config or configDir: one of them must say where the WireGuard configuration is")
        default: break
        }
        return file.map { .file($0) } ?? .pool(directory: directory ?? "")
    }

    /// An absolute path, or a name of a file in /etc/wireguard.
    private mutating func configurationFile() -> String? {
        guard let text = text("config") else { return nil }
        if text.hasPrefix("/"), !text.contains("\n"), !text.contains("\0") { return text }
        guard isSpecificationName(text) else {
            report(
                "config: \(JSONValue.string(text).shown) is neither an absolute path nor the name of a file in /etc/wireguard"
            )
            return nil
        }
        return "/etc/wireguard/\(text.hasSuffix(".conf") ? text : text + ".conf")"
    }

    mutating func engine() -> EngineChoice {
        guard let text = text("engine") else { return .automatic }
        guard let engine = EngineChoice(rawValue: text) else {
            report(
                "engine: \(JSONValue.string(text).shown) is none of \(EngineChoice.allCases.map(\.rawValue).joined(separator: ", "))"
            )
            return .automatic
        }
        return engine
    }

    mutating func mtu() -> Int? {
        guard let value = root["mtu"] else { return nil }
        guard let number = value.integer else {
            reportKind("mtu", value, wanted: "a whole number")
            return nil
        }
        guard (576...65535).contains(number) else {
            report("mtu: \(value.shown) is not within 576…65535 bytes")
            return nil
        }
        return Int(number)
    }

    /// `true` for as long as `run` waits (two retries), or a number of seconds.
    mutating func handshakeWait() -> Double? {
        guard let value = root["waitForHandshake"] else { return nil }
        switch value {
        case .bool(let on): return on ? RunRequest.defaultWaitSeconds : nil
        case .integer(let seconds) where (1...300).contains(seconds): return Double(seconds)
        case .number(let seconds) where seconds > 0 && seconds <= 300: return seconds
        default:
            report("waitForHandshake: \(value.shown) is neither true, false nor a number of seconds up to 300")
            return nil
        }
    }

    mutating func choiceRules() -> NetworkConfiguration.ChoiceRules {
        var rules = NetworkConfiguration.ChoiceRules(byName: flag("byName") ?? false)
        if let value = root["allowChoice"] {
            if let list = value.elements, list.allSatisfy({ !($0.text ?? "").isEmpty }) {
                rules.globs = list.compactMap(\.text)
            } else {
                reportKind("allowChoice", value, wanted: "a list of patterns, such as [\"team-*\"]")
            }
        }
        if rules.byName, rules.globs.isEmpty, root["allowChoice"] == nil {
            report(
                "byName: true lets a pod choose by its name, and needs \"allowChoice\" to say which names, such as [\"*\"]"
            )
        }
        return rules
    }

    mutating func ipamType() -> String? {
        guard let ipam = object("ipam") else { return nil }
        // `"ipam": {}` is how configurations say "none".
        if ipam.members?.isEmpty == true { return nil }
        guard let type = ipam["type"]?.text else {
            report("ipam: \(ipam["type"]?.shown ?? "an object without \"type\"") names no plugin")
            return nil
        }
        guard isDelegateName(type) else {
            report("ipam.type: \(JSONValue.string(type).shown) is not the name of a program in CNI_PATH")
            return nil
        }
        return type
    }

    /// `dns`. CONVENTIONS.md, "Well-known". A list that was written as one word would silently be no list.
    mutating func dns() -> AddResult.DNS? {
        guard let value = object("dns") else { return nil }
        for problem in AddResult.DNS.problems(of: value) { report("dns.\(problem)") }
        return AddResult.DNS(value)
    }

    /// `args.cni.ips`. CONVENTIONS.md, "args in network config".
    mutating func argumentAddresses() -> [String] {
        guard let value = object("args")?["cni"]?["ips"] else { return [] }
        guard let list = value.elements, list.allSatisfy({ $0.text != nil }) else {
            reportKind("args.cni.ips", value, wanted: "a list of addresses")
            return []
        }
        return list.compactMap(\.text)
    }
}

/// One component, never a path: CNI_PATH alone says where programs come from.
func isDelegateName(_ type: String) -> Bool {
    !type.isEmpty && type != "." && type != ".." && !type.contains("/") && !type.contains("\0")
}
