/// Lines for people: whole, at once, so that two processes may write to one terminal.

import Glibc

enum Out {
    static func line(_ text: String, to file: Int32 = 1) {
        let bytes = Array((text + "\n").utf8)
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            if count <= 0 { return }
            done += count
        }
    }
}
