// Puts one item's values into the parts of a template. Fields, number and slot come in from
// CommandTemplate.expand, the finished word or shell text goes out.

struct TemplateFilling {
    let inputs: [[UInt8]]
    let sequence: Int
    let slot: Int

    /// - Throws: `containsNUL` when a field has a NUL byte.
    func checkNUL() throws(TemplateError) {
        guard inputs.contains(where: { $0.contains(0) }) else { return }
        throw TemplateError(
            .containsNUL,
            "an input contains a NUL byte, which no command can take as an argument; "
                + "if NUL separates your inputs, use -0")
    }

    /// A field in one of its forms.
    static func value(_ form: PathForm, of input: [UInt8]) -> [UInt8] {
        guard let slice = form.slice(of: input) else { return PathForm.dot }
        return slice.count == input.count ? input : Array(input[slice])
    }

    /// All parts as one text.
    func text(of parts: [TemplatePart]) throws(TemplateError) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(room(for: parts))
        for part in parts {
            switch part.kind {
            case .literal(let bytes):
                text.append(contentsOf: bytes)
            case .sequence:
                Self.append(number: sequence, to: &text)
            case .slot:
                Self.append(number: slot, to: &text)
            case .field(let index, let form):
                let input = index < inputs.count ? inputs[index] : []
                try append(input, form, missing: index >= inputs.count, part.quoting, to: &text)
            case .allFields(let form):
                for (index, input) in inputs.enumerated() {
                    if index > 0 { text.append(ShellQuoting.space) }
                    try append(input, form, missing: false, part.quoting, to: &text)
                }
            }
        }
        return text
    }

    /// Bytes to reserve: enough for all but values full of quotes.
    private func room(for parts: [TemplatePart]) -> Int {
        var room = 0
        for part in parts {
            switch part.kind {
            case .literal(let bytes): room += bytes.count
            case .sequence, .slot: room += 20
            case .field(let index, _): room += index < inputs.count ? inputs[index].count + 2 : 2
            case .allFields: room += inputs.reduce(0) { $0 + $1.count + 3 }
            }
        }
        return room
    }

    /// A field that the item lacks is empty in every form; `{//}` of it is not `.`.
    private func append(
        _ input: [UInt8], _ form: PathForm, missing: Bool, _ quoting: TemplatePart.Quoting,
        to text: inout [UInt8]
    ) throws(TemplateError) {
        let value: ArraySlice<UInt8>
        if let slice = form.slice(of: input) {
            value = input[slice]
        } else {
            value = missing ? [] : PathForm.dot[...]
        }
        switch quoting {
        case .raw:
            text.append(contentsOf: value)
        case .bare:
            ShellQuoting.appendQuoted(value, to: &text)
        case .single:
            text.append(ShellQuoting.apostrophe)
            ShellQuoting.appendQuoted(value, to: &text)
            text.append(ShellQuoting.apostrophe)
        case .double:
            ShellQuoting.appendInsideDouble(value, to: &text)
        case .arithmetic:
            guard Self.isNumber(value) else {
                throw TemplateError(
                    .notANumber,
                    "`\(String(decoding: value, as: UTF8.self))` stands inside $(( )), "
                        + "where only a number may be put in")
            }
            text.append(contentsOf: value)
        }
    }

    /// An optional sign and decimal digits, at least one.
    private static func isNumber(_ value: ArraySlice<UInt8>) -> Bool {
        let digits = value.first == UInt8(ascii: "-") ? value.dropFirst() : value
        return !digits.isEmpty
            && digits.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }

    /// Appends a number in decimal.
    private static func append(number: Int, to text: inout [UInt8]) {
        if number < 0 { text.append(UInt8(ascii: "-")) }
        var rest = number.magnitude
        var divisor: UInt = 1
        while rest / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            text.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest / divisor))
            rest %= divisor
            divisor /= 10
        }
    }
}
