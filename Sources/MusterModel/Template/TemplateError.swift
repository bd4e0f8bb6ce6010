// What is wrong with a command template, or with the values put into it. Thrown by
// CommandMode.swift, CommandTemplate.swift and ItemFields.swift; the command line prints the
// message.

/// An error of the command grammar. A retry cannot help: the words or the input must change.
package struct TemplateError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: String, Equatable, Sendable {
        /// A lone `;`, `|`, `>` … word: the user meant a shell line.
        case loneShellOperator
        /// `'{}'` or `"{}"`: the value is quoted by Muster already.
        case quotedPlaceholder
        /// `--shell` and `--no-shell` at once.
        case conflictingModes
        /// `--no-shell` or `--shell` without a command.
        case missingCommand
        /// A placeholder stands where no quoting is safe (back quotes, here-document …).
        case unsafePlaceholder
        /// No placeholder, and the text does not end where a word may follow.
        case cannotAppend
        /// Shell text whose quoting cannot be followed with certainty.
        case unclearShellText
        /// A NUL byte in a value or a word: no operating system passes that on.
        case containsNUL
        /// A value inside `$((…))` that is not a number.
        case notANumber
        /// The bytes of an item's payload do not follow the encoding.
        case malformedItem
        /// A field of 4 GiB or more, or too many fields.
        case tooLarge
    }

    package let code: Code
    /// What, why and what to do, in one or more lines.
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }
}
