/*
 * NASDAQ TotalView-ITCH 5.0 in MoldUDP64, as far as a feed handler and a generator need it. All
 * integers are big-endian, prices have four decimals, text is padded with spaces on the right.
 *
 *   datagram   session 10, sequence 8, count 2; then `count` blocks: length 2, message
 *              count 0: a heartbeat, 0xffff: the end of the session; both name the next sequence
 *   message    type 1, stock locate 2, tracking number 2, nanoseconds since midnight 6; then what
 *              the type has
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef ITCH_H
#define ITCH_H 1

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

enum { MOLD_HEADER = 20, MOLD_END = 0xffff, MOLD_PORT = 26400, ITCH_HEADER = 11 };
#define MOLD_GROUP 0xefc00001u /* 239.192.0.1 */

/* Bytes of each message, with its type. */
static const struct {
    char type;
    unsigned char length;
    const char *name;
} itch_types[] = {
    {'S', 12, "system event"},
    {'R', 39, "stock directory"},
    {'H', 25, "stock trading action"},
    {'Y', 20, "Reg SHO restriction"},
    {'L', 26, "market participant position"},
    {'V', 35, "circuit breaker: decline levels"},
    {'W', 12, "circuit breaker: status"},
    {'K', 28, "IPO quoting period"},
    {'J', 35, "LULD auction collar"},
    {'h', 21, "operational halt"},
    {'A', 36, "add order"},
    {'F', 40, "add order with attribution"},
    {'E', 31, "order executed"},
    {'C', 36, "order executed with price"},
    {'X', 23, "order cancel"},
    {'D', 19, "order delete"},
    {'U', 35, "order replace"},
    {'P', 44, "trade"},
    {'Q', 40, "cross trade"},
    {'B', 19, "broken trade"},
    {'I', 50, "net order imbalance"},
    {'N', 20, "retail interest"},
    {'O', 48, "direct listing with capital raise"},
};
enum { ITCH_TYPES = sizeof itch_types / sizeof itch_types[0] };

/* The type's place in the table, or -1. */
static inline int itch_find(unsigned char type)
{
    int i;

    for (i = 0; i < ITCH_TYPES; i++)
        if (itch_types[i].type == (char)type)
            return i;
    return -1;
}

/* n bytes, 1 to 8, as a number. */
static inline uint64_t get_be(const unsigned char *from, unsigned n)
{
    uint64_t value = 0;

    while (n-- > 0)
        value = value << 8 | *from++;
    return value;
}

static inline void put_be(unsigned char *to, uint64_t value, unsigned n)
{
    while (n-- > 0) {
        to[n] = (unsigned char)value;
        value >>= 8;
    }
}

/* ------------------------------------------------------------------ Ethernet, IPv4, UDP */

enum { FRAME_HEADERS = 14 + 20 + 8, FRAME_MOST = FRAME_HEADERS + 65536 };

static inline uint32_t sum_words(const unsigned char *from, size_t n, uint32_t sum)
{
    size_t i;

    for (i = 0; i < n; i++)
        sum += (uint32_t)from[i] << (i % 2 == 0 ? 8 : 0);
    return sum;
}

static inline void put_checksum(unsigned char *to, uint32_t sum)
{
    sum = (sum >> 16) + (sum & 0xffff);
    sum += sum >> 16;
    put_be(to, (sum & 0xffff) == 0xffff ? 0xffff : ~sum, 2); /* of UDP, 0 says that there is none */
}

/* Puts the headers before the datagram in frame[FRAME_HEADERS..FRAME_HEADERS + n). */
static inline void frame_finish(unsigned char *frame, size_t n)
{
    static const unsigned char head[] = {
        1,    0, 0x5e, 0x40, 0, 1, 2,    0, 0,  0,  0, 1, 8,  0, /* the group's address, IPv4 */
        0x45, 0, 0,    0,    0, 0, 0x40, 0, 16, 17, 0, 0, 10, 0, 0, 1 /* do not fragment; UDP */
    };
    unsigned char *ip = frame + 14, *udp = ip + 20;

    memcpy(frame, head, sizeof head);
    put_be(ip + 2, n + 28, 2);
    put_be(ip + 16, MOLD_GROUP, 4);
    put_checksum(ip + 10, sum_words(ip, 20, 0));
    put_be(udp, MOLD_PORT, 2);
    put_be(udp + 2, MOLD_PORT, 2);
    put_be(udp + 4, n + 8, 2);
    put_be(udp + 6, 0, 2);
    put_checksum(udp + 6, sum_words(ip + 12, n + 16, 17 + (uint32_t)n + 8));
}

/* The datagram in a captured frame, and its length; or NULL: none of UDP over IPv4, not captured
 * whole, or a fragment. */
static inline const unsigned char *frame_find(const unsigned char *frame, size_t size, size_t *n)
{
    size_t at = 14, head;

    while (size >= at + 4 && get_be(frame + at - 2, 2) == 0x8100) /* tags of VLANs */
        at += 4;
    if (size < at + 28 || get_be(frame + at - 2, 2) != 0x0800 || frame[at] >> 4 != 4 ||
        frame[at + 9] != 17 || (get_be(frame + at + 6, 2) & 0x3fff) != 0)
        return NULL;
    head = at + (frame[at] & 15u) * 4u;
    if (head < at + 20 || size < head + 8)
        return NULL;
    *n = get_be(frame + head + 4, 2);
    if (*n < 8 || head + *n > size)
        return NULL;
    *n -= 8;
    return frame + head + 8;
}

#endif
