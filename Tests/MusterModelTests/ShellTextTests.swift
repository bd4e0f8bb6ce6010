// Shell templates, run by the real /bin/sh: whatever a value holds, it must arrive as it is and
// must never be run.

import Glibc
import MusterModel
import Testing

/// The standard output of an argument vector.
private func output(_ words: [[UInt8]]) throws -> [UInt8] {
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
    posix_spawn_file_actions_addclose(&actions, ends[0])
    defer { posix_spawn_file_actions_destroy(&actions) }
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { word in
        strdup((word + [0]).map(CChar.init(bitPattern:)))
    }
    arguments.append(nil)
    defer { arguments.forEach { free($0) } }
    var pid: pid_t = 0
    let result = posix_spawn(&pid, "/bin/sh", &actions, nil, arguments, nil)
    close(ends[1])
    try #require(result == 0)
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 4096)
    while true {
        let count = read(ends[0], &block, block.count)
        guard count > 0 else { break }
        bytes += block[..<count]
    }
    close(ends[0])
    waitpid(pid, nil, 0)
    return bytes
}

private func shell(_ text: String, _ inputs: [[UInt8]]) throws -> [[UInt8]] {
    try CommandTemplate(words: [Array(text.utf8)], mode: .shell, sources: inputs.count)
        .expand(inputs: inputs, sequence: 1, slot: 1)
}

@Suite("Shell text")
struct ShellTextTests {
    static let hostile: [[UInt8]] =
        [
            "", "plain", "a b", "it's", "$(echo INJECTED)", "`echo INJECTED`", "a\nb", "\\",
            "\\\\n",
            "\"; echo INJECTED; \"", "'; echo INJECTED; '", "a;echo INJECTED", "$HOME", "*", "~",
            "-n", "#x", "a\\", "\t", "!", "${IFS}", "a\n", "'\"'\"'", "{}",
        ].map { Array($0.utf8) } + [[0xFF, 0xFE, 0x27], [0xC3]]

    static let places = [
        "printf %s {}", "printf %s a{}b", "printf %s \"a{}b\"", "printf %s 'a{}b'",
        "printf %s \"$(printf %s {}; printf x)\"", "printf %s \"$(printf %s \"a{}b\"; printf x)\"",
        "(printf %s {})", "true # it's\nprintf %s {}", "printf %s ${x:-\"it's\"}{}",
        "printf %s \"${x:-y}{}\"", "x={}; printf %s \"$x\"", "printf %s \"\\\"{}\"",
        "printf %s '\"'{}", "printf %s \\'{}", "case a in (a) printf %s {};; esac",
        "case a in a) printf %s {};; esac", "echo $((1+1)) {} >/dev/null; printf %s \"{}\"",
        "printf %s",
    ]

    @Test("A value arrives as it is in every quoting", arguments: places)
    func arrives(place: String) throws {
        let marker = Array("MARK".utf8)
        let surrounding = try output(shell(place, [marker]))
        #expect(Self.replace(marker, by: [], in: surrounding) != surrounding)
        for value in Self.hostile {
            let result = try output(shell(place, [value]))
            let expected = Self.replace(marker, by: value, in: surrounding)
            #expect(result == expected, "\(String(decoding: value, as: UTF8.self)) in \(place)")
        }
    }

    private static func replace(
        _ marker: [UInt8], by value: [UInt8], in text: [UInt8]
    ) -> [UInt8] {
        var result: [UInt8] = []
        var index = 0
        while index < text.count {
            if text[index...].starts(with: marker) {
                result += value
                index += marker.count
            } else {
                result.append(text[index])
                index += 1
            }
        }
        return result
    }

    @Test(
        "The text is what a reader expects",
        arguments: [
            ("wc {}", "wc 'a b' 'c'"), ("wc", "wc 'a b' 'c'"), ("wc {2}", "wc 'c'"),
            ("echo {#} {%}", "echo 1 1"), ("echo \"{1}\"", "echo \"a b\""),
            ("echo ${1} {1}", "echo ${1} 'a b'"), ("echo {{}} {1}", "echo {} 'a b'"),
            ("echo \\{} {1}", "echo \\{} 'a b'"), ("echo {1} # {}", "echo 'a b' # {}"),
            ("wc \n ", "wc 'a b' 'c'"), ("a\\ ", "a\\  'a b' 'c'"), ("x >", "x > 'a b' 'c'"),
            ("ffmpeg -i {1} -threads $CPUS {1.}.mp4", "ffmpeg -i 'a b' -threads $CPUS 'a b'.mp4"),
            ("awk \"{n[\\$9]++} END{print}\" {2}", "awk \"{n[\\$9]++} END{print}\" 'c'"),
        ])
    func text(template: String, expected: String) throws {
        let words = try shell(template, [Array("a b".utf8), Array("c".utf8)])
        #expect(words[0] == Array("/bin/sh".utf8))
        #expect(words[1] == Array("-c".utf8))
        #expect(String(decoding: words[2], as: UTF8.self) == expected)
    }

