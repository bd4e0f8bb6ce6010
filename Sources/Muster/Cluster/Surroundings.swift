/// What the environment of a client says: where profiles are, which cluster is meant, where
/// temporary files go. The command line and the library agree because both ask here.

import Glibc
import MusterModel

package enum Surroundings {
    /// The environment variable; nil where it is unset or empty.
    package static func variable(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }

    package static var home: String {
        if let home = variable("HOME") { return home }
        if let entry = getpwuid(getuid()), let directory = entry.pointee.pw_dir {
            return String(cString: directory)
        }
        return "/"
    }

    package static var profiles: ProfileStore {
        let base = variable("XDG_CONFIG_HOME") ?? "\(home)/.config"
        return ProfileStore(directory: variable("MUSTER_CONFIG").map(absolute) ?? "\(base)/muster")
    }

    /// Directory for spools, private directories of an embedded cluster and shared arguments.
    package static var temporary: String { variable("TMPDIR").map(absolute) ?? "/tmp" }

    package static func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : "\(workingDirectory)/\(path)"
    }

    package static var workingDirectory: String {
        guard let path = getcwd(nil, 0) else { return "/" }
        defer { free(path) }
        return String(cString: path)
    }

    /// The profile that a client uses: the one named, `MUSTER_CLUSTER`, the one in use; nil where
    /// none is configured.
    package static func cluster(_ named: String?) -> String? {
        named ?? variable("MUSTER_CLUSTER") ?? profiles.current()
    }
}
