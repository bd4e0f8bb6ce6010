/// A submitter's own random name for a job: the same submit said twice makes one job.

import MusterModel

struct SubmitKey: Hashable {
    let user: String
    let key: String

    /// - Throws: `.usage` where it is empty or too long.
    init(user: String, key: String) throws {
        guard !key.isEmpty, key.utf8.count <= Limits.nameBytes else {
            throw MusterError(.usage, "a submit's key has 1 to \(Limits.nameBytes) bytes")
        }
        self.user = user
        self.key = key
    }
}
