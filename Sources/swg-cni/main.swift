import CNI
import Glibc

exit(Plugin.main())
