import Commands
import Glibc

exit(SwgNamespaceCommand.main(Array(CommandLine.arguments.dropFirst())))
