/*
 * CRC-32C (Castagnoli), the checksum of blocks on disk: reflected polynomial 0x82F63B78, start and
 * end inverted, as in RFC 3720 (iSCSI). Of "123456789" it is 0xE3069283.
 */
#ifndef MUSTER_CCHECKSUM_H
#define MUSTER_CCHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of what `crc` is of (0 = nothing) and then `count` bytes. */
uint32_t muster_crc32c(uint32_t crc, const void *bytes, size_t count);

/* The same without the processor's own instruction: slower, for machines that lack it. */
uint32_t muster_crc32c_table(uint32_t crc, const void *bytes, size_t count);

#endif
