// In: bytes. Out: their CRC-32C, by the processor's instruction (SSE 4.2, ARMv8 CRC) where it has
// one, else by a table. MusterDisk/Segments/BlockHead.swift calls it for each block.
#include "include/CChecksum.h"

#include <pthread.h>
#include <string.h>

static uint32_t table[8][256];
static pthread_once_t table_made = PTHREAD_ONCE_INIT;

static void make_table(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? 0x82F63B78u : 0);
        table[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int n = 1; n < 8; n++)
            table[n][i] = (table[n - 1][i] >> 8) ^ table[0][table[n - 1][i] & 255];
}

uint32_t muster_crc32c_table(uint32_t crc, const void *bytes, size_t count) {
    pthread_once(&table_made, make_table);
    const uint8_t *at = bytes;
    crc = ~crc;
    /* Eight bytes a step, each through the table of its distance from the end ("slicing by 8"). */
    for (; count >= 8; at += 8, count -= 8) {
        uint32_t low = crc
            ^ (at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24);
        crc = table[7][low & 255] ^ table[6][low >> 8 & 255] ^ table[5][low >> 16 & 255]
            ^ table[4][low >> 24] ^ table[3][at[4]] ^ table[2][at[5]] ^ table[1][at[6]]
            ^ table[0][at[7]];
    }
    for (; count > 0; at++, count--)
        crc = (crc >> 8) ^ table[0][(crc ^ *at) & 255];
    return ~crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t by_instruction(
    uint32_t crc, const void *bytes, size_t count) {
    const uint8_t *at = bytes;
    uint64_t wide = ~crc;
    for (; count >= 8; at += 8, count -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        wide = _mm_crc32_u64(wide, word);
    }
    uint32_t narrow = (uint32_t)wide;
    for (; count > 0; at++, count--)
        narrow = _mm_crc32_u8(narrow, *at);
    return ~narrow;
}

static int has_instruction(void) { return __builtin_cpu_supports("sse4.2"); }

#elif defined(__aarch64__)
#include <sys/auxv.h>

#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif

/* The instructions by name: the header's functions need the whole file built for such a machine. */
__attribute__((target("crc"))) static uint32_t by_instruction(
    uint32_t crc, const void *bytes, size_t count) {
    const uint8_t *at = bytes;
    crc = ~crc;
    for (; count >= 8; at += 8, count -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        __asm__("crc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(word));
    }
    for (; count > 0; at++, count--)
        __asm__("crc32cb %w0, %w0, %w1" : "+r"(crc) : "r"((uint32_t)*at));
    return ~crc;
}

static int has_instruction(void) { return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }

#else
static uint32_t by_instruction(uint32_t crc, const void *bytes, size_t count) {
    return muster_crc32c_table(crc, bytes, count);
}

static int has_instruction(void) { return 0; }
#endif

uint32_t muster_crc32c(uint32_t crc, const void *bytes, size_t count) {
    return has_instruction() ? by_instruction(crc, bytes, count)
                             : muster_crc32c_table(crc, bytes, count);
}
