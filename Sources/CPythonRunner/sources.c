// In: files of Sources/python/muster, read by the compiler. Out: their bytes with the names that
// they have in the zip of the runner, which MusterCLI/Run/PythonArchive.swift makes.
#include "include/CPythonRunner.h"

static const unsigned char runner_init[] = {
#embed "../python/muster/runner/__init__.py"
};
static const unsigned char runner_failure[] = {
#embed "../python/muster/runner/failure.py"
};
static const unsigned char runner_lane[] = {
#embed "../python/muster/runner/lane.py"
};
static const unsigned char runner_main[] = {
#embed "../python/muster/runner/main.py"
};
static const unsigned char runner_named[] = {
#embed "../python/muster/runner/named.py"
};
static const unsigned char runner_opening[] = {
#embed "../python/muster/runner/opening.py"
};
static const unsigned char runner_output[] = {
#embed "../python/muster/runner/output.py"
};
static const unsigned char runner_piece[] = {
#embed "../python/muster/runner/piece.py"
};
static const unsigned char runner_replies[] = {
#embed "../python/muster/runner/replies.py"
};
static const unsigned char runner_requests[] = {
#embed "../python/muster/runner/requests.py"
};
static const unsigned char runner_shared[] = {
#embed "../python/muster/runner/shared.py"
};
static const unsigned char codec_init[] = {
#embed "../python/muster/_codec/__init__.py"
};
static const unsigned char codec_function[] = {
#embed "../python/muster/_codec/function.py"
};
static const unsigned char codec_values[] = {
#embed "../python/muster/_codec/values.py"
};
static const unsigned char wire_init[] = {
#embed "../python/muster/_wire/__init__.py"
};
static const unsigned char wire_segments[] = {
#embed "../python/muster/_wire/segments.py"
};

static const muster_python_source sources[] = {
    {"_muster/runner/__init__.py", runner_init, sizeof runner_init},
    {"_muster/runner/failure.py", runner_failure, sizeof runner_failure},
    {"_muster/runner/lane.py", runner_lane, sizeof runner_lane},
    {"_muster/runner/main.py", runner_main, sizeof runner_main},
    {"_muster/runner/named.py", runner_named, sizeof runner_named},
    {"_muster/runner/opening.py", runner_opening, sizeof runner_opening},
    {"_muster/runner/output.py", runner_output, sizeof runner_output},
    {"_muster/runner/piece.py", runner_piece, sizeof runner_piece},
    {"_muster/runner/replies.py", runner_replies, sizeof runner_replies},
    {"_muster/runner/requests.py", runner_requests, sizeof runner_requests},
    {"_muster/runner/shared.py", runner_shared, sizeof runner_shared},
    {"_muster/_codec/__init__.py", codec_init, sizeof codec_init},
    {"_muster/_codec/function.py", codec_function, sizeof codec_function},
    {"_muster/_codec/values.py", codec_values, sizeof codec_values},
    {"_muster/_wire/__init__.py", wire_init, sizeof wire_init},
    {"_muster/_wire/segments.py", wire_segments, sizeof wire_segments},
};

size_t muster_python_source_count(void) { return sizeof sources / sizeof *sources; }

muster_python_source muster_python_source_at(size_t index) { return sources[index]; }
