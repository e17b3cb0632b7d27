import Glibc
import Netavark

exit(Plugin.main(Array(CommandLine.arguments.dropFirst())))
