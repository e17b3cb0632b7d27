import Testing

@testable import PluginSupport

@Suite struct OptionWordsTests {
    @Test(arguments: [
        ("use --engine userspace", "use \"engine\": \"userspace\"", "use --opt engine=userspace"),
        (
            "or --no-wait; --no-wait", "or \"waitForHandshake\": false; \"waitForHandshake\": false",
            "or --opt waitForHandshake=false; --opt waitForHandshake=false"
        ),
        ("--state-dir", "\"stateDir\": \"FOLDER\"", "--opt stateDir=FOLDER"),
        (
            "PreUp of the file are not run (give --hooks to run them); x",
            "PreUp of the file are not run by plugins; x",
            "PreUp of the file are not run by plugins; x"
        ),
        ("--network none", "--network none", "--network none"), ("", "", ""),
    ])
    func `P6: options become keys, and the rest stays`(text: String, keys: String, options: String) {
        #expect(OptionWords.keys.translated(text) == keys)
        #expect(OptionWords.options.translated(text) == options)
    }
}