    @Test(
        "A place that cannot be quoted for certain is refused",
        arguments: [
            ("echo `cat {}`", TemplateError.Code.unsafePlaceholder),
            ("cat <<E\n{}\nE", .unsafePlaceholder), ("cat <<-'E'\n{}\nE", .unsafePlaceholder),
            ("echo $'a' {}", .unclearShellText), ("echo $[{}]", .unclearShellText),
            ("(( x = {} ))", .unclearShellText), ("echo $(( \"{}\" ))", .unclearShellText),
            ("x=$(case {} in a) echo \"{}\";; esac)", .unclearShellText),
            ("true \\\n# {}", .unclearShellText),
            ("echo 'a", .cannotAppend), ("echo \"a", .cannotAppend), ("(echo", .cannotAppend),
            ("echo # comment", .cannotAppend), ("cd x;", .cannotAppend), ("a &", .cannotAppend),
            ("a |", .cannotAppend), ("cat <<E\nx\nE\n", .cannotAppend), ("a\\", .cannotAppend),
        ])
    func refused(template: String, code: TemplateError.Code) {
        #expect { try shell(template, [[0x61]]) } throws: { ($0 as? TemplateError)?.code == code }
    }

    @Test("Inside $(( )) only numbers pass")
    func arithmetic() throws {
        #expect(
            try output(shell("printf %s $(( {} * 2 ))", [Array("-21".utf8)])) == Array("-42".utf8))
        for value in ["", "-", "x", "a[$(id)]", "1 2", "0x1", "1;"] {
            #expect { try shell("echo $(({}))", [Array(value.utf8)]) } throws: {
                ($0 as? TemplateError)?.code == .notANumber
            }
        }
    }

    @Test("Several words with --shell are one line")
    func joined() throws {
        let template = try CommandTemplate(
            words: ["echo", "$x", "{}"].map { Array($0.utf8) }, mode: .shell, sources: 1)
        let text = try template.expand(inputs: [[0x61]], sequence: 1, slot: 1)[2]
        #expect(String(decoding: text, as: UTF8.self) == "echo $x 'a'")
    }
}

@Suite("Argv or shell")
struct CommandModeTests {
    private func decide(
        _ words: [String], shell: Bool = false, noShell: Bool = false
    ) throws -> CommandMode {
        try CommandMode.decide(
            words: words.map { Array($0.utf8) }, forceShell: shell, forceNoShell: noShell)
    }

    @Test(
        "Words decide by themselves",
        arguments: [
            ([], CommandMode.lines), (["./score"], .argv), (["{}"], .argv), (["a{.}"], .argv),
            (["echo", "a b"], .argv), (["echo", "$HOME"], .argv), (["echo hi"], .shell),
            (["a|b"], .shell), (["$x"], .shell), (["a>b"], .shell), (["*.sh"], .shell),
            (["sort\t-u"], .shell), (["a;b"], .shell), (["grep", "-E", " (500|502) "], .argv),
            (["psql", "-c", "values ('{}')"], .argv), (["awk '{print $1}' {}"], .shell),
            (["curl", "-w", "%{http_code} %{time_total}\\n", "{}"], .argv),
        ])
    func decision(words: [String], mode: CommandMode) throws {
        #expect(try decide(words) == mode)
    }

    @Test("--shell and --no-shell override")
    func overrides() throws {
        #expect(try decide(["echo", "a"], shell: true) == .shell)
        #expect(try decide(["echo a"], noShell: true) == .argv)
        #expect(try decide(["find", "{}", ";"], noShell: true) == .argv)
        #expect(try decide(["echo '{}'"], shell: true) == .shell)
        #expect(throws: TemplateError.self) { try decide(["a"], shell: true, noShell: true) }
        #expect(throws: TemplateError.self) { try decide([], noShell: true) }
    }

    @Test(
        "Slips are told with the corrected line",
        arguments: [
            (["convert", "{}", "|", "wc", "-c"], "`|`", "muster run 'convert {} | wc -c'"),
            (["cd", "my dir", "&&", "ls"], "`&&`", #"muster run 'cd '\''my dir'\'' && ls'"#),
            (["a", ";", "b"], "`;`", "muster run 'a ; b'"),
            (["a", ">", "f"], "`>`", "muster run 'a > f'"),
            (["a", "2>&1"], "`2>&1`", "muster run 'a 2>&1'"),
            (["wc '{}'"], "'{}'", "muster run 'wc {}'"),
            (["wc \"{.}\""], "\"{.}\"", "muster run 'wc {.}'"),
            (["wc", "'{}'"], "'{}'", "muster run wc {}"),
            (["wc '{1}' x"], "'{1}'", "muster run 'wc {1} x'"),
        ])
    func slips(words: [String], named: String, corrected: String) {
        #expect { try decide(words) } throws: { error in
            guard let error = error as? TemplateError else { return false }
            return error.message.contains(named)
                && error.message.split(separator: "\n").contains {
                    $0.hasSuffix("    " + corrected)
                }
        }
    }
}
