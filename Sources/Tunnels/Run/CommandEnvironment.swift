/// The command's environment: the caller's, without the names of services outside.
///
/// A program that finds none of these variables looks at a default path, and that is covered (see
/// `ConfinedFiles`). A variable left in place could name any other path. Leak rows 7, 9, 10.
enum CommandEnvironment {
    /// Exact names of variables that lead to a process outside the tunnel.
    static let removedNames: Set<String> = [
        "SSH_AUTH_SOCK", "SSH_AGENT_PID", "GPG_AGENT_INFO", "GNOME_KEYRING_CONTROL", "SESSION_MANAGER",
        "DOCKER_HOST", "DOCKER_CONTEXT", "CONTAINER_HOST", "CONTAINERD_ADDRESS", "PODMAN_HOST", "LIBVIRT_DEFAULT_URI",
        "WAYLAND_DISPLAY", "WAYLAND_SOCKET", "DISPLAY", "XAUTHORITY", "ICEAUTHORITY", "PULSE_SERVER", "PULSE_COOKIE",
        "PIPEWIRE_REMOTE", "PIPEWIRE_RUNTIME_DIR", "SWAYSOCK", "I3SOCK", "HYPRLAND_INSTANCE_SIGNATURE", "NIRI_SOCKET",
        "TMUX", "TMUX_PANE", "STY", "NVIM", "NVIM_LISTEN_ADDRESS", "VIM_SERVERNAME", "EMACS_SERVER_FILE",
        "KITTY_LISTEN_ON", "KITTY_PUBLIC_KEY", "ALACRITTY_SOCKET", "WEZTERM_UNIX_SOCKET", "GIO_LAUNCHED_DESKTOP_FILE",
        "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "JOURNAL_STREAM", "WATCHDOG_PID",
        "WATCHDOG_USEC",
        "IBUS_ADDRESS", "FCITX_DBUS_ADDRESS", "AT_SPI_BUS_ADDRESS", "SUDO_ASKPASS", "SSH_ASKPASS", "BROWSER",
    ]
    static let removedPrefixes = ["DBUS_", "VSCODE_IPC_", "VSCODE_GIT_IPC_", "SWG_", "SUDO_", "DOAS_", "PKEXEC_"]

    /// - Parameter user: who the command runs as; its own HOME, USER, LOGNAME and SHELL when that is a change.
    static func confined(_ environment: [String], for user: InvokingUser, runtimeDirectory: String?) -> [String] {
        var replaced: [String: String?] = ["XDG_RUNTIME_DIR": runtimeDirectory]
        if user.isChange {
            replaced["HOME"] = user.home ?? "/"
            replaced["USER"] = user.name ?? String(user.uid)
            replaced["LOGNAME"] = user.name ?? String(user.uid)
            replaced["SHELL"] = user.shell ?? "/bin/sh"
            replaced["MAIL"] = .some(nil)
        }
        var result: [String] = []
        for entry in environment {
            let name = String(entry.prefix { $0 != "=" })
            if removedNames.contains(name) || removedPrefixes.contains(where: name.hasPrefix) { continue }
            if replaced.keys.contains(name) { continue }
            result.append(entry)
        }
        for (name, value) in replaced.sorted(by: { $0.key < $1.key }) {
            if let value { result.append("\(name)=\(value)") }
        }
        return result
    }
}
