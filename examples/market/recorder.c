/*
 * The recorder: writes the datagrams that a feed takes in to a capture, which a feed can read.
 *
 *     recorder SEGMENT FILE.pcap
 *
 * It waits ten seconds for a feed, says "ready", and ends when the feed ends; a killed feed has a
 * successor, for which it waits. The feed does not wait for the recorder: what that has missed is
 * counted, and is a gap of the capture. If the recorder is killed, what it has written is whole up
 * to the last time that it had nothing to do.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "market.h"
#include "itch.h"
#include <pcap/pcap.h>

static void record(pcap_dumper_t *to, const unsigned char *packet, size_t n)
{
    static unsigned char frame[FRAME_MOST];
    struct pcap_pkthdr head = {0};
    int64_t time;

    memcpy(&time, packet, sizeof time);
    n -= sizeof time;
    memcpy(frame + FRAME_HEADERS, packet + sizeof time, n);
    frame_finish(frame, n);
    head.ts.tv_sec = time / 1000000000;
    head.ts.tv_usec = time % 1000000000; /* nanoseconds, as the file says */
    head.caplen = head.len = (bpf_u_int32)(FRAME_HEADERS + n);
    pcap_dump((unsigned char *)to, &head, frame);
}

int main(int argc, char **argv)
{
    static unsigned char packet[sizeof(int64_t) + 65536];
    pcap_t *pcap =
        pcap_open_dead_with_tstamp_precision(DLT_EN10MB, FRAME_MOST, PCAP_TSTAMP_PRECISION_NANO);
    uint64_t packets = 0;
    struct packets_consumer in;
    struct ipc_shm seg;
    pcap_dumper_t *to;
    int64_t n = 0;

    if (argc != 3)
        errx(2, "usage: recorder SEGMENT FILE.pcap");
    n = ipc_shm_open(&seg, argv[1], ipc_in_ms(10000));
    n = n != 0 ? n : packets_consumer_open(&in, &seg, "packets");
    if (n != 0)
        errx(1, "%s", ipc_shm_why(&seg));
    to = pcap_dump_open(pcap, argv[2]);
    if (to == NULL)
        errx(1, "%s", pcap_geterr(pcap));
    warnx("ready");
    while (n != -EPIPE) {
        n = packets_recv(&in, packet, sizeof packet, IPC_NOW);
        if (n == -ETIMEDOUT) {
            if (pcap_dump_flush(to) != 0)
                err(1, "%s", argv[2]);
            n = packets_recv(&in, packet, sizeof packet, IPC_FOREVER);
        }
        if (n >= (int64_t)sizeof(int64_t)) {
            record(to, packet, (size_t)n);
            packets++;
        } else if (n == -EOWNERDEAD)
            warnx("the feed was killed: waiting for the next");
        else if (n != -EPIPE && n != -EOVERFLOW && n != -EINTR)
            errx(1, "%s", ipc_strerror((int)n));
    }
    printf("recorder: %" PRIu64 " packets, %" PRIu64 " missed\n", packets, packets_missed(&in));
    if (pcap_dump_flush(to) != 0)
        err(1, "%s", argv[2]);
    pcap_dump_close(to);
    pcap_close(pcap);
    packets_consumer_detach(&in);
    ipc_shm_close(&seg);
    return 0;
}
