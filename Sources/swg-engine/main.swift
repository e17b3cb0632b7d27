import Glibc
import WireGuardEngine

exit(WireGuardEngine.main(CommandLine.arguments))
